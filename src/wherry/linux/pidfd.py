"""Processes by descriptors, which mean the same process for ever, and by what holds a socket. pidfd_open(2)."""

from __future__ import annotations

import os
import select
from collections.abc import Collection, Iterator
from contextlib import suppress

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


def has_ended(pid: int) -> bool:
    """Whether a process has ended; where that cannot be found out now, it has not."""
    try:
        pidfd = open_pidfd(pid)
    except OSError:
        return False
    if pidfd < 0:
        return True
    try:
        return readable(pidfd)
    finally:
        os.close(pidfd)


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


def holders(inode: int, names: Collection[str], numbers: range) -> list[int]:
    """The processes of these names that have a socket, by its inode, under one of these descriptors."""
    socket = f"socket:[{inode}]"
    return [pid for pid in named(names) if any(link(pid, number) == socket for number in numbers)]


def named(names: Collection[str]) -> Iterator[int]:
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit() and name_of(int(entry)) in names)


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
