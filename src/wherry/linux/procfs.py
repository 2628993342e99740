"""What procfs tells of a process. proc(5), namespaces(7).

A ``ProcessDirectory`` holds ``/proc/PID`` open, so that everything read through it is of that one process: when it
has gone, reads fail with ProcessLookupError or FileNotFoundError, even where its number is in use again.
Text is decoded as UTF-8 with replacement: what a container names is no reason to fail.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from wherry.linux.kernel_file import read, read_bytes

IS_PID = re.compile(r"[0-9]{1,10}").fullmatch
KILOBYTE = 1024
LINKS_MAX = 40
COMMAND_MAX = 4096  # bytes: a process may have megabytes of arguments
NAMESPACES = ("mnt", "pid", "net", "ipc", "uts", "cgroup", "user", "time")
UNLIMITED = "unlimited"
ENDED = ("Z", "X")  # states of a process that has only its status left
PF_EXITING = 0x4  # linux/sched.h
LIMIT_COLUMNS = (
    slice(0, 25),
    slice(26, 46),
    slice(47, 67),
    slice(68, None),
)  # fs/proc/base.c, proc_pid_limits


class ProcessDirectory:
    """``/proc/PID``, held open. A context manager. ProcessLookupError, FileNotFoundError where it has gone."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.fd = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.fd)

    def text(self, name: str) -> str:
        """A file below it, by name."""
        return read(name, dir_fd=self.fd)

    def open(self, name: str) -> int:
        """A descriptor of a file below, which the caller closes."""
        return os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.fd)

    def status(self) -> Status:
        """What the file ``status`` tells."""
        return parse_status(self.text("status"))

    def namespaces(self) -> dict[str, int]:
        """Inode of each namespace, by kind; a kind that this kernel does not have is left out."""
        return {kind: inode for kind in NAMESPACES if (inode := self.namespace(kind))}

    def namespace(self, kind: str) -> int:
        """The inode of the namespace of a kind (``net``, ``pid`` …); 0 where the kernel has no such kind."""
        try:
            return os.stat(f"ns/{kind}", dir_fd=self.fd).st_ino
        except FileNotFoundError:
            return 0

    def numbers(self) -> tuple[int, ...]:
        """Its pids, from the reader's PID namespace down to its own."""
        return self.status().pids

    def visible_pids(self) -> set[int]:
        """The processes that the procfs in its own root shows, by their pids there; whatever else it may have put there
        instead."""
        return {int(name) for name in self._names("root/proc") if IS_PID(name)}

    def command(self) -> str:
        """The beginning of its command line, joined by spaces; its name in brackets where it has none (a zombie)."""
        words = read_bytes("cmdline", dir_fd=self.fd, limit=COMMAND_MAX).rstrip(b"\0").split(b"\0")
        line = b" ".join(words).decode("utf-8", "replace")
        return line or f"[{self.text('comm').rstrip()}]"

    def memory(self) -> Memory:
        """Nothing for one without memory of its own: a zombie, a kernel thread."""
        try:
            return parse_memory(self.text("smaps_rollup"))
        except ProcessLookupError:
            return Memory()

    def exiting(self) -> bool:
        """Whether it is on its way out."""
        return parse_exiting(self.text("stat"))

    def descriptors(self) -> int:
        """How many descriptors are open: Linux 6.2 and later say so in the directory's size."""
        return os.stat("fd", dir_fd=self.fd).st_size or len(self._names("fd"))

    def _names(self, directory: str) -> list[str]:
        file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.fd)
        try:
            return os.listdir(file)
        finally:
            os.close(file)

    def children(self) -> list[int]:
        """The processes that its threads have started and that are still its children."""
        found = [self.text(f"task/{thread}/children") for thread in self._names("task")]
        return [int(pid) for text in found for pid in text.split()]

    def resolve(self, path: str) -> str:
        """A path of its root with all links followed, as far as there is something; links lead nowhere outside.

        Only to compare paths: what is there may change at any time.
        """
        done, pending, links = "", path.split("/")[::-1], 0
        while pending:
            part = pending.pop()
            if part in ("", ".", ".."):
                done = posixpath.dirname(done).rstrip("/") if part == ".." else done
                continue
            try:
                link = os.readlink(f"root{done}/{part}", dir_fd=self.fd)
            except OSError:
                done = f"{done}/{part}"
                continue
            links += 1
            if links > LINKS_MAX:
                return path
            done = "" if link.startswith("/") else done
            pending.extend(link.split("/")[::-1])
        return done or "/"

    def has(self, path: str) -> bool:
        """Whether there is something at a path of the process's own root."""
        try:
            os.stat(f"root/{path.lstrip('/')}", dir_fd=self.fd, follow_symlinks=False)
        except OSError:
            return False
        return True


# ---------------------------------------------------------------- status


@dataclass(frozen=True, slots=True)
class CapabilitySets:
    """Bit masks. capabilities(7)."""

    inheritable: int
    permitted: int
    effective: int
    bounding: int
    ambient: int


