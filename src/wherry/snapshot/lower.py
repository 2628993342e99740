"""The layers below, as the kernel's overlay will merge them: who has a name, and is it still visible?"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

from wherry.linux.walk import DIRECTORY

OPAQUE = b"trusted.overlay.opaque"


class Found(NamedTuple):
    """A visible file: ``path`` below the descriptor ``tree`` of the layer that has it."""

    tree: int
    path: bytes
    status: os.stat_result

    def open_directory(self) -> int:
        """A descriptor to list it by, which is the caller's to close. OSError where it is no directory."""
        return os.open(self.path or b".", DIRECTORY, dir_fd=self.tree)

    def open_file(self) -> int:
        """A descriptor to read it by, which is the caller's to close. OSError where it is a symlink."""
        return os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.tree)

    def readlink(self) -> bytes:
        """What the symlink says. OSError where it is none."""
        return os.readlink(self.path, dir_fd=self.tree)


class Lower:
    """The merged view of layer trees, topmost first. Paths are clean: relative, no ``.`` or ``..``."""

    def __init__(self, trees: Sequence[Path]) -> None:
        with ExitStack() as opened:
            flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
            self._fds = [open_into(opened, tree, flags) for tree in trees]
            self._opened = opened.pop_all()
        self._stacks: dict[bytes, tuple[int, ...]] = {b"": tuple(self._fds)}

    def close(self) -> None:
        """Let go of the layers; nothing is found from then on."""
        self._opened.close()
        self._fds = []
        self._stacks = {b"": ()}

    def lookup(self, path: bytes) -> Found | None:
        """The topmost visible file of that path, unfollowed; None if there is none or a layer hides it."""
        for fd in self._stack(path.rpartition(b"/")[0]) if path else self._fds:
            status = _lstat(path or b".", fd)
            if status is not None:
                return None if is_whiteout(status) else Found(fd, path, status)
        return None

    def names(self, path: bytes) -> set[bytes]:
        """What a reader sees in a directory; nothing where there is none."""
        names = {os.fsencode(name) for fd in self._stack(path) for name in _names(path or b".", fd)}
        prefix = path + b"/" if path else b""
        return {name for name in names if self.lookup(prefix + name)}

    def level(self, path: bytes) -> Level:
        """The directory ``path``, to look at many of its names; it is the caller's to close."""
        layers = self._stack(path)
        with ExitStack() as opened:
            found = [(layer, open_into(opened, path or b".", DIRECTORY, layer)) for layer in layers]
            return Level(found, opened.pop_all())

    def _stack(self, path: bytes) -> tuple[int, ...]:
        """The layers that contribute to the directory ``path``, topmost first; empty if it is none."""
        unknown: list[bytes] = []
        here = path
        while here not in self._stacks:
            unknown.append(here)
            here = here.rpartition(b"/")[0]
        if unknown:
            level = self.level(here)
            for here in reversed(unknown):
                with closing(level):
                    level = level.child(here.rpartition(b"/")[2])
                self._stacks[here] = level.layers
            level.close()
        return self._stacks[path]


class Level:
    """One directory of the merged view: of each layer that contributes to it, topmost first, the layer and it, open."""

    def __init__(self, directories: Sequence[tuple[int, int]] = (), opened: ExitStack | None = None) -> None:
        self._directories = directories
        self._opened = opened or ExitStack()

    @property
    def layers(self) -> tuple[int, ...]:
        return tuple(layer for layer, _ in self._directories)

    def find(self, name: bytes) -> Found | None:
        """The topmost visible file of that name, unfollowed; None if there is none or a layer hides it."""
        for _, directory in self._directories:
            status = _lstat(name, directory)
            if status is not None:
                return None if is_whiteout(status) else Found(directory, name, status)
        return None

    def child(self, name: bytes) -> Level:
        """The directory of that name, with nothing in it if there is none. The caller's to close."""
        found: list[tuple[int, int]] = []
        with ExitStack() as opened:
            for layer, directory in self._directories:
                try:
                    inside = open_into(opened, name, DIRECTORY, directory)
                except FileNotFoundError:
                    continue
                except NotADirectoryError:
                    break
                found.append((layer, inside))
                if _is_opaque(inside):
                    break
            return Level(found, opened.pop_all())

    def close(self) -> None:
        self._opened.close()
        self._directories = ()


def open_into(opened: ExitStack, path: Path | bytes, flags: int, directory: int | None = None) -> int:
    """A descriptor that is closed with the others of ``opened``."""
    descriptor = os.open(path, flags, dir_fd=directory)
    opened.callback(os.close, descriptor)
    return descriptor


def is_whiteout(status: os.stat_result) -> bool:
    """Whether overlayfs takes a file of this status for a mark that hides what lies below."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _lstat(path: bytes, fd: int) -> os.stat_result | None:
    try:
        return os.stat(path, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _is_opaque(directory: int) -> bool:
    try:
        return os.getxattr(directory, OPAQUE) == b"y"
    except OSError:
        return False


def _names(path: bytes, fd: int) -> list[str]:
    directory = os.open(path, DIRECTORY, dir_fd=fd)
    try:
        return os.listdir(directory)
    finally:
        os.close(directory)
