"""The steps before the clone: on the host, by the monitor; and the clone itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wherry.runtime.step import AbsolutePath, Heading, HostStep, Namespace, Text
from wherry.values.words import counted

OF_DEVICE = re.compile(r"\d+:\d+(?: \w+(?==))?")  # 8:0, or in version 2 8:0 rbps


@dataclass(frozen=True, slots=True)
class Monitor(HostStep):
    """How the monitor is reached, and where it leaves the exit status."""

    code, name, heading = 1, "monitor", Heading.PROCESS
    exit_file: Text = ""  # written by rename; "" for none (exec)
    spool_dir: Text = ""  # where output waits for a slow reader, in unlinked files
    listen: bool = True  # accept further control connections on Fd.LISTEN
    mounts_last: bool = (
        False  # keep the mounts until the end has been told; they take the kernel half a millisecond
    )

    def describe(self) -> str:
        kept = f", and write its exit status to {self.exit_file}" if self.exit_file else ""
        first = "" if self.mounts_last else "; its mounts go before its end is reported"
        return f"stay as the container's monitor{kept}{first if self.exit_file else ''}"


@dataclass(frozen=True, slots=True)
class Stdio(HostStep):
    """The container's standard streams: a pty, or pipes."""

    code, name, heading = 2, "stdio", Heading.PROCESS
    tty: bool = False
    stdin: bool = False  # else /dev/null
    stdin_once: bool = False  # close stdin when the first client that sent it goes
    rows: int = 0
    columns: int = 0

    def describe(self) -> str:
        kept = ", and keep its standard input open" if self.stdin else ""
        return f"connect its streams to {'a terminal' if self.tty else 'pipes'}{kept}"


@dataclass(frozen=True, slots=True)
class Log(HostStep):
    """Write output to a json-file log; the file is made with the first byte."""

    code, name, heading = 3, "log", Heading.PROCESS
    path: AbsolutePath
    max_size: int = 0  # bytes; 0: unlimited
    max_file: int = 1
    attributes: Text = ""  # JSON object text put as "attrs" into each entry, or ""
    compress: bool = False  # rotated files are compressed, by the daemon

    def describe(self) -> str:
        files = counted(self.max_file, "file")
        limit = f", at most {files} of {self.max_size:,} bytes" if self.max_size else ""
        packed = ", the older ones compressed" if self.compress else ""
        return f"log its output to {self.path}{limit}{packed}"


@dataclass(frozen=True, slots=True)
class HostDirectory(HostStep):
    """Make a directory on the host; one that is there is fine."""

    code, name, heading = 4, "mkdir", Heading.FILESYSTEMS
    identity = "path"
    path: AbsolutePath
    mode: int = 0o700

    def describe(self) -> str:
        return f"create directory {self.path}"


@dataclass(frozen=True, slots=True)
class HostFile(HostStep):
    """Write a whole file on the host (hosts, hostname, resolv.conf)."""

    code, name, heading = 5, "write-file", Heading.FILESYSTEMS
    identity = "path"
    path: AbsolutePath
    content: bytes
    mode: int = 0o644

    def describe(self) -> str:
        return f"write {self.path} ({counted(len(self.content), 'byte')})"


@dataclass(frozen=True, slots=True)
class CgroupCreate(HostStep):
    """Make a cgroup; the monitor removes it when the container has exited."""

    code, name, heading = 6, "cgroup-create", Heading.LIMITS
    identity = "path"
    path: AbsolutePath

    def describe(self) -> str:
        return f"create cgroup {self.path}"


@dataclass(frozen=True, slots=True)
class CgroupWrite(HostStep):
    """Write a value to a cgroup file. With ``optional``, a failure is a warning."""

    code, name, heading = 7, "cgroup-write", Heading.LIMITS
    path: AbsolutePath
    value: Text
    optional: bool = False

    @classmethod
    def identify(cls, arguments: Mapping[str, Any]) -> str:
        """Rules and limits of devices are many writes to one file; every other file is written once."""
        path, value = arguments["path"], arguments["value"]
        if path.rpartition("/")[2].startswith("devices."):
            return f"{path} {value}"
        device = OF_DEVICE.match(value)
        return f"{path} {device[0]}" if device else str(path)

    def describe(self) -> str:
        return f"write {self.value!r} to {self.path}"


@dataclass(frozen=True, slots=True)
class OomCounter(HostStep):
    """Where the monitor reads, at the end, how often the kernel's OOM killer struck."""

    code, name, heading = 8, "oom-counter", Heading.LIMITS
    path: AbsolutePath
    key: Text = "oom_kill"

    def describe(self) -> str:
        return f"at the end, read {self.key} from {self.path}"


@dataclass(frozen=True, slots=True)
class CgroupDevices(HostStep):
    """Attach a BPF_PROG_TYPE_CGROUP_DEVICE program to a v2 cgroup."""

    code, name, heading = 9, "cgroup-devices", Heading.DEVICES
    path: AbsolutePath
    program: bytes  # struct bpf_insn array

    def describe(self) -> str:
        return f"attach a device filter of {counted(len(self.program) // 8, 'instruction')} to {self.path}"


@dataclass(frozen=True, slots=True)
class Clone(HostStep):
    """Make the child, in new namespaces. Every step behind this one is the child's.

    With ``cgroup``, a directory of the version 2 hierarchy, the child is born in it (CLONE_INTO_CGROUP): nothing has to
    be moved, which would wait for all of the machine's processors. Where the kernel refuses that, the child enters it
    first of all. clone(2).
    """

    code, name, heading = 10, "clone", Heading.NAMESPACES
    namespaces: Namespace
    cgroup: Text = ""

    def describe(self) -> str:
        born = f", in cgroup {self.cgroup}" if self.cgroup else ""
        return f"start the container's process in new namespaces ({self.namespaces.words() or 'none'}){born}"
