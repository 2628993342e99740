"""The steps before the clone: on the host, by the monitor; and the clone itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wherry.runtime.step import Arg, Heading, Namespace, Step


@dataclass(frozen=True, slots=True)
class Monitor(Step):
    """How the monitor is reached, and where it leaves the exit status."""

    code, name, heading = 1, "monitor", Heading.PROCESS
    exit_file: str = ""  # written by rename; "" for none (exec)
    spool_dir: str = ""  # where output waits for a slow reader, in unlinked files
    listen: bool = True  # accept further control connections on Fd.LISTEN

    def args(self) -> Sequence[Arg]:
        return (self.exit_file, self.spool_dir, int(self.listen))

    def describe(self) -> str:
        return "stay as the container's monitor" + (
            f", exit status to {self.exit_file}" if self.exit_file else ""
        )


@dataclass(frozen=True, slots=True)
class Stdio(Step):
    """The container's standard streams: a pty, or pipes."""

    code, name, heading = 2, "stdio", Heading.PROCESS
    tty: bool = False
    stdin: bool = False  # else /dev/null
    stdin_once: bool = False  # close stdin when the first client that sent it goes
    rows: int = 0
    columns: int = 0

    def args(self) -> Sequence[Arg]:
        return (int(self.tty), int(self.stdin), int(self.stdin_once), self.rows, self.columns)

    def describe(self) -> str:
        return ("a terminal" if self.tty else "pipes") + (", stdin open" if self.stdin else "")


@dataclass(frozen=True, slots=True)
class Log(Step):
    """Write output to a json-file log; the file is made with the first byte."""

    code, name, heading = 3, "log", Heading.PROCESS
    path: str
    max_size: int = 0  # bytes; 0: unlimited
    max_file: int = 1
    attributes: str = ""  # JSON object text put as "attrs" into each entry, or ""

    def args(self) -> Sequence[Arg]:
        return (self.path, self.max_size, self.max_file, self.attributes)

    def describe(self) -> str:
        limit = f", {self.max_file} files of {self.max_size} bytes" if self.max_size else ""
        return f"log to {self.path}{limit}"


@dataclass(frozen=True, slots=True)
class HostDirectory(Step):
    """Make a directory on the host; one that is there is fine."""

    code, name, heading = 4, "mkdir", Heading.FILESYSTEMS
    path: str
    mode: int = 0o700

    def args(self) -> Sequence[Arg]:
        return (self.path, self.mode)

    def describe(self) -> str:
        return f"make directory {self.path}"


@dataclass(frozen=True, slots=True)
class HostFile(Step):
    """Write a whole file on the host (hosts, hostname, resolv.conf)."""

    code, name, heading = 5, "write-file", Heading.FILESYSTEMS
    path: str
    content: bytes
    mode: int = 0o644

    def args(self) -> Sequence[Arg]:
        return (self.path, self.content, self.mode)

    def describe(self) -> str:
        return f"write {self.path} ({len(self.content)} bytes)"


@dataclass(frozen=True, slots=True)
class CgroupCreate(Step):
    """Make a cgroup; the monitor removes it when the container has exited."""

    code, name, heading = 6, "cgroup-create", Heading.LIMITS
    path: str

    def args(self) -> Sequence[Arg]:
        return (self.path,)

    def describe(self) -> str:
        return f"make cgroup {self.path}"


@dataclass(frozen=True, slots=True)
class CgroupWrite(Step):
    """Write a value to a cgroup file. With ``optional``, a failure is a warning."""

    code, name, heading = 7, "cgroup-write", Heading.LIMITS
    path: str
    value: str
    optional: bool = False

    def args(self) -> Sequence[Arg]:
        return (self.path, self.value, int(self.optional))

    def describe(self) -> str:
        return f"write {self.value!r} to {self.path}"


@dataclass(frozen=True, slots=True)
class OomCounter(Step):
    """Where the monitor reads, at the end, how often the kernel's OOM killer struck."""

    code, name, heading = 8, "oom-counter", Heading.LIMITS
    path: str
    key: str = "oom_kill"

    def args(self) -> Sequence[Arg]:
        return (self.path, self.key)

    def describe(self) -> str:
        return f"read {self.key} from {self.path} at the end"


@dataclass(frozen=True, slots=True)
class CgroupDevices(Step):
    """Attach a BPF_PROG_TYPE_CGROUP_DEVICE program to a v2 cgroup."""

    code, name, heading = 9, "cgroup-devices", Heading.DEVICES
    path: str
    program: bytes  # struct bpf_insn array

    def args(self) -> Sequence[Arg]:
        return (self.path, self.program)

    def describe(self) -> str:
        return f"attach a device filter of {len(self.program) // 8} instructions to {self.path}"


@dataclass(frozen=True, slots=True)
class Clone(Step):
    """Make the child, in new namespaces. Every step behind this one is the child's."""

    code, name, heading = 10, "clone", Heading.NAMESPACES
    namespaces: Namespace

    def args(self) -> Sequence[Arg]:
        return (int(self.namespaces),)

    def describe(self) -> str:
        return f"new namespaces: {self.namespaces.words() or 'none'}"
