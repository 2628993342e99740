"""Control group directories: listing, reading, killing what is in them, removing. cgroups(7)."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator

from wherry.linux import kernel_file

REMOVE_TRIES = 40
REMOVE_PAUSE = 0.005  # seconds; killed processes need a moment to leave
NO_CHILDREN = 2  # links of a directory without directories in it
MEMBERS = "cgroup.procs"

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def children(path: str | int) -> list[str]:
    """Names of the cgroups directly below one, by path or descriptor; none where it does not exist."""
    try:
        with os.scandir(path) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def has_children(group: int) -> bool:
    """A directory's links are its name, its own dot, and each child's two dots: cheaper than listing its files."""
    return os.fstat(group).st_nlink > NO_CHILDREN


def nothing(above: int, name: str) -> None:
    """What is done with a cgroup that is only passed."""


def groups(path: str, leave: Callable[[int, str], object] = nothing) -> Iterator[int]:
    """A cgroup and all below it, outer ones before inner ones, each by a descriptor that is good until the next is
    asked for. ``leave`` is called with the one above and the name of each below the first, once all that is below it
    has been seen.

    Goes by descriptors, of which it has one, and without recursion: who is in a cgroup may nest them deeper than any
    path is long. What is taken away meanwhile is passed over; where it is what we are in, this ends.
    """
    try:
        here = os.open(path, _OPEN)
    except FileNotFoundError:
        return
    names = list[str]()  # of each level below the first
    pending = list[list[str]]()  # what is to be seen in each level
    try:
        yield here
        pending.append(children(here) if has_children(here) else [])
        while names or pending[-1]:
            below = pending[-1].pop() if pending[-1] else ".."
            try:
                here, left = os.open(below, _OPEN, dir_fd=here), here
            except FileNotFoundError:
                if below == "..":
                    return
                continue
            os.close(left)
            if below == "..":
                pending.pop()
                leave(here, names.pop())
                continue
            names.append(below)
            yield here
            pending.append(children(here) if has_children(here) else [])
    finally:
        os.close(here)


def processes(path: str) -> list[int]:
    """The members of a cgroup and of all below it, by pid; none where it does not exist."""
    return [pid for group in groups(path) for pid in members(group)]


def members(group: int) -> list[int]:
    """Of the cgroup itself."""
    try:
        return [int(line) for line in kernel_file.read(MEMBERS, dir_fd=group).split()]
    except OSError:
        return []


def kill_all(path: str) -> None:
    """SIGKILL to every process in a cgroup and below it; by cgroup.kill where the kernel has that."""
    for group in groups(path):
        try:
            kernel_file.write("cgroup.kill", "1", dir_fd=group)
        except OSError:
            kill_each(members(group))


def kill_each(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def write_all(path: str, file: str, value: str) -> None:
    """The same to a file of a cgroup and of each below it; where that fails it stays as it is."""
    for group in groups(path):
        with contextlib.suppress(OSError):
            kernel_file.write(file, value, dir_fd=group)


def remove(path: str) -> bool:
    """Kill what is left, and remove a cgroup with all below it. True when it is gone. Idempotent."""
    return remove_all([path], lambda: kill_all(path))


def remove_all(paths: Iterable[str], kill: Callable[[], None]) -> bool:
    """Remove cgroups with all below them, once ``kill`` has ended what is in them. True when they are gone."""
    for attempt in range(REMOVE_TRIES):
        if attempt:
            kill()
            time.sleep(REMOVE_PAUSE)
        paths = [path for path in paths if not remove_tree(path)]
        if not paths:
            return True
    return False


def remove_tree(path: str) -> bool:
    """Remove a cgroup and all below it that has no members. True when it is gone."""
    if remove_directory(path):
        return True
    for _ in groups(path, lambda above, name: remove_directory(name, dir_fd=above)):
        pass
    return remove_directory(path)


def remove_directory(path: str, *, dir_fd: int | None = None) -> bool:
    """Remove a cgroup that has neither members nor children. True when it is gone. Idempotent."""
    try:
        os.rmdir(path, dir_fd=dir_fd)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def keyed(text: str) -> dict[str, int]:
    """``memory.stat`` and its like: one ``key number`` a line."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].lstrip("-").isdigit()}
