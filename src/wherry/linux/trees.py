"""Removing files and directory trees that nobody vouches for."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from errno import ETIMEDOUT
from itertools import count
from math import inf
from pathlib import Path
from threading import Lock
from time import monotonic
from uuid import uuid4

from wherry.errors import sentence

log = logging.getLogger(__name__)

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Bin:
    """A directory where what was removed waits to be deleted, which can take long.

    It is on the same file system as what is thrown in. Safe to call from any thread.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._emptying = Lock()
        self._left: set[str] = set()  # names that could not be deleted

    def throw(self, path: Path) -> None:
        """Take a file or a directory out of its place, by one rename. Absent is fine."""
        with suppress(FileNotFoundError):
            os.rename(path, self._path / f"{path.name}.{uuid4().hex}")

    def empty(self, seconds: float = inf) -> None:
        """Delete all that has been thrown in. What cannot be deleted, or is not in this time, is left for the next.

        A process may still be writing there: it has left its container, and the container is gone.
        """
        with self._emptying:
            until = monotonic() + seconds
            left = {
                name for name in os.listdir(self._path) if not discard(self._path / name, until, self._left)
            }
            self._left = left


def discard(path: Path, until: float = inf, told: Collection[str] = ()) -> bool:
    """Remove a file or a directory, with all in it; absent is fine. False where something is left, which is told in the
    log, but not again for names in ``told``."""
    try:
        if path.is_dir() and not path.is_symlink():
            remove_tree(path, until=until)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        if path.name not in told:
            log.warning("cannot delete %s: %s", path, sentence(error))
        return False
    return True


def remove_tree(
    path: str | bytes | os.PathLike[str], *, dir_fd: int | None = None, until: float = inf
) -> None:
    """Remove a directory with all in it; absent is fine. No symlink is followed. TimeoutError at ``until``, by the
    monotonic clock; else OSError where something cannot be removed, or comes faster than it goes.

    Needs neither recursion nor a descriptor per level, so that no depth of nesting stops it: a subdirectory
    that is not empty is first moved up, beside its parent.
    """
    try:
        top = os.open(path, _OPEN, dir_fd=dir_fd)
    except FileNotFoundError:
        return
    try:
        fresh = (f".{uuid4().hex}-{number}" for number in count())
        pending = list(_clear(top, top, fresh))
        while pending:
            if monotonic() > until:
                raise TimeoutError(
                    ETIMEDOUT, "it takes too long, or something is still writing in it", os.fsdecode(path)
                )
            name = pending.pop()
            directory = os.open(name, _OPEN, dir_fd=top)
            try:
                pending += _clear(directory, top, fresh)
            finally:
                os.close(directory)
            os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(path, dir_fd=dir_fd)


def _clear(directory: int, top: int, fresh: Iterator[str]) -> Iterator[str]:
    """Empty ``directory``; yield the names in ``top`` to which its non-empty subdirectories were moved."""
    with os.scandir(directory) as entries:
        found = list(entries)
    for entry in found:
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.name, dir_fd=directory)
        elif not _rmdir(entry.name, directory):
            name = next(fresh)
            os.rename(entry.name, name, src_dir_fd=directory, dst_dir_fd=top)
            yield name


def _rmdir(name: str, directory: int) -> bool:
    try:
        os.rmdir(name, dir_fd=directory)
    except OSError:
        return False
    return True
