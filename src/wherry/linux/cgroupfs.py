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


def children(path: str) -> list[str]:
    """Names of the cgroups directly below one; none where it does not exist."""
    try:
        with os.scandir(path) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def deepest_first(path: str) -> Iterator[str]:
    """A cgroup and all below it, inner ones before outer ones."""
    for name in children(path):
        yield from deepest_first(os.path.join(path, name))
    yield path


def processes(path: str) -> list[int]:
    """The members of a cgroup itself, by pid; none where it does not exist."""
    try:
        return [int(line) for line in kernel_file.read(os.path.join(path, "cgroup.procs")).split()]
    except OSError:
        return []


def kill_all(path: str) -> None:
    """SIGKILL to every process in a cgroup and below it; by cgroup.kill where the kernel has that."""
    for directory in deepest_first(path):
        try:
            kernel_file.write(os.path.join(directory, "cgroup.kill"), "1")
        except OSError:
            kill_each(processes(directory))


def kill_each(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


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
    left = [directory for directory in deepest_first(path) if not remove_directory(directory)]
    return not left


def remove_directory(path: str) -> bool:
    """Remove a cgroup that has neither members nor children. True when it is gone. Idempotent."""
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def keyed(text: str) -> dict[str, int]:
    """``memory.stat`` and its like: one ``key number`` a line."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].lstrip("-").isdigit()}
