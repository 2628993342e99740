"""The tar writer, read back by our reader and by Python's, on whatever entries hypothesis thinks of."""

from __future__ import annotations

import io
import tarfile

from hypothesis import given
from hypothesis import strategies as st

from tests.content.test_tar import KINDS, NAME
from wherry.content.tar import Entry, Kind, TarReader
from wherry.content.tar_writer import END, header, padding

ATTRIBUTE = st.from_regex(rb"(user|trusted|security)\.[a-z.]{1,20}", fullmatch=True)
OWNER = st.integers(0, 2**32 - 2)
TIME = st.integers(-(2**40) * 10**9, 2**40 * 10**9) | st.integers(0, 2**33) | st.just(-1)


@st.composite
def entries(draw: st.DrawFn) -> tuple[Entry, bytes]:
    kind = draw(st.sampled_from(list(Kind)))
    content = draw(st.binary(max_size=1500)) if kind is Kind.FILE else b""
    name = draw(NAME) + (b"/" if kind is Kind.DIRECTORY else b"")
    mode = draw(st.integers(0, 0o7777))
    xattrs = draw(st.dictionaries(ATTRIBUTE, st.binary(max_size=50), max_size=3))
    entry = Entry(name, kind, mode, draw(OWNER), draw(OWNER), len(content), draw(TIME), xattrs=xattrs or None)
    if kind in (Kind.HARDLINK, Kind.SYMLINK):
        entry.link = draw(NAME)
    if kind in (Kind.CHAR, Kind.BLOCK):
        entry.major, entry.minor = draw(st.integers(0, 4095)), draw(st.integers(0, 2**20 - 1))
    return entry, content


def archive_of(items: list[tuple[Entry, bytes]]) -> bytes:
    return b"".join(header(entry) + content + padding(len(content)) for entry, content in items) + END


@given(st.lists(entries(), max_size=5))
def test_our_reader_finds_what_was_written(items: list[tuple[Entry, bytes]]) -> None:
    archive = archive_of(items)
    assert len(archive) % 512 == 0
    reader = TarReader([archive])
    assert [(entry, b"".join(reader.data())) for entry in reader] == items


@given(st.lists(entries(), max_size=5))
def test_pythons_reader_finds_it_too(items: list[tuple[Entry, bytes]]) -> None:
    with tarfile.open(
        fileobj=io.BytesIO(archive_of(items)), errors="surrogateescape", encoding="utf-8"
    ) as archive:
        found = list(archive)
        for info, (entry, content) in zip(found, items, strict=True):
            assert info.name.encode("utf-8", "surrogateescape") == entry.name.rstrip(b"/")
            assert (info.type, info.mode, info.uid, info.gid) == (
                KINDS[entry.kind], entry.mode, entry.uid, entry.gid,
            )  # fmt: skip
            assert info.linkname.encode("utf-8", "surrogateescape") == entry.link
            assert (info.devmajor, info.devminor) == (entry.major, entry.minor)
            assert abs(info.mtime - entry.mtime / 10**9) <= abs(entry.mtime) / 10**9 * 1e-15 + 1e-6
            stream = archive.extractfile(info) if entry.kind is Kind.FILE else None
            assert stream is None or stream.read() == content


def test_what_ustar_can_say_needs_no_more() -> None:
    plain = Entry(b"n" * 100, Kind.FILE, 0o4755, 2**21 - 1, 2**21 - 1, 2**33 - 1, (2**33 - 1) * 10**9)
    assert len(header(plain)) == 512
    for change in (
        {"name": b"n" * 101},
        {"name": "é".encode()},
        {"uid": 2**21},
        {"gid": 2**21},
        {"size": 2**33},
        {"mtime": 1},
        {"mtime": -(10**9)},
        {"mtime": 2**33 * 10**9},
        {"xattrs": {b"user.a": b""}},
    ):
        fields = {
            name: getattr(plain, name) for name in ("name", "kind", "mode", "uid", "gid", "size", "mtime")
        }
        entry = Entry(**{**fields, **change})  # type: ignore[arg-type]
        assert len(header(entry)) == 3 * 512
        reader = TarReader([header(entry)])
        assert next(iter(reader)) == entry


def test_lengths_of_records_count_themselves() -> None:
    for size in (*range(60, 110), *range(960, 1010)):
        entry = Entry(b"n" * size, Kind.DIRECTORY, 0, 0, 0, 0, 1)
        assert next(iter(TarReader([header(entry)]))) == entry
