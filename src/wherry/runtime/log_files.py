"""The files of a json-file log: ``path``, which the monitor writes, and ``path.1`` and so on, which it was before.

A rotated file may be compressed, and is then called ``path.1.gz``. Both kinds are read by blocks of whole lines.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

BLOCK = 256 * 1024
TAIL_BLOCK = 64 * 1024
TRIES = 8  # to open all files of a log without one becoming another meanwhile
IN_THREAD = 1024 * 1024  # what is longer is read by a thread
GZIP = 31  # zlib's wbits: with gzip's header
# On a compressed file: the inode of what it was made of, by which a reader who has that open knows it again.
ORIGIN = "trusted.wherry.origin"

Identity = tuple[int, int]


@dataclass(slots=True)
class LogFile:
    """An open file of a log, and how far it has been read. It stays the same file when it is renamed."""

    descriptor: int
    identity: Identity
    position: int = 0

    @property
    def origin(self) -> Identity:
        """Which file it was when it was written."""
        return self.identity

    def size(self) -> int:
        return os.fstat(self.descriptor).st_size

    def unread(self) -> int:
        """Bytes, or at least how many."""
        return self.size() - self.position

    def next_lines(self) -> bytes:
        """About a block of whole lines, or nothing. A single line may be longer than a block."""
        size = BLOCK
        while True:
            block = os.pread(self.descriptor, size, self.position)
            end = block.rfind(b"\n") + 1
            if end or len(block) < size:
                self.position += end
                return block[:end]
            size *= 2

    def keep_last(self, lines: int) -> int:
        """Leave only the last lines to read; how many are still wanted from older files."""
        self.position, lines = tail_position(self, lines)
        return lines

    def begin_anew(self) -> None:
        """A log of one file, when it is full, is written from its beginning again."""
        if self.size() < self.position:
            self.position = 0

    def close(self) -> None:
        os.close(self.descriptor)


class CompressedFile:
    """The same of a rotated file that was compressed. It is unpacked as it is read, and never whole."""

    def __init__(self, descriptor: int, identity: Identity, origin: Identity) -> None:
        self.descriptor = descriptor
        self.identity = identity
        self.origin = origin
        self._blocks = unpacked(descriptor)
        self._rest = b""

    def unread(self) -> int:
        """Too much for whoever must not wait."""
        return IN_THREAD + 1

    def next_lines(self) -> bytes:
        """Whole lines, or nothing."""
        while not (end := self._rest.rfind(b"\n") + 1):
            block = next(self._blocks, b"")
            if not block:
                return b""
            self._rest += block
        lines, self._rest = self._rest[:end], self._rest[end:]
        return lines

    def keep_last(self, lines: int) -> int:
        """As of a LogFile. It is unpacked once to be counted."""
        if lines == 0:
            self._blocks = iter(())
            return 0
        count = sum(block.count(b"\n") for block in unpacked(self.descriptor))
        self._skip(count - lines)
        return max(0, lines - count)

    def _skip(self, lines: int) -> None:
        while lines > 0:
            self._rest = next(self._blocks, b"")
            here = self._rest.count(b"\n")
            if here >= lines or not self._rest:
                break
            lines -= here
        if lines > 0:
            self._rest = self._rest.split(b"\n", lines)[-1]

    def begin_anew(self) -> None:
        """It never grows."""

    def close(self) -> None:
        os.close(self.descriptor)


AnyFile = LogFile | CompressedFile


def unpacked(descriptor: int) -> Iterator[bytes]:
    """What a gzip file holds, block by block; where it is damaged it ends."""
    unzip, position = zlib.decompressobj(GZIP), 0
    with suppress(zlib.error):
        while not unzip.eof and (data := os.pread(descriptor, TAIL_BLOCK, position)):
            position += len(data)
            while data and not unzip.eof:
                if block := unzip.decompress(data, BLOCK):
                    yield block
                data = unzip.unconsumed_tail
        if block := unzip.flush():
            yield block


def tail_position(file: LogFile, lines: int) -> tuple[int, int]:
    """Where the last ``lines`` of a file begin, and how many lines are still wanted from older files."""
    end = file.size()
    position = end
    while position > 0 and lines > 0:
        start = max(0, position - TAIL_BLOCK)
        block = os.pread(file.descriptor, position - start, start)
        at = len(block)
        while lines > 0 and (newline := block.rfind(b"\n", 0, at)) >= 0:
            at = newline
            if start + newline + 1 < end:  # the newline at the very end belongs to the last line
                lines -= 1
                if lines == 0:
                    return start + newline + 1, 0
        position = start
    return (0, lines - 1 if end else lines) if lines > 0 else (end, 0)


# ---------------------------------------------------------------- all of a log


def open_plain(path: str) -> LogFile | None:
    """None where there is no such file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    status = os.fstat(descriptor)
    return LogFile(descriptor, (status.st_dev, status.st_ino))


def open_compressed(path: str) -> CompressedFile | None:
    """None where there is no such file."""
    file = open_plain(path)
    if file is None:
        return None
    try:
        inode = int(os.getxattr(file.descriptor, ORIGIN))
    except (OSError, ValueError):
        inode = -1  # copied by somebody: it was made of a file that nobody has open
    return CompressedFile(file.descriptor, file.identity, (file.identity[0], inode))


def open_number(path: str, number: int) -> AnyFile | None:
    """The file of so many rotations ago. Where it is there in both forms, the compressed one is not in use yet."""
    if number == 0:
        return open_plain(path)
    return open_plain(f"{path}.{number}") or open_compressed(f"{path}.{number}.gz")


def open_all(path: str | os.PathLike[str]) -> list[AnyFile]:
    """All files of a log, oldest first.

    They are opened newest first: a rotation in between then shows one file twice, and never hides one. After two, a
    number is a newer file's, so that they are opened again; where there are many files and they rotate all the time,
    not for ever.
    """
    base = os.fspath(path)
    for _ in range(TRIES - 1):
        files = open_once(base)
        if not files or is_at(base, files[-1]):
            return files
        for file in files:
            file.close()
    return open_once(base)


def is_at(path: str, file: AnyFile) -> bool:
    """Whether a file is still the one of this name."""
    try:
        status = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (status.st_dev, status.st_ino) == file.identity


def open_once(base: str) -> list[AnyFile]:
    """The same, by each number once. A monitor that was killed in the middle of a rotation leaves one out."""
    files: list[AnyFile] = []
    number, last = 0, max(numbers(base), default=0)
    while (file := open_number(base, number)) is not None or number <= last:
        if file is not None and any(is_same(file, newer) for newer in files):
            file.close()
        elif file is not None:
            files.append(file)
        number += 1
    return files[::-1]


def is_same(file: AnyFile, newer: AnyFile) -> bool:
    """Whether a file was opened before, by another number or before it was compressed. An inode is given again: what a
    compressed file was made of has no name any more."""
    if file.identity == newer.identity:
        return True
    return file.origin == newer.identity and os.fstat(newer.descriptor).st_nlink == 0


def numbers(path: str) -> list[int]:
    """Of the rotated files that there are; of what is there in two forms, twice."""
    folder, name = os.path.split(path)
    try:
        found = os.listdir(folder)
    except FileNotFoundError:
        return []
    ends = [
        other.removeprefix(f"{name}.").removesuffix(".gz") for other in found if other.startswith(f"{name}.")
    ]
    return [int(end) for end in ends if end.isascii() and end.isdigit()]
