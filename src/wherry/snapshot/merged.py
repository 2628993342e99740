"""A layer under construction and those below, seen as one: where does a path lead?"""

from __future__ import annotations

import os
import stat

from wherry.content.names import show
from wherry.errors import InvalidArgument
from wherry.snapshot.lower import Found, Lower

_LINKS = 40  # symlinks on one path; the kernel's own limit


class Merged:
    """The tree behind the descriptor ``root`` on top of ``lower``.

    ``whiteouts`` and ``opaque`` are the real paths that the upper tree's archive has hidden so far, or whose
    contents below it has. They become marks in the tree only when the archive has ended.
    """

    def __init__(self, root: int, lower: Lower) -> None:
        self.lower = lower
        self.whiteouts: set[bytes] = set()
        self.opaque: set[bytes] = set()
        self._root = root

    def resolve(self, path: bytes) -> bytes:
        """``path`` with its symlinks followed inside the image. The result may not exist yet."""
        done: list[bytes] = []
        todo = path.split(b"/")[::-1] if path else []
        links = 0
        while todo:
            name = todo.pop()
            if name in (b"", b"."):
                continue
            if name == b"..":
                del done[-1:]
                continue
            here = b"/".join([*done, name])
            target = self._link_target(here)
            if target is None:
                done.append(name)
                continue
            links += 1
            if links > _LINKS or len(here) + len(target) > 8192:
                raise InvalidArgument(f"too many symlinks on the way to {show(path)}")
            if target.startswith(b"/"):
                done.clear()
            todo += target.split(b"/")[::-1]
        return b"/".join(done)

    def resolve_parent(self, path: bytes) -> bytes:
        """``path`` with the symlinks on the way to its last name followed, and that name as it is."""
        parent, _, base = path.rpartition(b"/")
        real = self.resolve(parent)
        return real + b"/" + base if real else base

    def _link_target(self, path: bytes) -> bytes | None:
        """What a symlink at a real path says; None if there is none. A file in the way is an error."""
        status = self.lstat(path)
        if status is not None:
            if stat.S_ISDIR(status.st_mode):
                return None
            if stat.S_ISLNK(status.st_mode):
                return os.readlink(path, dir_fd=self._root)
            raise InvalidArgument(f"the archive uses {show(path)} as a directory, which it is not")
        found = self.below(path)
        return found.readlink() if found and stat.S_ISLNK(found.status.st_mode) else None

    def lstat(self, path: bytes) -> os.stat_result | None:
        """Of a path whose directories were just seen to be none but directories."""
        try:
            return os.stat(path, dir_fd=self._root, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def below(self, path: bytes) -> Found | None:
        """The file in the layers below, unless this layer hides it or a directory above it."""
        at = 0
        while path and at <= len(path):
            end = path.find(b"/", at)
            end = len(path) if end < 0 else end
            if path[: max(at - 1, 0)] in self.opaque or path[:end] in self.whiteouts:
                return None
            at = end + 1
        return self.lower.lookup(path)
