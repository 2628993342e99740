"""A tar archive as a stream of entries: ustar, GNU and PAX, read once, front to back, nothing trusted.

POSIX pax, "ustar Interchange Format" and "pax Header Block"; GNU tar manual, "Basic Tar Format". Global PAX
headers are skipped, as Docker and containerd skip them. Names stay bytes: a layer's names need not be UTF-8.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from enum import IntEnum

import msgspec

from wherry.content import sparse
from wherry.errors import InvalidArgument

BLOCK = 512
EXTENSION_LIMIT = 1 << 20  # bytes of one long name or PAX header; Go's archive/tar has the same limit

NO_ARCHIVE = "this is not a tar archive"

Buffer = bytes | memoryview


class Kind(IntEnum):
    """What an entry is, whichever letters its archive has for it."""

    FILE = 0
    HARDLINK = 1
    SYMLINK = 2
    CHAR = 3
    BLOCK = 4
    DIRECTORY = 5
    FIFO = 6


_KINDS = {
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"7": Kind.FILE,
    b"S": Kind.FILE,
    b"1": Kind.HARDLINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.CHAR,
    b"4": Kind.BLOCK,
    b"5": Kind.DIRECTORY,
    b"6": Kind.FIFO,
}

_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12s")
_XATTR = b"SCHILY.xattr."


class Entry(msgspec.Struct, gc=False):
    """One member. ``name`` and ``link`` are as written; times in nanoseconds; ``size`` as it will be on disk."""

    name: bytes
    kind: Kind
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    link: bytes = b""
    major: int = 0
    minor: int = 0
    xattrs: dict[bytes, bytes] | None = None
    extents: list[sparse.Extent] | None = None  # of a sparse file: where its data belongs


class TarReader:
    """Iterates over the entries of an archive that comes in chunks; ``data()`` is the present entry's content.

    Data left unread is skipped. Raises InvalidArgument where the archive is damaged or ends within an entry; like
    Go's and GNU's tar, it takes an end between two entries for the archive's, marker or not.
    """

    def __init__(self, chunks: Iterable[Buffer]) -> None:
        self._chunks = iter(chunks)
        self._view = memoryview(b"")
        self._at = 0
        self._left = 0  # bytes of the present entry's data that are still to come
        self._padding = 0
        self._numbers: dict[bytes, int] = {}
        self._begun = False  # a header has been read

    def __iter__(self) -> Iterator[Entry]:
        while (entry := self._next()) is not None:
            yield entry

    def data(self) -> Iterable[memoryview]:
        """The present entry's content (of a sparse file: its stored part), without a copy, in spans."""
        at, left = self._at, self._left
        if left <= len(self._view) - at:
            self._at, self._left = at + left, 0
            return (self._view[at : at + left],) if left else ()
        return self._spans()

    def drain(self) -> None:
        """Read what follows the end marker, so that a digest over the chunks covers the whole stream."""
        self._view, self._at = memoryview(b""), 0
        for _ in self._chunks:
            pass

    def _spans(self) -> Iterator[memoryview]:
        while self._left:
            available = len(self._view) - self._at
            if not available:
                self._refill()
                continue
            count = min(available, self._left)
            span = self._view[self._at : self._at + count]
            self._at += count
            self._left -= count
            yield span

    def _more(self) -> bool:
        """Whether there is a further chunk, which is then the present one."""
        for chunk in self._chunks:
            if chunk:
                self._view, self._at = memoryview(chunk), 0
                return True
        return False

    def _refill(self) -> None:
        if not self._more():
            raise InvalidArgument(
                "the archive is truncated: unexpected end of data" if self._begun else NO_ARCHIVE
            )

    def _take(self, count: int) -> memoryview:
        """The next ``count`` bytes, in one piece."""
        at = self._at
        if count <= len(self._view) - at:
            self._at = at + count
            return self._view[at : at + count]
        parts = []
        while count:
            if self._at == len(self._view):
                self._refill()
            part = self._view[self._at : self._at + count]
            self._at += len(part)
            count -= len(part)
            parts.append(part)
        return memoryview(b"".join(parts))

    def _skip(self, count: int) -> None:
        while count > (available := len(self._view) - self._at):
            count -= available
            self._at = len(self._view)
            self._refill()
        self._at += count

    def _pass_padding(self) -> None:
        """What fills up the last block may be missing at the end."""
        while self._padding and not self._at_end():
            count = min(self._padding, len(self._view) - self._at)
            self._at += count
            self._padding -= count

    def _at_end(self) -> bool:
        """Whether no byte follows."""
        return self._at == len(self._view) and not self._more()

    def _next(self) -> Entry | None:
        pax: list[tuple[bytes, bytes]] = []
        name = link = b""
        while True:
            self._skip(self._left)
            self._left = 0
            self._pass_padding()
            if self._at_end():
                return None
            block = self._take(BLOCK)
            fields = _HEADER.unpack(block)
            flag = fields[7]
            if not self._is_header(block, fields[6]):
                return None
            size = self._number(fields[4])
            if flag in b"xgLK":
                content = self._extension(size)
                if flag == b"x":
                    pax = _pax_records(content)
                elif flag == b"L":
                    name = content.partition(b"\0")[0]
                elif flag == b"K":
                    link = content.partition(b"\0")[0]
                continue
            return self._entry(block, fields, size, name, link, pax)

    def _is_header(self, block: memoryview, checksum: bytes) -> bool:
        """False for the end marker. InvalidArgument for what is neither."""
        if _checksum_holds(block, checksum):
            self._begun = True
            return True
        if any(block):
            raise InvalidArgument(
                "the archive is damaged: a header's checksum does not match" if self._begun else NO_ARCHIVE
            )
        return False

    def _extension(self, size: int) -> bytes:
        if not 0 <= size <= EXTENSION_LIMIT:
            raise InvalidArgument(
                f"the archive has an extended header of {size} bytes; {EXTENSION_LIMIT} are allowed"
            )
        content = bytes(self._take(size))
        self._padding = -size % BLOCK
        return content

    def _number(self, field: bytes) -> int:
        known = self._numbers.get(field)
        if known is None:
            if len(self._numbers) > 4096:
                self._numbers.clear()
            known = self._numbers[field] = _parse_number(field)
        return known

    def _entry(
        self,
        block: memoryview,
        fields: tuple[bytes, ...],
        size: int,
        name: bytes,
        link: bytes,
        pax: list[tuple[bytes, bytes]],
    ) -> Entry:
        number = self._number
        flag = fields[7]
        kind = _KINDS.get(flag)
        if kind is None:
            raise InvalidArgument(f"the archive has an entry of unknown type {flag!r}")
        if not name:
            name = fields[0].partition(b"\0")[0]
            if fields[9] == b"ustar\x0000" and fields[14][0]:
                name = _prefix(fields) + b"/" + name
        entry = Entry(
            name,
            kind,
            number(fields[1]) & 0o7777,
            number(fields[2]),
            number(fields[3]),
            size,
            _representable(number(fields[5]) * 1_000_000_000),
        )
        if kind is Kind.HARDLINK or kind is Kind.SYMLINK:
            entry.link = link or fields[8].partition(b"\0")[0]
        elif kind is Kind.CHAR or kind is Kind.BLOCK:
            entry.major, entry.minor = number(fields[12]), number(fields[13])
        if pax:
            _apply_pax(entry, pax)
        if flag == b"\0" and entry.name.endswith(b"/"):
            entry.kind = Kind.DIRECTORY  # as archives older than POSIX mark them
        if entry.kind is not Kind.FILE:
            entry.size = 0
        elif entry.size < 0:
            raise InvalidArgument(f"the archive gives {_show(name)} a negative size")
        self._left = entry.size
        self._padding = -entry.size % BLOCK
        if flag == b"S":
            entry.extents, entry.size = sparse.gnu(block, lambda: self._take(BLOCK), _parse_number)
            sparse.check(entry.extents, entry.size, self._left)
        elif pax and entry.kind is Kind.FILE:
            self._pax_sparse(entry, pax)
        return entry

    def _pax_sparse(self, entry: Entry, pax: list[tuple[bytes, bytes]]) -> None:
        """GNU's three ways of writing a sparse file in PAX; in the newest the map precedes the data."""
        layout = sparse.pax(pax)
        if layout is None:
            return
        entry.name = layout.name or entry.name
        entry.size, entry.extents = layout.size, layout.extents
        if layout.map_in_data:
            entry.extents, used = sparse.map_from_data(self._map_block)
            self._left -= used
            if self._left < 0:
                raise InvalidArgument(f"the sparse map of {_show(entry.name)} is longer than its data")
        sparse.check(entry.extents, layout.size, self._left)

    def _map_block(self) -> bytes:
        return bytes(self._take(BLOCK))


