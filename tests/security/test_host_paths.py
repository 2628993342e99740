"""Links, volumes and racers that would lead the launcher out of the container: nothing of the host is reached."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.daemon import Daemon
from tests.security.image import attack, link, load_variant, results, run
from wherry.runtime.binary import launcher_path

RACE_SECONDS = 3


@pytest.fixture
def outside(besieged: Daemon) -> Iterator[Path]:
    """A directory of the host, in the sandbox's tmpfs, that no container is given."""
    folder = besieged.sandbox.state / f"outside-{secrets.token_hex(4)}"
    seen = besieged.sandbox.outside(folder)
    seen.mkdir()
    (seen / "secret").write_text("host")
    yield folder
    assert sorted(p.name for p in seen.rglob("*")) == ["secret"] and (seen / "secret").read_text() == "host"


@pytest.fixture
def shared(besieged: Daemon) -> Path:
    """A directory that containers are given; its path on the host."""
    folder = besieged.sandbox.state / f"shared-{secrets.token_hex(4)}"
    besieged.sandbox.outside(folder).mkdir()
    return folder


@pytest.mark.parametrize("name", ["proc", "sys"])
@pytest.mark.parametrize("target", ["/tmp", "../../../../tmp"])
def test_proc_or_sys_as_a_link(besieged: Daemon, name: str, target: str) -> None:
    """CVE-2019-16884, CVE-2019-19921, CVE-2023-27561: the start is refused."""
    load_variant(besieged, "linked", link(name, target), removed=(name,))
    done = run(besieged, "linked", "true")
    assert done.returncode in (125, 126, 127)
    assert f"/{name}" in done.stderr


@pytest.mark.parametrize("place", ["/proc", "/proc/sys", "/proc/self/attr", "//proc", "/proc/../proc"])
def test_nothing_is_mounted_over_procfs(besieged: Daemon, shared: Path, place: str) -> None:
    """CVE-2025-52881, CVE-2019-19921: what is written to procfs would go elsewhere."""
    for options in (("-v", f"{shared}:{place}"), ("--tmpfs", place)):
        done = run(besieged, *options, "busybox", "true")
        assert done.returncode != 0 and "proc" in done.stderr, (options, done)


def test_a_link_to_proc_is_no_way_round(besieged: Daemon, shared: Path) -> None:
    load_variant(besieged, "linked", link("data", "/proc/sys"))
    for options in (("-v", f"{shared}:/data"), ("--tmpfs", "/data")):
        assert run(besieged, *options, "linked", "true").returncode != 0


def test_a_volume_of_the_image_hides_nothing(besieged: Daemon) -> None:
    """CVE-2021-43816: VOLUME is an image's own wish."""
    volumes: dict[str, object] = {"/proc": {}, "/../../etc": {}, "/sys": {}, "/": {}, "relative": {}}
    load_variant(besieged, "greedy", link("data", "/etc"), config={"Volumes": volumes})
    done = run(besieged, "greedy", "sh", "-c", "cat /etc/os-release; echo x > /proc/sys/kernel/core_pattern")
    if done.returncode == 0 or done.stdout:
        assert "BusyBox" in done.stdout and "ead-only" in done.stderr


@pytest.mark.parametrize("number", [*range(14), 63, 64])
def test_working_directory_over_a_descriptor(besieged: Daemon, number: int) -> None:
    """CVE-2024-21626 in run: by the request. A path is cleaned as a text, as with Docker, before anybody follows it."""
    look = ("busybox", "sh", "-c", "pwd -P; ls -d */")
    root = run(besieged, *look).stdout  # the one directory that the launcher may have open
    for path in (f"/proc/self/fd/{number}", f"/proc/1/fd/{number}"):
        done = run(besieged, "-w", path, *look)
        assert (done.returncode != 0 and done.stdout == "") or done.stdout == root, (path, done)
    cleaned = run(
        besieged, "-w", f"/proc/self/fd/{number}/../../..", "busybox", "sh", "-c", "pwd -P; cat 1/comm; exit"
    )
    assert cleaned.stdout == "/proc\nsh\n"


def test_working_directory_of_a_hostile_image(besieged: Daemon, outside: Path) -> None:
    for path, fill in (
        ("/proc/self/fd/8", link("x", "y")),
        ("/work", link("work", "/proc/self/fd/8")),
        ("/work/deep", link("work", "/proc/self/root")),
        ("/work/deep", link("work", f"../../../../../..{outside}")),
    ):
        load_variant(besieged, "workdir", fill, config={"WorkingDir": path})
        done = run(besieged, "workdir", "sh", "-c", "pwd -P; ls -a; ls -a ..")
        assert "secret" not in done.stdout and "unreachable" not in done.stdout
        assert done.returncode == 0 or done.stdout == ""


