"""What a writable tree changes, as ``docker diff`` tells it. Engine API, ``GET /containers/{id}/changes``."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from enum import IntEnum
from itertools import takewhile
from typing import NamedTuple

from wherry.content.names import PATH_LIMIT
from wherry.linux.walk import Visit
from wherry.snapshot.lower import Found, is_whiteout
from wherry.snapshot.upper import Upper

_SECOND = 1_000_000_000


class Kind(IntEnum):
    """Docker's numbers."""

    MODIFIED = 0
    ADDED = 1
    DELETED = 2


class Change(NamedTuple):
    """``path`` is absolute, as the container sees it."""

    kind: Kind
    path: bytes


def changes(upper: Upper) -> Iterator[Change]:
    """The changes by path, each after those of the directories above it.

    As dockerd compares two mounted trees: a file that was opened for writing and left as it was has not
    changed; of a directory's own attributes the time does not count, but a change below makes it modified; of
    a directory that is gone, or is something else now, what was in it is not listed.
    """
    told: list[bytes] = []  # directories on the way to the present file that are in the answer
    opaque = b""  # the one of them that hides what lies below it, with a slash
    for visit in upper.visits():
        path = visit.path
        if len(path) > PATH_LIMIT:  # nobody can name it
            visit.descend = False
            continue
        if not (opaque and path.startswith(opaque)):
            is_opaque = stat.S_ISDIR(visit.status.st_mode) and upper.is_opaque(visit)
            opaque = path + b"/" if is_opaque else b""
        for change in _changes_of(upper, visit, path, bool(opaque)):
            yield from _parents(change.path, told)
            yield change


def _changes_of(upper: Upper, visit: Visit, path: bytes, opaque: bool) -> Iterator[Change]:
    before = upper.lower.lookup(path)
    if is_whiteout(visit.status):
        if before is not None:
            yield Change(Kind.DELETED, b"/" + path)
        return
    if before is None:
        yield Change(Kind.ADDED, b"/" + path)
    elif _differs(before, visit):
        yield Change(Kind.MODIFIED, b"/" + path)
    if opaque and before is not None and stat.S_ISDIR(visit.status.st_mode):
        for name in sorted(upper.hidden_below(visit)):
            yield Change(Kind.DELETED, b"/" + path + b"/" + name)


def _parents(path: bytes, told: list[bytes]) -> Iterator[Change]:
    """The directories above that have not been told of; ``told`` becomes the chain down to ``path``."""
    above = path.split(b"/")[1:-1]
    pairs = zip(told, above, strict=False)
    for depth in range(sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs)), len(above)):
        yield Change(Kind.MODIFIED, b"/" + b"/".join(above[: depth + 1]))
    told[:] = path.split(b"/")[1:]


def _differs(before: Found, visit: Visit) -> bool:
    old, new = before.status, visit.status
    same = (
        (old.st_mode, old.st_uid, old.st_gid, old.st_rdev)
        == (new.st_mode, new.st_uid, new.st_gid, new.st_rdev)
        and (stat.S_ISDIR(new.st_mode) or (old.st_size == new.st_size and _same_time(old, new)))
        and _capability_below(before) == _capability(visit)
    )
    return not same


def _same_time(old: os.stat_result, new: os.stat_result) -> bool:
    """As dockerd: an archive may have cut off what is less than a second."""
    fractions = (old.st_mtime_ns % _SECOND, new.st_mtime_ns % _SECOND)
    same_second = old.st_mtime_ns // _SECOND == new.st_mtime_ns // _SECOND
    return same_second and (fractions[0] == fractions[1] or 0 in fractions)


def _capability(visit: Visit) -> bytes:
    return _capability_at(visit.status, lambda: visit.open(os.O_RDONLY))


def _capability_below(found: Found) -> bytes:
    return _capability_at(found.status, found.open_file)


def _capability_at(status: os.stat_result, open_file: Callable[[], int]) -> bytes:
    """None where there is none, or the file is gone by now."""
    if not stat.S_ISREG(status.st_mode):
        return b""
    try:
        fd = open_file()
    except OSError:
        return b""
    try:
        return os.getxattr(fd, "security.capability")
    except OSError:
        return b""
    finally:
        os.close(fd)
