"""System calls of one launch, as strace saw them."""

from __future__ import annotations

import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

TRACED = (
    "mount,umount2,fsopen,fsconfig,fsmount,fspick,move_mount,open_tree,mount_setattr,pivot_root,chroot,unshare,"
    "setns,clone,clone3,fork,vfork,mknod,mknodat,mkdir,mkdirat,symlink,symlinkat,link,linkat,chown,fchown,lchown,fchownat,"
    "chmod,fchmod,fchmodat,sethostname,setdomainname,prlimit64,setrlimit,prctl,capset,seccomp,setgroups,setuid,"
    "setgid,setresuid,setresgid,write,pwrite64,open,openat,openat2,unlink,unlinkat,rename,renameat,renameat2,"
    "rmdir,bpf,ioctl,execve,chdir,fchdir,keyctl,setxattr,fsetxattr"
)
CALL = re.compile(r"(\d+)\s+(\w+)\((.*)\)\s+= (.*)$")
RESUMED = re.compile(r"(\d+)\s+<\.\.\. \w+ resumed>(.*)$")
UNFINISHED = " <unfinished ...>"


@dataclass(frozen=True)
class Call:
    pid: int
    name: str
    args: str
    result: str

    @property
    def failed(self) -> bool:
        return self.result.startswith("-1")

    def __str__(self) -> str:
        return f"{self.name}({self.args}) = {self.result}"


def parse(text: str) -> list[Call]:
    """The calls in the order in which they began; those that never returned are left out."""
    calls: list[Call | None] = []
    open_calls: dict[str, tuple[int, str]] = {}
    for line in text.splitlines():
        pid = line.split(None, 1)[0]
        if line.endswith(UNFINISHED):
            open_calls[pid] = (len(calls), line.removesuffix(UNFINISHED))
            calls.append(None)
            continue
        resumed = RESUMED.match(line)
        at = len(calls)
        if resumed and pid in open_calls:
            at, head = open_calls.pop(pid)
            line = head + resumed.group(2)
        elif not resumed:
            calls.append(None)
        found = CALL.match(line)
        if found and at < len(calls):
            calls[at] = Call(int(found.group(1)), *found.groups()[1:])
    return [call for call in calls if call is not None]


def spawners(pid: int) -> list[str]:
    """What makes the launchers of a daemon, once there was one: the spawner, and the process that waits for a plan."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    own = [child for child in children if Path(f"/proc/{child}/comm").read_text() == "wherry-spawner\n"]
    return [*own, *(waiting for child in own for waiting in spawners(int(child)))]


class Tracer:
    """strace on a process (a daemon) and on all that it starts, as a context. ``options`` are more of strace's own."""

    def __init__(self, pid: int, file: Path, *options: str) -> None:
        self._pid, self._file, self._options = pid, file, options

    def __enter__(self) -> Tracer:
        command = ["strace", "-f", "-y", "-s", "256", "-e", f"trace={TRACED}", "-o", str(self._file)]
        command += [*self._options, *(f"--attach={pid}" for pid in (self._pid, *spawners(self._pid)))]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE)
        assert self._process.stderr is not None
        assert b"attached" in self._process.stderr.readline()
        return self

    def __exit__(self, *_: object) -> None:
        time.sleep(0.2)
        self._process.terminate()
        self._process.communicate(timeout=10)

    def launch(self) -> tuple[list[Call], list[Call]]:
        """The calls of the monitor, from the launcher's start on, and those of its child (with an init: and the
        child's child) up to the command; of the only launch traced."""
        calls = parse(self._file.read_text(errors="replace"))
        start = next(i for i, c in enumerate(calls) if c.name == "prctl" and '"wherry-monitor"' in c.args)
        monitor = [c for c in calls[start + 1 :] if c.pid == calls[start].pid]
        first = next(int(c.result.split()[0]) for c in monitor if c.name in ("clone3", "clone"))
        child = [c for c in calls if c.pid == first]
        if not any(c.name == "execve" for c in child):
            # An init. What clone gives it is a pid of its namespace, so its child is known by its exec.
            second = next(c.pid for c in calls[start + 1 :] if c.name == "execve" and c.pid != first)
            child += [c for c in calls if c.pid == second]
        return monitor, child