def test_exec_in_a_directory_over_a_descriptor(besieged: Daemon) -> None:
    """CVE-2024-21626 in exec: by the request, and by links that the container makes."""
    container = besieged.docker("run", "-d", "busybox", "sleep", "600").stdout.strip()
    besieged.docker(
        "exec", container, "sh", "-c", "for n in $(seq 0 14); do ln -s /proc/self/fd/$n /tmp/l$n; done"
    )
    for number in range(15):
        for path in (f"/proc/self/fd/{number}", f"/tmp/l{number}"):
            done = besieged.docker("exec", "-w", path, container, "sh", "-c", "pwd -P; ls -d */", check=False)
            inside = (
                done.returncode == 0 and done.stdout.splitlines()[0] == "/" and "work/" not in done.stdout
            )
            assert inside or done.returncode != 0, (path, done)


def test_a_mount_point_that_is_swapped(besieged: Daemon, outside: Path, shared: Path) -> None:
    """CVE-2021-30465, CVE-2024-45310: a container swaps a directory for a link while another one is started on it."""
    here = besieged.sandbox.outside(shared)
    (here / "point/inner").mkdir(parents=True)
    (here / "link").symlink_to(f"../../../../../../..{outside}")
    besieged.docker(
        "run", "-d", "--name", "racer", "-v", f"{shared}:/shared", "attacker",
        "/attacker", "swap", "/shared/point", "/shared/link", str(RACE_SECONDS),
    )  # fmt: skip
    binds = [f"{shared}:/shared", "/usr/share:/shared/point", "/usr/share:/shared/point/made/deep"]
    host = {"Binds": binds, "Tmpfs": {"/shared/point/inner": ""}}
    body = {"Image": "busybox", "Cmd": ["sh", "-c", "cat /etc/os-release; ls /"], "HostConfig": host}
    started, deadline = 0, time.monotonic() + RACE_SECONDS
    while time.monotonic() < deadline:
        made = besieged.api("POST", "/containers/create", body).body["Id"]
        if besieged.api("POST", f"/containers/{made}/start").status == 204:
            besieged.api("POST", f"/containers/{made}/wait")
            output = besieged.api("GET", f"/containers/{made}/logs?stdout=1").body
            assert "busybox" in output and "work" not in output
            started += 1
        besieged.api("DELETE", f"/containers/{made}?force=1")
    besieged.api("POST", "/containers/racer/wait")
    swaps = int(results(besieged.docker("logs", "racer").stdout)["swaps"])
    assert swaps > 1000 and started > 0
    assert {p.name for p in here.iterdir()} == {"point", "link"}


def test_dev_as_a_link(besieged: Daemon, outside: Path) -> None:
    """CVE-2026-41579, CVE-2026-47766: devices are made inside, wherever /dev leads."""
    for target in (f"../../../../../..{outside}", str(outside), "tmp"):
        load_variant(besieged, "dev", link("dev", target), removed=("dev",))
        done = run(besieged, "dev", "sh", "-c", "echo x > /dev/null; ls -l /dev/null")
        assert done.returncode != 0 or done.stdout.startswith("crw-rw-rw-")


@pytest.mark.parametrize("trap", ["null", "pts", "console", "shm"])
def test_a_dev_of_ones_own(besieged: Daemon, outside: Path, shared: Path, trap: str) -> None:
    """CVE-2025-31133, CVE-2025-52565: a false /dev/null or terminal is not what the launcher masks or binds with."""
    here = besieged.sandbox.outside(shared)
    besieged.sandbox.run(f"mknod {shared}/null c 1 3; mkdir {shared}/pts; mknod {shared}/ptmx c 5 2")
    victim = "/proc/sys/kernel/core_pattern"
    if trap == "null":
        (here / "null").unlink()
        (here / "null").symlink_to(victim)
    elif trap == "pts":
        (here / "pts/ptmx").symlink_to(victim)
    else:
        (here / trap).symlink_to(f"../../../../..{outside}")
    script = (
        f"for f in {victim} /proc/kcore /proc/sysrq-trigger; do (echo x >> $f) && echo written; done; true"
    )
    done = run(besieged, "-t", "-v", f"{shared}:/dev", "busybox", "sh", "-c", script)
    assert "written" not in done.stdout
    assert besieged.sandbox.run(["cat", victim]).stdout != "x\n"


