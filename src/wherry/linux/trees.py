"""Removing files and directory trees that nobody vouches for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import Lock
from uuid import uuid4

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Bin:
    """A directory where what was removed waits to be deleted, which can take long.

    It is on the same file system as what is thrown in. Safe to call from any thread.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._emptying = Lock()

    def throw(self, path: Path) -> None:
        """Take a file or a directory out of its place, by one rename. Absent is fine."""
        with suppress(FileNotFoundError):
            os.rename(path, self._path / f"{path.name}.{uuid4().hex}")

    def empty(self) -> None:
        """Delete all that has been thrown in."""
        with self._emptying:
            for name in os.listdir(self._path):
                path = self._path / name
                if path.is_dir() and not path.is_symlink():
                    remove_tree(path)
                else:
                    path.unlink()


def remove_tree(path: str | bytes | os.PathLike[str], *, dir_fd: int | None = None) -> None:
    """Remove a directory with all in it; absent is fine. No symlink is followed.

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
