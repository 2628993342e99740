"""What was read from the kernel about one container, and about the host around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wherry.engine.explain.limits import LimitFile
from wherry.engine.explain.mounts import MountTable, PlannedMount
from wherry.engine.record import ContainerRecord
from wherry.linux.mountinfo import MountEntry
from wherry.linux.nftables import Count
from wherry.linux.procfs import CapabilitySets, IdRange, Memory, ProcessLimit, Status
from wherry.linux.rtnetlink import Interface, NetworkState
from wherry.network.ports import PublishedPort
from wherry.runtime.cgroups import Usage
from wherry.runtime.steps import Plan


@dataclass(frozen=True, slots=True)
class Depth:
    """How much is read. ``use``: also what is used of it all; ``filter``: also the seccomp program, for which the
    container's first process is stopped for a moment."""

    use: bool = True
    filter: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """A container that is to be looked at: its record, its plan, and the process that is its first."""

    record: ContainerRecord
    plan: Plan
    pid: int = 0
    mounts: tuple[PlannedMount, ...] = ()  # of the plan
    cgroup: str = ""  # path as in the specification

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def name(self) -> str:
        return self.record.name


@dataclass(frozen=True, slots=True)
class Member:
    """A running container, as far as others need to know of it."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Host:
    """The host as the engine sees it, read once for all containers of one question.

    ``links`` are None where each container's are looked up alone, and so are ``pids``: all processes by the inode of
    their PID namespace. ``members``: of the running containers that share namespaces, those whose first process is in
    one, by its kind and inode.
    """

    namespaces: Mapping[str, int]
    mounts: tuple[MountEntry, ...]
    links: Mapping[int, Interface] | None
    ports: Mapping[PublishedPort, Count]
    pids: Mapping[int, list[int]] | None
    members: Mapping[tuple[str, int], tuple[Member, ...]]


@dataclass(frozen=True, slots=True)
class LimitReading:
    """A limit's file as it was read. ``default``: what it holds where nobody asked; ``used``: None if unknown."""

    kind: LimitFile
    path: str
    text: str
    default: str
    used: int | None = None


@dataclass(frozen=True, slots=True)
class CgroupState:
    """What the cgroup's files say: limits, the device list (version 1; None elsewhere), usage and, by directory,
    the processes in it and below it."""

    limits: tuple[LimitReading, ...] = ()
    devices: tuple[str, ...] | None = None
    usage: Usage | None = None
    cpu_file: str = ""  # that tells the time used
    pids: Mapping[str, frozenset[int]] = field(default_factory=dict)

    @property
    def processes(self) -> frozenset[int]:
        """Whoever is in any of its hierarchies."""
        return frozenset().union(*self.pids.values())


@dataclass(frozen=True, slots=True)
class ProcessReading:
    """One process, with the pids of the host; ``memory`` is in bytes."""

    pid: int
    parent: int
    command: str
    memory: Memory
    descriptors: int


@dataclass(frozen=True, slots=True)
class Stray:
    """A process of the container's PID namespace that is not in (all of) its cgroups."""

    pid: int
    command: str
    cgroups: tuple[str, ...]  # where it is instead: controllers and path


@dataclass(frozen=True, slots=True)
class Rights:
    """What the first process may do, and how it is bounded."""

    status: Status
    limits: tuple[ProcessLimit, ...]
    uid_map: tuple[IdRange, ...]
    gid_map: tuple[IdRange, ...]
    oom_score_adj: int
    filter: bytes | None = None  # the seccomp program as the kernel has it, where it was asked for

    @property
    def capabilities(self) -> CapabilitySets:
        return self.status.capabilities


@dataclass(frozen=True, slots=True)
class Observed:
    """One container's share of the kernel, read at one time."""

    namespaces: Mapping[str, int]
    mounts: MountTable
    cgroup: CgroupState
    rights: Rights
    network: NetworkState
    outside: Mapping[
        int, Interface
    ]  # the other ends of its veths, and what these are plugged into, by index on the host
    processes: tuple[ProcessReading, ...]
    strays: tuple[Stray, ...]
    unread: int = 0  # processes beside these, for which there was no time
    monitor: int = 0  # its pid
    monitor_memory: int = 0

    def plugged_into(self, end: Interface) -> str:
        """What an interface of the host is plugged into; "" for nothing."""
        return self.outside[end.master].name if end.master in self.outside else ""