def _prefix(fields: tuple[bytes, ...]) -> bytes:
    """The first part of a long ustar name; star keeps times in the last 24 bytes of the field."""
    prefix = fields[14][:131] if fields[15].endswith(b"tar\0") else fields[14]
    return prefix.partition(b"\0")[0]


def _checksum_holds(block: memoryview, field: bytes) -> bool:
    """The header's sum, its own field counted as blanks.

    Adler-32 holds that sum in its low half (modulo 65521, plus 1) and is twenty times faster than ``sum``.
    """
    try:
        stated = _parse_number(field)
    except InvalidArgument:
        return False
    rest = sum(field) - 256
    if zlib.adler32(block) & 0xFFFF == (stated + rest + 1) % 65521:
        return True
    return (
        sum(byte - 256 if byte > 127 else byte for byte in block) - rest == stated
    )  # some old tars sum signed


def _parse_number(field: bytes) -> int:
    """An octal number, or GNU's base-256 where the first bit is set."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        negative = bool(field[0] & 0x40)
        return value - (1 << (8 * len(field) - 1)) if negative else value
    digits = field.strip(b" \0").partition(b"\0")[0]
    if not digits:
        return 0
    if not digits.isdigit():
        raise InvalidArgument(f"the archive is damaged: {digits!r} is not an octal number")
    try:
        return int(digits, 8)
    except ValueError as error:
        raise InvalidArgument(f"the archive is damaged: {digits!r} is not an octal number") from error


def _pax_records(content: bytes) -> list[tuple[bytes, bytes]]:
    """``length key=value\\n`` records, in order. An empty value takes back what an earlier record said of its key."""
    records = []
    at = 0
    while at < len(content):
        blank = content.find(b" ", at, at + 20)
        digits = content[at:blank] if blank > at else b""
        end = at + int(digits) if digits.isdigit() else at
        key, equals, value = content[blank + 1 : end - 1].partition(b"=")
        if not equals or not blank < end <= len(content) or content[end - 1 : end] != b"\n":
            raise InvalidArgument("the archive is damaged: malformed PAX record")
        records.append((key, value))
        at = end
    last = dict(records)
    return [(key, value) for key, value in records if (value and last[key]) or key.startswith(_XATTR)]


def _apply_pax(entry: Entry, records: list[tuple[bytes, bytes]]) -> None:
    for key, value in records:
        if key.startswith(_XATTR):
            entry.xattrs = entry.xattrs or {}
            entry.xattrs[key[len(_XATTR) :]] = value
        elif key == b"path":
            entry.name = value
        elif key == b"linkpath":
            entry.link = value
        elif key == b"size":
            entry.size = _decimal(value)
        elif key == b"uid":
            entry.uid = _decimal(value)
        elif key == b"gid":
            entry.gid = _decimal(value)
        elif key == b"mtime":
            entry.mtime = _nanoseconds(value)


def _decimal(value: bytes) -> int:
    if not value.isdigit() or len(value) > 20:
        raise InvalidArgument(f"the archive is damaged: {value[:40]!r} is not a number")
    return int(value)


def _nanoseconds(value: bytes) -> int:
    """``-1.25`` is -1,250,000,000."""
    sign = -1 if value.startswith(b"-") else 1
    seconds, _, fraction = value.lstrip(b"-").partition(b".")
    if not seconds.isdigit() or (fraction and not fraction.isdigit()) or len(seconds) > 19:
        raise InvalidArgument(f"the archive is damaged: {value[:40]!r} is not a time")
    return _representable(sign * (int(seconds) * 1_000_000_000 + int(fraction[:9].ljust(9, b"0"))))


def _representable(nanoseconds: int) -> int:
    """A time that the kernel has no number for is 1970. (Docker's bounds are the years 1677 and 2262.)"""
    return nanoseconds if -(1 << 63) <= nanoseconds // 1_000_000_000 < 1 << 63 else 0


def _show(name: bytes) -> str:
    return repr(name.decode("utf-8", "backslashreplace"))
