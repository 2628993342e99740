"""Become one engine: ``unshare --net --mount … python -m benchmarks.enter ROOT FOLDER COMMAND``.

Runs in the new namespaces: ``lo`` up, a /sys of this network with the cgroup hierarchies in it, an empty /run, and
ROOT as the file system, with FOLDER's tmpfs at the same path.
"""

from __future__ import annotations

import os
import resource
import shlex
import subprocess
import sys
from pathlib import Path

from tests.harness.keeper import fresh_sysfs

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def change_root(root: Path, keep: Path) -> None:
    """Make ``root`` the file system, with the kernel's own mounts and ``keep`` at their places."""
    run("mount", "--bind", str(root), str(root))
    for name in ("proc", "sys", "dev"):
        run("mount", "--rbind", f"/{name}", str(root / name))
    inner = root / keep.relative_to("/")
    inner.mkdir(parents=True, exist_ok=True)
    run("mount", "--rbind", str(keep), str(inner))
    os.chdir(root)
    run("pivot_root", ".", ".")
    run("umount", "-l", ".")
    os.chdir("/")
    os.environ["PATH"] = PATH


def main() -> None:
    root, folder, command = Path(sys.argv[1]), Path(sys.argv[2]), shlex.split(sys.argv[3])
    run("ip", "link", "set", "lo", "up")
    fresh_sysfs(folder / "sys")
    if root != Path("/"):
        change_root(root, folder.parent)
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    (folder / "tmp").mkdir(exist_ok=True)
    os.environ.update(HOME="/root", XDG_RUNTIME_DIR="/run", TMPDIR=str(folder / "tmp"))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.execvp(command[0], command)


main()