@dataclass(frozen=True, slots=True)
class Status:
    """``/proc/PID/status``. ``seccomp``: 0 none, 1 strict, 2 filter; ids are real, effective, saved, filesystem."""

    state: str
    parent: int
    uids: tuple[int, ...]
    gids: tuple[int, ...]
    groups: tuple[int, ...]
    capabilities: CapabilitySets
    no_new_privileges: bool
    seccomp: int
    seccomp_filters: int
    pids: tuple[int, ...] = ()  # from the reader's PID namespace down to its own

    @property
    def alive(self) -> bool:
        """Whether it can still do something: not a zombie, not dead."""
        return self.state not in ENDED


def parse_status(text: str) -> Status:
    fields = {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}
    sets = (int(fields[f"Cap{name}"], 16) for name in ("Inh", "Prm", "Eff", "Bnd", "Amb"))
    return Status(
        state=fields["State"][:1],
        parent=int(fields["PPid"]),
        uids=numbers(fields["Uid"]),
        gids=numbers(fields["Gid"]),
        groups=numbers(fields["Groups"]),
        capabilities=CapabilitySets(*sets),
        no_new_privileges=fields.get("NoNewPrivs") == "1",
        seccomp=int(fields.get("Seccomp", 0)),
        seccomp_filters=int(fields.get("Seccomp_filters", 0)),
        pids=numbers(fields.get("NSpid", "")),
    )


def numbers(text: str) -> tuple[int, ...]:
    """The numbers in a list that is separated by white space."""
    return tuple(map(int, text.split()))


# ---------------------------------------------------------------- memory


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of a process's pages: ``proportional`` counts shared ones by the share (PSS)."""

    proportional: int = 0
    private: int = 0


def parse_memory(text: str) -> Memory:
    """The text of ``smaps_rollup``."""
    sizes = {
        words[0]: int(words[1]) * KILOBYTE
        for line in text.splitlines()
        if (words := line.split())[-1] == "kB"
    }
    return Memory(sizes.get("Pss:", 0), sizes.get("Private_Clean:", 0) + sizes.get("Private_Dirty:", 0))


# ---------------------------------------------------------------- limits, ids, cgroups


@dataclass(frozen=True, slots=True)
class ProcessLimit:
    """A line of ``/proc/PID/limits``, as the kernel names it; None is unlimited."""

    name: str
    soft: int | None
    hard: int | None
    unit: str


def parse_limits(text: str) -> tuple[ProcessLimit, ...]:
    """The text of ``limits``."""
    rows = ([line[column].strip() for column in LIMIT_COLUMNS] for line in text.splitlines()[1:])
    return tuple(ProcessLimit(name, limit(soft), limit(hard), unit) for name, soft, hard, unit in rows)


def limit(text: str) -> int | None:
    """A soft or hard limit as ``/proc/PID/limits`` prints it; None for ``unlimited``."""
    return None if text == UNLIMITED else int(text)


@dataclass(frozen=True, slots=True)
class IdRange:
    """A line of ``uid_map`` or ``gid_map``. user_namespaces(7)."""

    inside: int
    outside: int
    count: int


def parse_id_map(text: str) -> tuple[IdRange, ...]:
    """The text of ``uid_map`` or ``gid_map``."""
    return tuple(IdRange(*map(int, line.split())) for line in text.splitlines())


def parse_cgroups(text: str) -> dict[str, str]:
    """Controllers (``cpu,cpuacct``; ``name=systemd``; "" for version 2) to the path in their hierarchy."""
    lines = filter(None, text.split("\n"))  # a name may have any other line end in it
    parts = (line.split(":", 2) for line in lines)
    return {controllers: path for _, controllers, path in parts}


def parse_exiting(text: str) -> bool:
    """The text of ``stat``: whether the process is on its way out, be it that it still waits for its children."""
    return bool(int(numbers_of(text)[6]) & PF_EXITING)


def numbers_of(text: str) -> list[str]:
    """What stands in ``stat`` behind the name, which may have any character in it: from the state on."""
    return text.rpartition(")")[2].split()


def exit_code_of(pid: int) -> int | None:
    """How a process has ended that nobody has collected yet, as a shell would say it; None where that cannot be had."""
    try:
        status = int(read(f"/proc/{pid}/stat").split()[-1])
    except (OSError, ValueError):
        return None
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def processor_ticks(pid: int) -> int:
    """How much of a processor a process has had, by itself and for the kernel's work; 0 where it has gone."""
    try:
        numbers = numbers_of(read(f"/proc/{pid}/stat"))
    except OSError:
        return 0
    return int(numbers[11]) + int(numbers[12])


# ---------------------------------------------------------------- all processes


def every_pid() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def pids_by_namespace(kind: str) -> dict[int, list[int]]:
    """Every process of this machine, by the inode of its namespace of a kind."""
    found: dict[int, list[int]] = defaultdict(list)
    for pid in every_pid():
        try:
            found[os.stat(f"/proc/{pid}/ns/{kind}").st_ino].append(pid)
        except OSError:
            continue  # it has gone, or is on its way
    return found


def own_namespaces() -> dict[str, int]:
    """The calling process's own: for a daemon, the host's."""
    with ProcessDirectory(os.getpid()) as here:
        return here.namespaces()
