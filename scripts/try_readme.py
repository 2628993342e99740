"""Follow the README to the letter: every command of its installation and its tour, typed in a fresh Debian 12.

    .venv/bin/python -m scripts.try_readme

The Debian is made by debootstrap (once, then from a cache) and lives on a tmpfs in a sandbox, as the tests' engines do.
What fetches something (apt-get, pip, mmdebstrap) runs with the machine's network; everything else has none but its own.
It takes more than two minutes, nearly all of them for packages, so that CI leaves it out.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.harness import images
from tests.harness.daemon import ROOT, docker_command
from tests.harness.sandbox import Sandbox
from tests.harness.terminal import Terminal

SECTIONS = ("Install", "A quick tour")
FETCHING = ("apt-get", "/opt/wherry/bin/pip", "mmdebstrap")
CHECKOUT = "/root/wherry"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")  # the machine's mirror may have its own
PROMPT = r"\[(\d+)\] fresh> "
DRAWN = r"\x1b\[[?\d;]*[a-zA-Z]"  # colours, and what a shell says to its terminal
SHOWN, WIDE = 5, 100

# Debian's files, with the machine's devices and cgroups.
# The engine's cgroups are the sandbox's, and go with it; nothing else is set.
PREPARE = """set -e
mkdir {root} && mount --bind {root} {root} && tar -C {root} -xf {debian}
mount -t tmpfs tmpfs {root}/run
mount --rbind /sys {root}/sys && mount --rbind /dev {root}/dev
cp /etc/resolv.conf {root}/etc/ && cp {certificates} {root}/usr/local/share/ca.crt
mkdir -p {root}{checkout} {root}/old {root}/etc/wherry
echo '{{"cgroup-parent": "{cgroup}"}}' >{root}/etc/wherry/daemon.json
git -C {source} ls-files -z | tar -C {source} --null -T - -c | tar -C {root}{checkout} -x
"""
# Not chroot(8): what enters a mount namespace, as exec does, begins at its root.
ENTER = """mount --make-rprivate / && cd {root} && mount -t proc proc proc && pivot_root . old && umount -l /old &&
cd {checkout} && exec bash --norc --noprofile -i"""


def commands(readme: str) -> Iterator[str]:
    """The lines of the shell blocks of the sections to be followed."""
    for section in SECTIONS:
        body = readme.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
        for block in re.findall(r"```sh\n(.*?)```", body, re.DOTALL):
            yield from block.replace("\\\n", " ").splitlines()


def environment() -> Mapping[str, str]:
    pip = {
        key: value for key, value in os.environ.items() if key.startswith("PIP_") and key != "PIP_FIND_LINKS"
    }
    own = "/usr/local/share/ca.crt"
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {
        **pip,
        "PIP_CERT": own,
        "SSL_CERT_FILE": own,
        "PATH": path,
        "HOME": "/root",
        "PS1": "[$?] fresh> ",
    }


def shell(sandbox: Sandbox, root: Path, network: bool) -> Terminal:
    """A shell in the fresh Debian, whose processes end with it."""
    inside = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c"]
    enter = sandbox.enter([*inside, ENTER.format(root=root, checkout=CHECKOUT)])
    argv = [word for word in enter if not (network and word == "--net")]
    terminal = Terminal(argv, environment(), rows=50, columns=120)
    terminal.expect(PROMPT)
    return terminal


def follow(line: str, terminal: Terminal) -> None:
    """Type the line, and show the end of what it prints. SystemExit where it fails."""
    begin = time.monotonic()
    before = len(terminal.seen)
    terminal.send(line + "\r")
    if " -it " in line:
        terminal.expect(r"root@\w+:/# ", 60)
        terminal.send("exit\r")
    code = terminal.expect(PROMPT, 600).group(1)
    said = terminal.seen[before:].rpartition("\r\n")[0].partition("\r\n")[2]
    print(f"{time.monotonic() - begin:7.1f} s   {line}", flush=True)
    printed = [row.rstrip("\r").rpartition("\r")[2][:WIDE] for row in re.sub(DRAWN, "", said).split("\n")]
    for row in [row for row in printed if row.strip()][-SHOWN:]:
        print(f"            | {row}")
    if code != "0":
        raise SystemExit(f"that failed with exit code {code}")


def main() -> int:
    debian = images.debian_tar()
    if debian is None:
        raise SystemExit("no Debian mirror can be reached")
    lines = [line for line in commands((ROOT / "README.md").read_text()) if line.strip()]
    docker = docker_command()
    with Sandbox() as sandbox:
        root = sandbox.state / "debian"
        places = {"root": root, "debian": debian, "source": ROOT, "checkout": CHECKOUT}
        sandbox.run(
            PREPARE.format(**places, certificates=CERTIFICATES, cgroup=sandbox.cgroup_parent), timeout=120
        )
        if docker:
            subprocess.run(["cp", docker, sandbox.outside(root / "usr/bin/docker")], check=True)
        with shell(sandbox, root, network=True) as fetching, shell(sandbox, root, network=False) as working:
            for line in lines:
                if docker is None and shlex.split(line)[0] == "docker":
                    continue
                follow(line, fetching if line.split()[0] in FETCHING else working)
        page = sandbox.outside(root / CHECKOUT.lstrip("/") / "web.html").read_text()
    if "<svg" not in page:
        raise SystemExit("web.html is no page with drawings")
    print(f"All {len(lines)} commands of the README did what they say.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
