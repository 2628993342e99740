"""What both versions of the control group hierarchy offer to the rest of the runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from wherry.runtime import oci_spec as oci
from wherry.runtime.cgroups.oom_notice import OomNotice
from wherry.runtime.steps import DEFAULT, Cause, Step


@dataclass(frozen=True, slots=True)
class CgroupEntry:
    """How a process gets into a cgroup: it is born in one of version 2, and moves itself into those of version 1."""

    born_in: str = ""  # for Clone
    moves: tuple[Step, ...] = ()  # directly behind it


@dataclass(frozen=True, slots=True)
class CgroupSteps:
    """What a container's cgroups ask of its plan: ``setup`` on the host before the clone, and how it gets in."""

    setup: tuple[Step, ...]
    entry: CgroupEntry


@dataclass(frozen=True, slots=True)
class BlockOperation:
    """Bytes read from and written to a device."""

    major: int
    minor: int
    read: int
    write: int


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes, nanoseconds and counts, as far as the kernel tells; 0 where it does not."""

    cpu_total: int = 0
    cpu_user: int = 0
    cpu_system: int = 0
    throttled_periods: int = 0
    periods: int = 0
    throttled_time: int = 0
    memory_usage: int = 0
    memory_maximum: int = 0
    memory_limit: int = 0
    memory_stat: Mapping[str, int] = field(default_factory=dict)
    oom_kills: int = 0
    pids: int = 0
    pids_limit: int = 0
    blocks: tuple[BlockOperation, ...] = ()

    @property
    def anonymous(self) -> int:
        """Charged bytes of the processes' own pages, with those in cgroups below."""
        return self._counted("total_rss", "anon")

    @property
    def tmpfs(self) -> int:
        """Charged bytes of files in memory, such as those in /dev/shm."""
        return self._counted("total_shmem", "shmem")

    @property
    def cache(self) -> int:
        """Charged bytes of files on disks."""
        return max(self._counted("total_cache", "file") - self.tmpfs, 0)

    def _counted(self, v1: str, v2: str) -> int:
        return self.memory_stat.get(v1, self.memory_stat.get(v2, 0))


def cause_of(causes: Mapping[str, Cause], place: str) -> Cause:
    """Of a write for a place below ``linux.resources``; else of the path, which is part of every write."""
    cause = causes.get(f"linux.resources.{place}", DEFAULT)
    return causes.get("linux.cgroupsPath", DEFAULT) if cause is DEFAULT else cause


class Cgroups(Protocol):
    """Paths are as in the specification: ``/parent/id``, the same below every controller."""

    @property
    def version(self) -> int:
        """Of the hierarchy: 1 or 2."""

    @property
    def weighs(self) -> bool:
        """Whether the kernel gives cgroups weights for what they read and write of disks."""

    def plan(self, path: str, limits: oci.Resources | None, causes: Mapping[str, Cause]) -> CgroupSteps:
        """Steps that make a container's cgroup with its limits, and enter it. Pure."""

    def entry(self, path: str) -> CgroupEntry:
        """How a process gets into a cgroup which exists (exec). Pure."""

    def mount(
        self, path: str, target: str, *, writable: bool, own_namespace: bool, cause: Cause = DEFAULT
    ) -> tuple[Step, ...]:
        """Steps that show the hierarchy inside a container. Pure."""

    def prepare(self, parent: str) -> None:
        """Make a parent of containers, with what its children need. Idempotent; OSError with the path."""

    def ensure(self, parent: str) -> None:
        """As ``prepare``, but nothing where it has been done before: even a look waits for what the kernel does to
        other cgroups (a third of a start was spent on that)."""

    def remove_parent(self, parent: str) -> bool:
        """Remove a parent where it is empty. True when it is gone."""

    def names(self, parent: str) -> list[str]:
        """Names of what is below a parent in any controller."""

    def destroy(self, path: str) -> bool:
        """Kill what is left in a container's cgroup, and remove it. True when it is gone. Idempotent."""

    def file(self, path: str, name: str) -> str:
        """Where a cgroup has a file, such as ``memory.max``; "" where this host has no such controller. Pure."""

    def directories(self, path: str) -> list[str]:
        """All directories of a cgroup: one, or one a hierarchy. Pure."""

    def devices(self, path: str) -> tuple[str, ...] | None:
        """The rules of device access in force, a line each; None where the kernel does not show them."""

    def processes(self, path: str) -> list[int]:
        """The members, also of what they have made below, by the host's pids; none where there is no such cgroup."""

    def usage(self, path: str) -> Usage:
        """What the kernel has counted."""

    def oom_notice(self, path: str) -> OomNotice | None:
        """Word of it running out of memory, for who closes it; None where the kernel gives none. OSError."""

    def freeze(self, path: str) -> None:
        """Stop all members where they are. OSError with the path."""

    def thaw(self, path: str) -> None:
        """Let them go on. OSError with the path."""
