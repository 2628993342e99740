"""A writable tree as overlayfs leaves it, beside the layers below: what its marks mean. Kernel, overlayfs.rst.

Whiteouts are character devices 0:0; a directory with ``trusted.overlay.opaque`` hides what lies below it. New
directories get that mark also where nothing lies below. Redirects and metadata-only copies are switched off
when the tree is mounted (``overlay.OPTIONS``): where one is found, this reader would misjudge the tree.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from wherry.content.names import show
from wherry.errors import Internal
from wherry.linux.walk import DIRECTORY, Visit, walk
from wherry.snapshot.files import OVERLAY_XATTRS
from wherry.snapshot.lower import OPAQUE, Lower, is_whiteout

_UNSUPPORTED = (b"trusted.overlay.redirect", b"trusted.overlay.metacopy")


class Upper:
    """The writable tree behind the descriptor ``root`` on the layers ``lower``."""

    def __init__(self, root: int, lower: Lower) -> None:
        self.root, self.lower = root, lower

    def visits(self) -> Iterator[Visit]:
        """Every file of the tree itself, whiteouts among them, parents first, by name."""
        return walk(self.root)

    def hides(self, visit: Visit) -> bool:
        """Whether it is a whiteout of something."""
        return is_whiteout(visit.status) and self.lower.lookup(visit.path) is not None

    def is_opaque(self, visit: Visit) -> bool:
        """Whether a directory itself says that it hides what lies below it. (So does all that is in it, then.)"""
        try:
            with opened(visit) as directory:
                return is_opaque(directory)
        except OSError:  # it is gone, or no directory any more
            return False

    def hidden_below(self, visit: Visit) -> set[bytes]:
        """What a directory that hides what lies below it hides of the layers: names that are not its own."""
        try:
            with opened(visit) as directory:
                own = set(map(os.fsencode, os.listdir(directory)))
        except OSError:
            return set()
        return self.lower.names(visit.path) - own


@contextmanager
def upper_of(tree: Path, layers: Sequence[Path]) -> Iterator[Upper]:
    """The writable ``tree`` on ``layers``, topmost first."""
    lower = Lower(layers)
    try:
        root = os.open(tree, DIRECTORY)
        try:
            yield Upper(root, lower)
        finally:
            os.close(root)
    finally:
        lower.close()


@contextmanager
def opened(visit: Visit) -> Iterator[int]:
    """The descriptor of a directory or regular file, to read."""
    fd = visit.open(os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


def is_opaque(directory: int) -> bool:
    """Whether it hides the directory of the same name in the layers below."""
    marks = marks_of(directory)
    return OPAQUE in marks and os.getxattr(directory, OPAQUE) == b"y"


def marks_of(fd: int) -> list[bytes]:
    """Names of overlayfs' own attributes. Internal where one says that the tree needs more than this to be read."""
    marks = [name for name in map(os.fsencode, os.listxattr(fd)) if name.startswith(OVERLAY_XATTRS)]
    for mark in marks:
        if mark in _UNSUPPORTED:
            raise Internal(
                f"the writable tree has {show(mark)}, which overlayfs sets only where redirect_dir or metacopy "
                "is on: its changes cannot be told; copy what is needed out of the container"
            )
    return marks
