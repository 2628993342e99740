"""A writable tree made into a layer in its place, without a copy."""

from __future__ import annotations

import os
import stat

from wherry.linux.walk import Visit
from wherry.snapshot.lower import OPAQUE, is_whiteout
from wherry.snapshot.merged import inherited
from wherry.snapshot.pack import root_entry
from wherry.snapshot.upper import Upper, marks_of, opened


def settle(upper: Upper) -> int:
    """Make the tree what unpacking its archive would make; returns the bytes in its regular files.

    What no archive holds goes: sockets, and overlayfs' notes on where a file was copied from. Nobody may write
    in the tree any more.
    """
    sizes: dict[tuple[int, int], int] = {}
    for visit in upper.visits():
        kind = stat.S_IFMT(visit.status.st_mode)
        if kind == stat.S_IFSOCK or (is_whiteout(visit.status) and not upper.hides(visit)):
            _unlink(visit)
        elif kind == stat.S_IFREG:
            sizes[visit.status.st_dev, visit.status.st_ino] = visit.status.st_size
            _unmark(upper, visit)
        elif kind == stat.S_IFDIR:
            _unmark(upper, visit)
    _settle_root(upper)
    return sum(sizes.values())


def _settle_root(upper: Upper) -> None:
    for mark in marks_of(upper.root):
        os.removexattr(upper.root, mark)
    if root_entry(upper) is None:
        time = inherited(upper.lower.lookup(b""), b"").mtime
        os.utime(upper.root, ns=(time, time))


def _unmark(upper: Upper, visit: Visit) -> None:
    with opened(visit) as fd:
        for mark in marks_of(fd):
            if mark != OPAQUE or not _hides_a_directory(upper, visit):
                os.removexattr(fd, mark)


def _hides_a_directory(upper: Upper, visit: Visit) -> bool:
    found = upper.lower.lookup(visit.path)
    return found is not None and stat.S_ISDIR(found.status.st_mode)


def _unlink(visit: Visit) -> None:
    """Without a trace in the time of its directory."""
    before = os.fstat(visit.directory)
    os.unlink(visit.name, dir_fd=visit.directory)
    os.utime(visit.directory, ns=(before.st_atime_ns, before.st_mtime_ns))
