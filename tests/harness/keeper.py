"""Holds a sandbox's namespaces open, and takes everything in it down when its maker goes, however it goes.

    unshare --net --mount --uts --propagation private python -m tests.harness.keeper BASE CGROUP_PARENT

Prepares: ``lo`` up; a sysfs of this network namespace with the machine's cgroup hierarchies bound into it; an overlay
over the whole tree, so that of the machine's files BASE alone can be changed; a tmpfs on BASE/state. Says ``ready`` and
waits for the end of its standard input. Then it kills what still runs in its mount namespace or in its cgroups, removes
those cgroups, and goes; the mounts and links go with the namespaces.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.harness.cover import cover_machine

CGROUPS = Path("/sys/fs/cgroup")


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def fresh_sysfs(workspace: Path) -> None:
    """A /sys that shows this network namespace, with the machine's cgroup mounts kept in it.

    A hierarchy of version 2 beside those of version 1 stays out: crun refuses that mixture.
    """
    hierarchies = [f.name for f in CGROUPS.iterdir() if f.is_dir()] if not unified() else []
    workspace.mkdir()
    if unified():
        run("mount", "--bind", str(CGROUPS), str(workspace))
    else:
        run("mount", "-t", "tmpfs", "tmpfs", str(workspace))
        for name in hierarchies:
            if name != "unified":
                (workspace / name).mkdir()
                run("mount", "--bind", str(CGROUPS / name), str(workspace / name))
    run("mount", "-t", "sysfs", "sysfs", "/sys")
    run("mount", "--move", str(workspace), str(CGROUPS))
    workspace.rmdir()


def unified() -> bool:
    """Does the machine have cgroup v2 alone?"""
    return (CGROUPS / "cgroup.controllers").exists()


def cgroup_folders(parent: str) -> list[Path]:
    """The sandbox's cgroups in every hierarchy, children before their parents."""
    tops = [CGROUPS / parent, *CGROUPS.glob(f"*/{parent}")]
    return [Path(at) for top in tops if top.is_dir() for at, _, _ in os.walk(top, topdown=False)]


def processes_here(parent: str) -> set[int]:
    """Processes that live in this mount namespace, or in the sandbox's cgroups (its containers)."""
    found = set()
    mine = os.stat("/proc/self/ns/mnt").st_ino
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{name}/ns/mnt").st_ino == mine:
                found.add(int(name))
        except OSError:
            continue
    for folder in cgroup_folders(parent):
        try:
            found.update(int(line) for line in (folder / "cgroup.procs").read_text().split())
        except OSError:
            continue
    return found - {os.getpid(), 0}


def kill_everything(parent: str) -> None:
    """More than once: what is killed may have been starting something."""
    for _ in range(200):
        left = processes_here(parent)
        if not left:
            return
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)


def remove_cgroups(parent: str) -> None:
    for _ in range(100):
        left = cgroup_folders(parent)
        for folder in left:
            try:
                folder.rmdir()
            except OSError:
                time.sleep(0.02)
        if not left:
            return


def main() -> None:
    base, parent = Path(sys.argv[1]), sys.argv[2]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-c is the maker's; the end of input follows it
    run("ip", "link", "set", "lo", "up")
    fresh_sysfs(base / "sys")
    machine = os.open(base.parent, os.O_PATH)  # where BASE lies, and can be removed
    cover_machine(base)
    (base / "state").mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=80%", "tmpfs", str(base / "state"))
    print("ready", flush=True)
    try:
        sys.stdin.read()
    finally:
        kill_everything(parent)
        remove_cgroups(parent)
        subprocess.run(["umount", "-l", str(base / "state")], check=False)
        shutil.rmtree(base.name, ignore_errors=True, dir_fd=machine)


if __name__ == "__main__":
    main()
