"""gzip, zstd, bzip2 and xz, recognised by their first bytes, decompressed in this process only.

In process, because a helper program found by name could be one that an image brought along
(CVE-2026-41567). Memory is bounded: output comes in pieces of at most ``CHUNK``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import IO, Protocol, cast

from wherry.errors import InvalidArgument

CHUNK = 1 << 20
READ = 1 << 18
_WINDOW = 1 << 27  # bytes; zstd's own default limit for what a frame may ask
_XZ_MEMORY = 1 << 28


class _Decompressor(Protocol):
    """What bz2, lzma and isal have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def decompressed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The plain bytes of a stream that may be compressed; InvalidArgument if it is corrupt or ends early."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= 6:
            break
    return _decoder(head)(_rejoin(head, chunks))


def _rejoin(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def _decoder(head: bytes) -> Callable[[Iterator[bytes]], Iterator[bytes]]:
    if head.startswith(b"\x1f\x8b"):
        return _gunzip
    if head.startswith(b"\x28\xb5\x2f\xfd") or (head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50):
        return _unzstd
    if head.startswith(b"BZh"):
        return _bunzip2
    if head.startswith(b"\xfd7zXZ\0"):
        return _unxz
    return lambda chunks: chunks


def _gunzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    from isal import igzip_lib

    gzip = igzip_lib.DECOMP_GZIP
    failure = cast(type[Exception], igzip_lib.IsalError)
    return _members(chunks, lambda: igzip_lib.IgzipDecompressor(flag=gzip), failure)


def _bunzip2(chunks: Iterator[bytes]) -> Iterator[bytes]:
    import bz2

    return _members(chunks, bz2.BZ2Decompressor, OSError)


def _unxz(chunks: Iterator[bytes]) -> Iterator[bytes]:
    import lzma

    return _members(chunks, lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY), lzma.LZMAError)


def _members(
    chunks: Iterator[bytes], start: Callable[[], _Decompressor], error: type[Exception]
) -> Iterator[bytes]:
    """Decompress members that follow each other; zeros after the last are padding."""
    member: _Decompressor | None = None
    for chunk in chunks:
        data = chunk
        while data or (member and not member.needs_input):
            if member is None:
                data = data.lstrip(b"\0") if data[:1] == b"\0" else data
                if not data:
                    break
                member = start()
            try:
                plain = member.decompress(data, CHUNK)
            except (error, EOFError, MemoryError) as cause:
                raise InvalidArgument(f"the compressed data is corrupt: {cause}") from cause
            data = b""
            if plain:
                yield plain
            if member.eof:
                data, member = member.unused_data, None
    if member is not None:
        raise InvalidArgument("the compressed data is truncated")


class _Source:
    """What zstandard reads from: a file over chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int) -> bytes:
        data = self._rest or next(self._chunks, b"")
        self._rest = data[size:]
        return data[:size]


def _unzstd(chunks: Iterator[bytes]) -> Iterator[bytes]:
    import zstandard

    decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
    source = cast(IO[bytes], _Source(chunks))
    reader = decompressor.stream_reader(source, read_size=READ, read_across_frames=True)
    try:
        while plain := reader.read(CHUNK):
            yield plain
    except (zstandard.ZstdError, MemoryError) as cause:
        raise InvalidArgument(f"the compressed data is corrupt: {cause}") from cause
