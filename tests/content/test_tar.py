"""The tar reader against Python's and GNU's writers, on whatever entries hypothesis thinks of."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.image.making import in_chunks
from wherry.content.tar import Entry, Kind, TarReader
from wherry.content.tar_writer import END, header, padding
from wherry.errors import InvalidArgument

KINDS = {
    Kind.FILE: tarfile.REGTYPE,
    Kind.HARDLINK: tarfile.LNKTYPE,
    Kind.SYMLINK: tarfile.SYMTYPE,
    Kind.CHAR: tarfile.CHRTYPE,
    Kind.BLOCK: tarfile.BLKTYPE,
    Kind.DIRECTORY: tarfile.DIRTYPE,
    Kind.FIFO: tarfile.FIFOTYPE,
}
NAME = (
    st.binary(min_size=1, max_size=300)
    .map(lambda name: name.replace(b"\0", b"0").strip(b"/") or b"x")
    .filter(lambda name: b"//" not in name)
)
OWNER = st.integers(0, 2**31) | st.integers(0, 2**40)


@st.composite
def entries(draw: st.DrawFn) -> tuple[Entry, bytes]:
    kind = draw(st.sampled_from(list(Kind)))
    content = draw(st.binary(max_size=1500)) if kind is Kind.FILE else b""
    entry = Entry(
        draw(NAME), kind, draw(st.integers(0, 0o7777)), draw(OWNER), draw(OWNER), len(content),
        draw(st.integers(0, 2**33)) * 10**9,
    )  # fmt: skip
    if kind in (Kind.HARDLINK, Kind.SYMLINK):
        entry.link = draw(NAME)
    if kind in (Kind.CHAR, Kind.BLOCK):
        entry.major, entry.minor = draw(st.integers(0, 4095)), draw(st.integers(0, 2**20 - 1))
    return entry, content


def write(items: list[tuple[Entry, bytes]], format: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", format=format, encoding="utf-8", errors="surrogateescape"
    ) as archive:
        for entry, content in items:
            info = tarfile.TarInfo(entry.name.decode("utf-8", "surrogateescape"))
            info.type, info.mode, info.uid, info.gid = KINDS[entry.kind], entry.mode, entry.uid, entry.gid
            info.mtime, info.size = entry.mtime // 10**9, len(content)
            info.linkname = entry.link.decode("utf-8", "surrogateescape")
            info.devmajor, info.devminor = entry.major, entry.minor
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def read(data: bytes, chunk: int) -> list[tuple[Entry, bytes]]:
    archive = TarReader(in_chunks(data, chunk))
    found = []
    for entry in archive:
        entry.name = entry.name.rstrip(b"/") if entry.kind is Kind.DIRECTORY else entry.name
        found.append((entry, b"".join(archive.data())))
    return found


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["gnu", "pax"])
@settings(max_examples=150, deadline=None)
@given(st.lists(entries(), max_size=6), st.integers(1, 2000))
def test_what_is_written_is_read(format: int, items: list[tuple[Entry, bytes]], chunk: int) -> None:
    assert read(write(items, format), chunk) == items


@given(st.lists(entries(), max_size=4), st.data())
def test_unread_content_is_skipped(items: list[tuple[Entry, bytes]], data: st.DataObject) -> None:
    archive = TarReader(in_chunks(write(items, tarfile.GNU_FORMAT), 700))
    for entry, (expected, content) in zip(archive, items, strict=True):
        assert entry.size == expected.size
        if data.draw(st.booleans()):
            assert b"".join(archive.data()) == content


def member(flag: bytes, name: bytes, content: bytes, pax: dict[str, str] | None = None) -> bytes:
    info = tarfile.TarInfo(name.decode())
    info.type, info.size, info.pax_headers = flag, len(content), pax or {}
    return info.tobuf(tarfile.PAX_FORMAT) + content + padding(len(content))


@pytest.mark.parametrize(
    ("flag", "kind"),
    [
        (b"0", Kind.FILE),
        (b"7", Kind.FILE),
        (b"\0", Kind.DIRECTORY),
        (b"5", Kind.DIRECTORY),
    ],
)
@pytest.mark.parametrize("pax", [None, {"path": "named/"}])
def test_a_name_that_ends_in_a_slash(flag: bytes, kind: Kind, pax: dict[str, str] | None) -> None:
    """Go's reader, archive/tar: only the type of archives older than POSIX is a directory by its name."""
    content = b"abc" if kind is Kind.FILE else b""
    name = b"q" if pax else b"q/"
    archive = member(flag, name, content, pax) + member(b"0", b"next", b"hi") + END
    (first, data), (second, more) = read(archive, 700)
    assert (first.name.rstrip(b"/"), first.kind, data) == (b"named" if pax else b"q", kind, content)
    assert (second.name, more) == (b"next", b"hi")


@settings(max_examples=300)
@given(st.binary(max_size=3000))
def test_noise_is_refused_or_read_but_never_breaks(noise: bytes) -> None:
    archive = TarReader(in_chunks(noise, 600))
    try:
        for _ in archive:
            for _ in archive.data():
                pass
    except InvalidArgument:
        pass


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("12.5", 12_500_000_000),
        ("-1.25", -1_250_000_000),
        ("0.1234567891", 123_456_789),
        ("7", 7_000_000_000),
    ],
)
def test_pax_times(text: str, nanoseconds: int) -> None:
    info = tarfile.TarInfo("f")
    info.pax_headers = {"mtime": text}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info)
    [entry] = TarReader([buffer.getvalue()])
    assert entry.mtime == nanoseconds


@pytest.mark.parametrize("key", ["uid", "gid", "size", "mtime", "path", "linkpath", "atime", "comment"])
def test_an_empty_pax_value_takes_the_record_back(key: str) -> None:
    """POSIX pax: then the header's own field counts."""
    info = tarfile.TarInfo("name")
    info.uid, info.gid, info.mtime, info.size = 3, 4, 5, 1
    info.pax_headers = {key: ""}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(b"x"))
    [(entry, content)] = read(buffer.getvalue(), 512)
    assert (entry.name, entry.uid, entry.gid, entry.mtime, content) == (b"name", 3, 4, 5 * 10**9, b"x")


def test_an_extended_attribute_may_be_empty() -> None:
    entry = Entry(b"f", Kind.FILE, 0o644, 0, 0, 0, 0, xattrs={b"user.empty": b""})
    assert list(TarReader([header(entry), END])) == [entry]


def test_an_archive_may_end_between_entries_but_not_in_one() -> None:
    """As Go's reader has it: headers and content are whole; what fills the last block, and the end, may be missing."""
    contents = [b"", b"x" * 700, b"y" * 512]
    entries = [Entry(b"name", Kind.FILE, 0o644, 0, 0, len(content), 0) for content in contents]
    data = b""
    whole = {0}
    for entry, content in zip(entries, contents, strict=True):
        data += header(entry) + content
        whole |= set(range(len(data), len(data) + len(padding(len(content))) + 1))
        data += padding(len(content))
    for cut in range(len(data) + 1):
        if cut in whole:
            assert all(len(content) == entry.size for entry, content in read(data[:cut], 600))
        else:
            with pytest.raises(InvalidArgument, match="truncated" if cut >= 512 else "not a tar archive"):
                read(data[:cut], 600)
