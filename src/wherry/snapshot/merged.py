"""A layer under construction and those below, seen as one: where does a path lead?"""

from __future__ import annotations

import os
import stat

from wherry.content.names import show
from wherry.content.tar import Entry, Kind
from wherry.errors import InvalidArgument
from wherry.linux.walk import DIRECTORY
from wherry.snapshot.files import xattrs_of
from wherry.snapshot.lower import Found, Level, Lower
from wherry.snapshot.notes import Note, Notes

_LINKS = 40  # symlinks on one path; the kernel's own limit
_IMPLIED = 1 << 16  # directories of a layer that its archive needs and does not carry


class Merged:
    """The tree behind the descriptor ``root`` on top of ``lower``, and what its archive has said so far (``notes``).

    Whiteouts and opaque directories hide from the moment they are noted; they become marks in the tree only
    when the archive has ended.
    """

    def __init__(self, root: int, lower: Lower) -> None:
        self.lower = lower
        self.notes = Notes()
        self.root = root
        self._implied = 0

    def enter(self, path: bytes) -> tuple[bytes, int]:
        """A directory of the tree, its symlinks followed inside the image: the real path, and a descriptor.

        Directories that are only implied are made, with the attributes that the layers below give them. The
        descriptor is the caller's to close. InvalidArgument where something else is on the way.
        """
        here = Place(self)
        todo = path.split(b"/")[::-1]
        links = 0
        try:
            while todo:
                name = todo.pop()
                target = here.go(name)
                if target is None:
                    continue
                links += 1
                if links > _LINKS or len(here.path) + len(target) > 8192:
                    raise InvalidArgument(f"too many symlinks on the way to {show(path)}")
                if target.startswith(b"/"):
                    here.restart()
                todo += target.split(b"/")[::-1]
        except BaseException:
            here.close()
            raise
        return here.path, here.release()

    def lstat(self, path: bytes) -> os.stat_result | None:
        """Of a path whose directories were just seen to be none but directories."""
        try:
            return os.stat(path, dir_fd=self.root, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def below(self, path: bytes) -> Found | None:
        """The file in the layers below, unless this layer hides it or a directory above it."""
        return None if self.notes.hide(path) else self.lower.lookup(path)

    def level(self, path: bytes) -> Level:
        """The directory in the layers below, with nothing in it where this layer hides it. The caller's to close."""
        return Level() if self.notes.hide(path, inside=True) else self.lower.level(path)

    def imply(self, path: bytes) -> None:
        """Count a directory that is not carried; each costs the archive a few bytes and the disk a block."""
        self._implied += 1
        if self._implied > _IMPLIED:
            raise InvalidArgument(
                f"the archive implies more than {_IMPLIED} directories without carrying them; the next is {show(path)}"
            )


class Place:
    """A directory of the tree on the way along a path, and, where the way is being made, the one below it."""

    def __init__(self, merged: Merged) -> None:
        self._merged = merged
        self._names: list[bytes] = []
        self._descriptor = os.dup(merged.root)
        self._below: tuple[Level, Note] | None = None

    @property
    def path(self) -> bytes:
        return b"/".join(self._names)

    def go(self, name: bytes) -> bytes | None:
        """Go to a name in this directory, which is made where nothing has it. What it says where it is a symlink."""
        if name in (b"", b"."):
            return None
        if name == b"..":
            if self._names:
                self._names.pop()
                self._move(os.open(b"..", DIRECTORY, dir_fd=self._descriptor))
            return None
        try:
            inside = os.open(name, DIRECTORY, dir_fd=self._descriptor)
        except FileNotFoundError:
            return self._make(name)
        except NotADirectoryError:
            return self._link(name)
        self._names.append(name)
        self._move(inside)
        return None

    def _link(self, name: bytes) -> bytes:
        status = os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        if not stat.S_ISLNK(status.st_mode):
            path = b"/".join([*self._names, name])
            raise InvalidArgument(f"the archive uses {show(path)} as a directory, which it is not")
        return os.readlink(name, dir_fd=self._descriptor)

    def _make(self, name: bytes) -> bytes | None:
        if self._below is None:
            path = self.path
            self._below = self._merged.level(path), self._merged.notes.at(path)
        level, note = self._below
        inner = note.child(name)
        found = None if inner.whiteout else level.find(name)
        if found is not None and stat.S_ISLNK(found.status.st_mode):
            return found.readlink()
        self._names.append(name)
        path = self.path
        self._merged.imply(path)
        os.mkdir(name, 0o700, dir_fd=self._descriptor)
        inner.attributes = inherited(found, path)
        hidden = inner.whiteout or inner.opaque
        self._below = (Level() if hidden else level.child(name)), inner
        level.close()
        inside = os.open(name, DIRECTORY, dir_fd=self._descriptor)
        os.close(self._descriptor)
        self._descriptor = inside
        return None

    def restart(self) -> None:
        """Back to the root."""
        self._names.clear()
        self._move(os.dup(self._merged.root))

    def release(self) -> int:
        """The descriptor, which is the caller's from now on."""
        descriptor, self._descriptor = self._descriptor, -1
        self.close()
        return descriptor

    def close(self) -> None:
        self._move(-1)

    def _move(self, descriptor: int) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = descriptor
        if self._below is not None:
            self._below[0].close()
            self._below = None


def inherited(found: Found | None, path: bytes) -> Entry:
    """The attributes of a directory that an archive implies but does not carry: as the layers below have it."""
    if found is None or not stat.S_ISDIR(found.status.st_mode):
        return Entry(path, Kind.DIRECTORY, 0o755, 0, 0, 0, 0, xattrs={})
    status = found.status
    fd = found.open_directory()
    try:
        xattrs = xattrs_of(fd)
    finally:
        os.close(fd)
    mode = stat.S_IMODE(status.st_mode)
    return Entry(
        path, Kind.DIRECTORY, mode, status.st_uid, status.st_gid, 0, status.st_mtime_ns, xattrs=xattrs
    )
