"""Headers of tar archives: ustar, with a PAX header before it for what ustar cannot say.

POSIX pax, "ustar Interchange Format" and "pax Header Block". The same entry always becomes the same bytes.
"""

from __future__ import annotations

from wherry.content.tar import BLOCK, Entry, Kind

END = bytes(2 * BLOCK)
"""The end marker of an archive."""

_TYPES = {
    Kind.FILE: b"0",
    Kind.HARDLINK: b"1",
    Kind.SYMLINK: b"2",
    Kind.CHAR: b"3",
    Kind.BLOCK: b"4",
    Kind.DIRECTORY: b"5",
    Kind.FIFO: b"6",
}
_SMALL = 1 << 21  # what seven octal digits hold
_LARGE = 1 << 33  # what eleven do
_SECOND = 1_000_000_000
_TEMPLATE = b"%b%07o\0%07o\0%07o\0%011o\0%011o\0        %b%b" + b"ustar\x0000" + bytes(64)


def header(entry: Entry) -> bytes:
    """What stands before an entry's content, which is then padded by ``padding``. A directory's name ends in ``/``."""
    records = _records(entry)
    block = _block(entry, entry.name, entry.link, _TYPES[entry.kind])
    if not records:
        return block
    extension = Entry(b"././@PaxHeader", Kind.FILE, 0o644, 0, 0, len(records), 0)
    return _block(extension, extension.name, b"", b"x") + records + padding(len(records)) + block


def padding(size: int) -> bytes:
    """What fills content of ``size`` bytes up to whole blocks."""
    return bytes(-size % BLOCK)


def _block(entry: Entry, name: bytes, link: bytes, kind: bytes) -> bytes:
    size = entry.size if entry.kind is Kind.FILE else 0
    seconds = entry.mtime // _SECOND
    block = _TEMPLATE % (
        name[:100].ljust(100, b"\0"),
        entry.mode,
        entry.uid if entry.uid < _SMALL else 0,
        entry.gid if entry.gid < _SMALL else 0,
        size if size < _LARGE else 0,
        seconds if 0 <= seconds < _LARGE else 0,
        kind,
        link[:100].ljust(100, b"\0"),
    )
    block += b"%07o\0%07o\0" % (entry.major, entry.minor) + bytes(BLOCK - 345)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _records(entry: Entry) -> bytes:
    """All that ustar has no room for, in the order of the keys."""
    records = dict(_numbers(entry))
    for key, text in ((b"path", entry.name), (b"linkpath", entry.link)):
        if len(text) > 100 or not text.isascii():
            records[key] = text
    for name, value in (entry.xattrs or {}).items():
        records[b"SCHILY.xattr." + name] = value
    return b"".join(_record(key, value) for key, value in sorted(records.items()))


def _numbers(entry: Entry) -> list[tuple[bytes, bytes]]:
    seconds, rest = divmod(entry.mtime, _SECOND)
    found = []
    if rest or not 0 <= seconds < _LARGE:
        found.append((b"mtime", _time(entry.mtime)))
    if entry.kind is Kind.FILE and entry.size >= _LARGE:
        found.append((b"size", b"%d" % entry.size))
    found += [(key, b"%d" % id) for key, id in ((b"uid", entry.uid), (b"gid", entry.gid)) if id >= _SMALL]
    return found


def _time(nanoseconds: int) -> bytes:
    """-1,250,000,000 is ``-1.25``."""
    seconds, rest = divmod(abs(nanoseconds), _SECOND)
    fraction = (b".%09d" % rest).rstrip(b"0") if rest else b""
    return b"%b%d%b" % (b"-" if nanoseconds < 0 else b"", seconds, fraction)


def _record(key: bytes, value: bytes) -> bytes:
    """``length key=value\\n``; the length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length += len(str(length)) - len(str(rest))
    return b"%d %b=%b\n" % (length, key, value)
