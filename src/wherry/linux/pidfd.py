"""Processes by descriptors, which mean the same process for ever, and by what holds a socket. pidfd_open(2)."""

from __future__ import annotations

import os
import select
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import cached_property

from wherry.linux import kernel_file


def open_pidfd(pid: int) -> int:
    """A pidfd, or -1 where the process has gone already."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return -1


def readable(pidfd: int, milliseconds: int = 0) -> bool:
    """Whether the process of a pidfd has ended, or does so in this time."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(milliseconds))


def send(pid: int, number: int) -> None:
    """Signal a process; one that has gone is fine."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def family(pid: int) -> list[int]:
    """A process, and then its children; nothing where it has gone."""
    try:
        return [pid, *map(int, kernel_file.read(f"/proc/{pid}/task/{pid}/children").split())]
    except OSError:
        return []


def descendants(pid: int) -> list[int]:
    """A process, and all that come of it; nothing where it has gone."""
    found = family(pid)
    return [*found[:1], *(other for child in found[1:] for other in descendants(child))]


class SocketHolders:
    """Which processes have which sockets, by one look at every process that there is, when it is first asked for.

    ``places``: the names of processes that count, each with the descriptors under which they may have one.
    """

    def __init__(self, places: Mapping[str, Collection[int]]) -> None:
        self._places = places

    def of(self, inode: int) -> list[int]:
        """Those that have a socket, by its inode."""
        return self._found.get(f"socket:[{inode}]", [])

    @cached_property
    def _found(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            for number in self._places.get(name_of(pid), ()):
                found.setdefault(link(pid, number), []).append(pid)
        return found


def name_of(pid: int) -> str:
    """What a process calls itself; "" where it has gone."""
    try:
        return kernel_file.read(f"/proc/{pid}/comm").rstrip()
    except OSError:
        return ""


def link(pid: int, number: int) -> str:
    """What a descriptor of a process is; "" where it is not open."""
    try:
        return os.readlink(f"/proc/{pid}/fd/{number}")
    except OSError:
        return ""