def test_null_swapped_while_masks_are_made(besieged: Daemon, shared: Path) -> None:
    here = besieged.sandbox.outside(shared)
    besieged.sandbox.run(f"mknod {shared}/null c 1 3; mkdir {shared}/pts")
    (here / "other").symlink_to("/proc/sys/kernel/core_pattern")
    words = ("/attacker", "swap", "/shared/null", "/shared/other", str(RACE_SECONDS))
    besieged.docker("run", "-d", "--name", "racer", "-v", f"{shared}:/shared", "attacker", *words)
    script = "(echo x >> /proc/sys/kernel/core_pattern) && echo written; head -c 1 /proc/kcore | wc -c"
    host = {"Binds": [f"{shared}:/dev"]}
    body = {"Image": "busybox", "Cmd": ["sh", "-c", script], "HostConfig": host}
    started, deadline = 0, time.monotonic() + RACE_SECONDS
    while time.monotonic() < deadline:
        made = besieged.api("POST", "/containers/create", body).body["Id"]
        if besieged.api("POST", f"/containers/{made}/start").status == 204:
            besieged.api("POST", f"/containers/{made}/wait")
            output = besieged.api("GET", f"/containers/{made}/logs?stdout=1").body
            assert "written" not in output and "1\n" not in output
            started += 1
        besieged.api("DELETE", f"/containers/{made}?force=1")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_launcher_is_run_as_an_entrypoint(besieged: Daemon) -> None:
    """CVE-2019-5736: ``/proc/self/exe`` is then the launcher, and dumpable."""
    before = digest(launcher_path())
    load_variant(
        besieged, "selfexe", link("run", "/proc/self/exe"), config={"Entrypoint": ["/run"], "Cmd": None}
    )
    for words in (("selfexe",), ("--entrypoint", "/proc/self/exe", "busybox"), ("--init", "selfexe")):
        assert run(besieged, *words).returncode != 0
    container = besieged.docker("run", "-d", "--init", "selfexe", check=False).stdout.strip()
    assert container
    assert digest(launcher_path()) == before


@pytest.mark.parametrize("options", [(), ("--init",), ("--cap-add", "SYS_PTRACE", "--init")])
def test_the_launcher_is_hunted(besieged: Daemon, options: tuple[str, ...]) -> None:
    """CVE-2019-5736: a loop over /proc/*/exe while commands are run in the container, as root and with ptrace."""
    before = digest(launcher_path())
    words = ("run", "-d", "--name", "hunter", *options, "attacker", "/attacker", "hunt", str(RACE_SECONDS))
    besieged.docker(*words)
    deadline = time.monotonic() + RACE_SECONDS - 0.5
    while time.monotonic() < deadline:
        made = besieged.api("POST", "/containers/hunter/exec", {"Cmd": ["/proc/self/exe", "x"]}).body
        if "Id" not in made:
            break
        besieged.api("POST", f"/exec/{made['Id']}/start", {"Detach": True})
    besieged.api("POST", "/containers/hunter/wait")
    found = results(besieged.docker("logs", "hunter").stdout)
    assert found["writable"] == "0"
    if "SYS_PTRACE" in options:
        assert int(found["foreign"]) > 0, "the hunter met no launcher: the test shows nothing"
    assert digest(launcher_path()) == before


def test_init_cannot_be_written(besieged: Daemon) -> None:
    found = attack(besieged, "overwrite", "/proc/1/exe", options=("--init", "--cap-add", "SYS_PTRACE"))
    assert found["/proc/1/exe"] in ("ETXTBSY", "EPERM", "EACCES") and found["reopened"] in (
        "ETXTBSY",
        "EPERM",
        "EACCES",
    )
    assert found["written"] != "ok"


def test_the_hosts_null_is_not_handed_in(besieged: Daemon) -> None:
    """A container without /dev/null gets no descriptor of the host's, whose mode it could change."""
    before = os.stat("/dev/null")
    container = besieged.docker("run", "-d", "busybox", "sleep", "600").stdout.strip()
    besieged.docker("exec", container, "rm", "/dev/null")
    script = "readlink /proc/self/fd/0; wc -c; chmod 600 /proc/self/fd/0; chown 7:7 /proc/self/fd/0; true"
    done = besieged.docker("exec", container, "sh", "-c", script)
    after = os.stat("/dev/null")
    os.chmod("/dev/null", before.st_mode & 0o7777)  # whatever was found, the machine keeps its own
    os.chown("/dev/null", before.st_uid, before.st_gid)
    assert (after.st_mode, after.st_uid) == (before.st_mode, before.st_uid)
    assert done.stdout.startswith("pipe:") and done.stdout.splitlines()[1] == "0"


def test_mounts_come_from_nowhere_else(besieged: Daemon) -> None:
    """What the container sees mounted are its own layers and kernel filesystems: no path of the host."""
    text = run(besieged, "busybox", "cat", "/proc/self/mountinfo").stdout
    ours = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}
    binds = [line.split() for line in text.splitlines() if line.split()[3] != "/"]
    strange = [b[4] for b in binds if b[4] not in ours and not b[4].startswith(("/proc/", "/sys/"))]
    assert strange == []
