"""The maps of sparse files in tar archives. GNU tar manual, "Storing Sparse Files"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from wherry.errors import InvalidArgument

EXTENT_LIMIT = 1 << 16  # holes and data of one file; a map beyond that is taken for an attack


class Extent(NamedTuple):
    """``length`` bytes of data that belong at ``offset``."""

    offset: int
    length: int


class PaxLayout(msgspec.Struct):
    """What the PAX records say of a sparse file; where ``map_in_data``, the extents stand before the data."""

    size: int
    name: bytes = b""
    extents: list[Extent] = msgspec.field(default_factory=list)
    map_in_data: bool = False


def gnu(
    header: memoryview, next_block: Callable[[], memoryview], number: Callable[[bytes], int]
) -> tuple[list[Extent], int]:
    """The extents and the real size from an old GNU header (type S) and the blocks that continue it."""
    extents = _table(header, 386, 4, number)
    size = number(bytes(header[483:495]))
    more, places = header[482], 4
    while more:
        block = next_block()
        extents += _table(block, 0, 21, number)
        more, places = block[504], _limited(places + 21)
    return extents, size


def _table(block: memoryview, at: int, count: int, number: Callable[[bytes], int]) -> list[Extent]:
    cells = [bytes(block[start : start + 12]) for start in range(at, at + 24 * count, 12)]
    pairs = zip(cells[::2], cells[1::2], strict=True)
    return [Extent(number(offset), number(length)) for offset, length in pairs if offset.strip(b"\0 ")]


def pax(records: Sequence[tuple[bytes, bytes]]) -> PaxLayout | None:
    """The layout in the PAX records, formats 0.0, 0.1 and 1.0; None for an ordinary file."""
    found = {key: value for key, value in records if key.startswith(b"GNU.sparse.")}
    if not found:
        return None
    real_size = found.get(b"GNU.sparse.realsize", found.get(b"GNU.sparse.size", b""))
    layout = PaxLayout(size=_decimal(real_size), name=found.get(b"GNU.sparse.name", b""))
    if found.get(b"GNU.sparse.major") == b"1":
        layout.map_in_data = True
    elif b"GNU.sparse.map" in found:
        layout.extents = _pairs(found[b"GNU.sparse.map"].split(b","))
    else:
        keys = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")
        layout.extents = _pairs([value for key, value in records if key in keys])
    return layout


def map_from_data(next_block: Callable[[], bytes]) -> tuple[list[Extent], int]:
    """Format 1.0: decimal numbers, one a line, in whole blocks before the data; with the bytes that they took."""
    numbers: list[bytes] = []
    rest = b""
    used, wanted = 0, 1
    while len(numbers) < wanted:
        *lines, rest = (rest + next_block()).split(b"\n")
        used += 512
        if not numbers and lines:
            wanted += 2 * _limited(_decimal(lines[0]))
        numbers += lines
        _digits(rest if len(numbers) < wanted else b"")
    return _pairs(numbers[1:wanted]), used


def check(extents: list[Extent], size: int, stored: int) -> None:
    """InvalidArgument unless the extents ascend, lie within ``size`` and are all in the ``stored`` bytes."""
    end = 0
    for extent in extents:
        if extent.offset < end or extent.length < 0:
            raise InvalidArgument("the archive is damaged: a sparse file's map is out of order")
        end = extent.offset + extent.length
    if end > size or sum(extent.length for extent in extents) > stored:
        raise InvalidArgument("the archive is damaged: a sparse file's map exceeds its size")


def _pairs(numbers: list[bytes]) -> list[Extent]:
    _limited(len(numbers) // 2)
    values = [_decimal(number) for number in numbers]
    if len(values) % 2:
        raise InvalidArgument("the archive is damaged: a sparse file's map has an odd number of values")
    return [Extent(*pair) for pair in zip(values[::2], values[1::2], strict=True)]


def _decimal(value: bytes) -> int:
    if not value.isdigit():
        raise _no_number(value)
    return int(_digits(value))


def _digits(value: bytes) -> bytes:
    """The same, or the beginning of it. InvalidArgument for more digits than any size has: a line without an end."""
    if len(value) > 20:
        raise _no_number(value)
    return value


def _no_number(value: bytes) -> InvalidArgument:
    return InvalidArgument(f"the archive is damaged: {value[:40]!r} in a sparse file's map is not a number")


def _limited(count: int) -> int:
    if count > EXTENT_LIMIT:
        raise InvalidArgument(f"a sparse file in the archive has more than {EXTENT_LIMIT} extents")
    return count
