"""Going through a directory tree that somebody else may change at the same time."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN = 64  # descriptors that a walk holds at most, but for its top's


class Visit:
    """A file that a walk has come to: ``name`` in the open ``directory``. Good until the walk's next step."""

    __slots__ = ("_above", "descend", "directory", "name", "status")

    def __init__(self, directory: int, name: bytes, status: os.stat_result, above: list[bytes]) -> None:
        self.directory, self.name, self.status = directory, name, status
        self.descend = True  # where it is a directory
        self._above = above

    @property
    def path(self) -> bytes:
        """From the walk's top, without a leading slash."""
        return b"/".join([*self._above, self.name])

    @property
    def depth(self) -> int:
        """How many directories lie between it and the top."""
        return len(self._above)

    def open(self, flags: int) -> int:
        """Its descriptor, if it is no symlink; opening a fifo or device does not wait."""
        return os.open(self.name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.directory)


@dataclass(slots=True)
class _Level:
    descriptor: int
    identity: tuple[int, int] = (0, 0)
    names: list[bytes] = field(default_factory=list)  # still to come, last first


def walk(top: int) -> Iterator[Visit]:
    """Every file below the directory ``top``, parents first, in the order of their names' bytes.

    Each is found by its name in an open directory and no symlink is followed, so that nobody who can write in
    the tree leads the walk out of it. What is removed meanwhile is left out; so is what lies beside a
    directory that was moved elsewhere while the walk was more than ``_OPEN`` levels below it.
    """
    levels = [_enter(os.dup(top))]
    above: list[bytes] = []
    try:
        while levels:
            level = levels[-1]
            if not level.names:
                _leave(levels)
                del above[max(len(levels) - 1, 0) :]
                continue
            visit = _visit(level, above)
            if visit is None:
                continue
            yield visit
            if visit.descend and stat.S_ISDIR(visit.status.st_mode):
                with suppress(OSError):  # it is no directory any more
                    levels.append(_enter(visit.open(DIRECTORY)))
                    above.append(visit.name)
                    _close_distant(levels)
    finally:
        for level in levels:
            _close(level)


def _visit(level: _Level, above: list[bytes]) -> Visit | None:
    name = level.names.pop()
    try:
        status = os.stat(name, dir_fd=level.descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return Visit(level.descriptor, name, status, above)


def _enter(descriptor: int) -> _Level:
    status = os.fstat(descriptor)
    names = sorted(map(os.fsencode, os.listdir(descriptor)), reverse=True)
    return _Level(descriptor, (status.st_dev, status.st_ino), names)


def _leave(levels: list[_Level]) -> None:
    """Go up to the level above, or, where that cannot be found any more, to the top."""
    left = levels.pop()
    if levels and levels[-1].descriptor < 0 and not _reopen(levels[-1], left):
        del levels[1:]
    _close(left)


def _reopen(level: _Level, below: _Level) -> bool:
    """Open a level again by ``..``, which is it only if it has the same inode."""
    with suppress(OSError):
        descriptor = os.open(b"..", DIRECTORY, dir_fd=below.descriptor)
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) == level.identity:
            level.descriptor = descriptor
            return True
        os.close(descriptor)
    return False


def _close_distant(levels: list[_Level]) -> None:
    if len(levels) > _OPEN + 1:
        _close(levels[-_OPEN - 1])


def _close(level: _Level) -> None:
    if level.descriptor >= 0:
        os.close(level.descriptor)
        level.descriptor = -1
