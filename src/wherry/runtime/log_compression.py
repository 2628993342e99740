"""Rotated files of a log, compressed: by the daemon, since a monitor has neither zlib nor the time.

The compressed file has no name at first, so that nothing is left of it where the daemon ends in the middle. It gets
the name of the other, with ``.gz``, and only then that one goes: at any moment one of the two is whole. Who renames the
files of a log does that, as the other's number may change at any time: the monitor while there is one.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from wherry.linux.writing import write_all
from wherry.runtime.log_files import BLOCK, GZIP, ORIGIN, numbers, open_plain

MODE = 0o640  # native/log.c


@dataclass(frozen=True, slots=True)
class Compressed:
    """A rotated file, and the same compressed. Owns both descriptors: while they are open, no other has that inode."""

    original: int
    descriptor: int

    @property
    def is_settled(self) -> bool:
        """Whether it has taken the other's place, or that was not needed any more."""
        return not (os.fstat(self.original).st_nlink and not os.fstat(self.descriptor).st_nlink)

    def close(self) -> None:
        os.close(self.original)
        os.close(self.descriptor)


def compress_one(path: str, stopped: Callable[[], bool]) -> Compressed | None:
    """The newest of a log's rotated files that is not compressed, as it stays longest. None where there is none, where
    it was ``stopped``, and where the disk has no room to spare, which the log itself needs. OSError where it fails."""
    original = open_newest(path)
    if original is None:
        return None
    if not has_room(original):
        os.close(original)
        return None
    try:
        packed = os.open(os.path.dirname(path), os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, MODE)
    except OSError:
        os.close(original)
        raise
    both = Compressed(original, packed)
    try:
        if compress(original, packed, stopped):
            os.setxattr(packed, ORIGIN, str(os.fstat(original).st_ino).encode())
            os.fdatasync(packed)
            return both
    except OSError:
        both.close()
        raise
    both.close()
    return None


def open_newest(path: str) -> int | None:
    """Of those without a compressed form. One with both was in the middle of this when somebody was killed: its
    compressed form counts for nothing, and goes with it."""
    found = numbers(path)
    for number in sorted(set(found)):
        if number > 0 and found.count(number) == 1 and (file := open_plain(f"{path}.{number}")) is not None:
            return file.descriptor
    return None


def has_room(original: int) -> bool:
    """For the compressed file, whatever is in it, and as much again of the log meanwhile."""
    free = os.fstatvfs(original)
    return free.f_bavail * free.f_frsize >= 2 * os.fstat(original).st_size


def compress(source: int, target: int, stopped: Callable[[], bool]) -> bool:
    """False where it was ``stopped``."""
    zipper, position = zlib.compressobj(wbits=GZIP), 0
    while block := os.pread(source, BLOCK, position):
        if stopped():
            return False
        position += len(block)
        write_all(target, zipper.compress(block))
    write_all(target, zipper.flush())
    return True


def put_in_place(path: str, compressed: Compressed) -> None:
    """Of a log that nobody writes; with a monitor it is that one's work. OSError for a full disk."""
    original = os.fstat(compressed.original)
    for number in set(numbers(path)):
        name = f"{path}.{number}"
        try:
            same = os.path.samestat(os.stat(name, follow_symlinks=False), original)
        except FileNotFoundError:
            continue
        if same:
            with suppress(FileExistsError):
                # Python follows the link only where it is given a folder, which an absolute path does not need.
                link = f"/proc/self/fd/{compressed.descriptor}"
                os.link(link, f"{name}.gz", src_dir_fd=compressed.descriptor, follow_symlinks=True)
                os.unlink(name)
