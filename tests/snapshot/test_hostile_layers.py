"""Archives that attack: nothing is written outside the layer, no half layer stays, and the error says why."""

from __future__ import annotations

import gzip
import os
import stat
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.image.making import (
    Member,
    describe,
    directory,
    file,
    hardlink,
    in_chunks,
    member,
    sha256,
    symlink,
    tar,
    unpack,
)
from wherry.errors import InvalidArgument, WherryError
from wherry.snapshot.layers import LayerStore

CANARY = b"untouched"


@pytest.fixture
def store(tmp_path: Path) -> LayerStore:
    """A store with a neighbourhood in which any stray write is seen."""
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim/file").write_bytes(CANARY)
    (tmp_path / "victim/file").chmod(0o640)
    return LayerStore(tmp_path / "root/layers")


@pytest.fixture
def outside(tmp_path: Path, store: LayerStore) -> Callable[[], object]:
    """All around the store, the store's own doings left out."""

    def look() -> object:
        nodes = describe(tmp_path)
        return {path: node for path, node in nodes.items() if not path.startswith(b"root") and path != b"."}

    return look


def assert_refused(store: LayerStore, *archives: bytes, match: str = "", **options: object) -> None:
    """The last archive is refused and nothing of the batch stays."""
    before = sorted(os.listdir(store.root))
    layers = []
    with pytest.raises(InvalidArgument, match=match or "."), store.batch() as batch:
        for archive in archives[:-1]:
            layers.append(batch.unpack(in_chunks(archive), layers))
        batch.unpack(in_chunks(archives[-1]), layers, **options)  # type: ignore[arg-type]
    assert sorted(os.listdir(store.root)) == before
    assert not os.listdir(store.root / "tmp")


UP = "../" * 12


@pytest.mark.parametrize(
    ("members", "match"),
    [
        ([file("../escape")], "points out of the image"),
        ([file("a/../../escape")], "points out"),
        ([file("/../escape")], "points out"),
        ([directory("..")], "points out"),
        ([symlink("../escape", "x")], "points out"),
        ([file("a/b/.."), file("x")], "points out"),
        ([hardlink("passwd", f"{UP}etc/passwd")], "points out"),
        ([hardlink("passwd", "/etc/passwd")], "not in the image"),
        ([hardlink("x", "missing")], "not in the image"),
        ([directory("d"), hardlink("x", "d")], "cannot be linked"),
        ([symlink("out", "/etc"), hardlink("x", "out/passwd")], "not in the image"),
        ([symlink("out", f"{UP}etc"), hardlink("x", "out/passwd")], "not in the image"),
        ([symlink("a", "b"), symlink("b", "a"), file("a/x")], "too many symlinks"),
        ([file("f", b"x"), file("f/below", b"y")], "not a directory|as a directory"),
        ([file(".wh...", b"")], "impossible whiteout"),
        ([file("d/.wh..", b"")], "impossible whiteout"),
        ([file("d/.wh.", b"")], "impossible whiteout"),
        ([file(".wh.d/file", b"")], "whiteout as a directory"),
        ([file("/" + "n" * 300)], "name too long"),
        ([file("d/" * 2500 + "f")], "impossible file name"),
        ([symlink(".", "/etc")], "root directory"),
        ([file("x", uid=2**32 - 1)], "owner out of range"),
        ([file("x", uid=2**40)], "owner out of range"),
        ([symlink("x", "")], "without a usable target"),
        ([(member("odd", b"Q"), b"")], "unknown type"),
        ([(member("vol", b"V"), b"")], "unknown type"),
    ],
)
def test_refused(store: LayerStore, outside: Callable[[], object], members: list[Member], match: str) -> None:
    before = outside()
    assert_refused(store, tar(file("first", b"x"), *members), match=match)
    assert outside() == before


def test_symlinks_lead_only_inside_the_image(
    store: LayerStore, tmp_path: Path, outside: Callable[[], object]
) -> None:
    victim = tmp_path / "victim"
    before = outside()
    [layer] = unpack(
        store,
        tar(
            symlink("abs", str(victim)),
            file("abs/file", b"mine"),
            symlink("up", f"{UP}{victim}"),
            file("up/file2", b"mine"),
            directory("d"),
            symlink("d/chain", "../abs"),
            file("d/chain/file3", b"mine"),
            symlink("direct", str(victim / "file")),
            file("direct", b"replaces the link"),
        ),
    )
    assert outside() == before
    root = store.path(layer.chain_id)
    inside = root / str(victim).lstrip("/")
    assert {path.name for path in inside.iterdir()} == {"file", "file2", "file3"}
    assert (root / "direct").read_bytes() == b"replaces the link"


def test_symlinks_of_an_earlier_layer_lead_only_inside(
    store: LayerStore, tmp_path: Path, outside: Callable[[], object]
) -> None:
    victim = str(tmp_path / "victim")
    before = outside()
    base = tar(symlink("link", victim), symlink("up", f"{UP}{victim}"))
    _, upper = unpack(
        store,
        base,
        tar(file("link/file", b"1"), file("up/.wh.file"), directory("link/d", mode=0o777), file("link/d/x")),
    )
    assert outside() == before
    assert (store.path(upper.chain_id) / victim.lstrip("/") / "file").read_bytes() == b"1"


def test_a_directory_replaced_by_a_symlink_after_it_was_used(
    store: LayerStore, tmp_path: Path, outside: Callable[[], object]
) -> None:
    victim = str(tmp_path / "victim")
    before = outside()
    unpack(
        store,
        tar(
            directory("d", mode=0o777, uid=99),
            file("d/file", b"1"),
            directory("d/sub", mode=0o777),
            symlink("d", victim),  # takes the directory's place, with what was to be set on it
            file("d/file", b"2"),
            symlink("d/sub", "/etc"),
            file("d/sub/passwd", b"3"),
        ),
    )
    assert outside() == before


def test_absolute_names_mean_the_image(
    store: LayerStore, tmp_path: Path, outside: Callable[[], object]
) -> None:
    before = outside()
    [layer] = unpack(store, tar(directory("/", mode=0o700), file(str(tmp_path / "victim/file"), b"inside")))
    assert outside() == before
    assert (store.path(layer.chain_id) / str(tmp_path).lstrip("/") / "victim/file").read_bytes() == b"inside"


def test_aufs_bookkeeping_is_passed_over(store: LayerStore) -> None:
    [layer] = unpack(
        store, tar(directory(".wh..wh.plnk"), file(".wh..wh.plnk/1.2", b"x"), file(".wh..wh.aufs"), file("f"))
    )
    assert os.listdir(store.path(layer.chain_id)) == ["f"]


def test_overlay_attributes_cannot_be_smuggled_in(store: LayerStore) -> None:
    headers = {
        "SCHILY.xattr.trusted.overlay.redirect": "/etc",
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        "SCHILY.xattr.user.overlay.opaque": "y",
        "SCHILY.xattr.trusted.mine": "kept",
    }
    [layer] = unpack(store, tar(directory("d", pax_headers=headers), file("f", pax_headers=headers)))
    root = store.path(layer.chain_id)
    assert os.listxattr(root / "d") == os.listxattr(root / "f") == ["trusted.mine"]


def test_a_nul_in_a_pax_name_is_refused(store: LayerStore) -> None:
    archive = pax_archive(b"path=evil\0name")
    assert_refused(store, archive, match="impossible file name")
    assert_refused(store, pax_archive(b"linkpath=a\0b", kind=b"2"), match="usable target")


def pax_archive(record: bytes, kind: bytes = b"0") -> bytes:
    """One entry whose PAX header holds one record, whatever it says."""
    length = len(record) + 3
    while len(b"%d %s\n" % (length, record)) != length:
        length += 1
    return (
        raw_header(b"PaxHeader", b"x", length)
        + (b"%d %s\n" % (length, record)).ljust(512, b"\0")
        + raw_header(b"name", kind, 0)
        + bytes(1024)
    )


def raw_header(name: bytes, kind: bytes, size: int, checksum: int | None = None) -> bytes:
    header = bytearray(
        struct.pack(
            "100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x",
            name, b"0000644\0", b"0000000\0", b"0000000\0", b"%011o\0" % size, b"%011o\0" % 0, b" " * 8, kind,
            b"target" if kind in b"12" else b"", b"ustar\x0000", b"", b"", b"", b"", b"",
        )
    )  # fmt: skip
    header[148:156] = b"%06o\0 " % (sum(header) if checksum is None else checksum)
    return bytes(header)


@pytest.mark.parametrize(
    "record",
    [b"size=-5", b"size=9999999999999999999999", b"uid=x", b"mtime=1e9", b"mtime=99999999999999999999", b"noequals",
     b"GNU.sparse.major=1", b"GNU.sparse.realsize=x", b"SCHILY.xattr.=v", b"SCHILY.xattr.nonamespace\0=v"],
)  # fmt: skip
def test_bad_pax_records_are_refused(store: LayerStore, record: bytes) -> None:
    assert_refused(store, pax_archive(record))


def test_a_large_extended_header_is_refused_before_it_is_read(store: LayerStore) -> None:
    for kind in (b"x", b"L", b"K", b"g"):
        assert_refused(store, raw_header(b"big", kind, 1 << 30), match="extended header of")


def test_a_wrong_checksum_is_refused(store: LayerStore) -> None:
    assert_refused(store, raw_header(b"f", b"0", 0, checksum=1234) + bytes(1024), match="not a tar archive")


def test_a_sparse_map_beyond_the_data_is_refused(store: LayerStore) -> None:
    headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "100"}
    for text in (b"1\n0\n600\n", b"1\n50\n60\n", b"2\n50\n10\n0\n10\n", b"99999999\n", b"x\n", b"5\n1\n"):
        assert_refused(store, tar(file("s", text.ljust(512, b"\0") + bytes(512), pax_headers=headers)))


SPARSE = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "100"}


@pytest.mark.parametrize("begin", [b"", b"60000\n", b"60000\n5\n"])
def test_a_sparse_map_without_end_is_refused_at_once(store: LayerStore, begin: bytes) -> None:
    """Two minutes (tests/conftest.py) were not enough for what reads its line again with each block."""
    archive = tar(file("s", begin + b"1" * (40 << 20), pax_headers=SPARSE))
    assert_refused(store, archive, match="is not a number")


def test_an_old_sparse_map_without_end_is_refused(store: LayerStore) -> None:
    header = bytearray(raw_header(b"s", b"S", 0))
    header[482] = 1
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    more = bytes(504) + b"\1" + bytes(7)
    assert_refused(store, bytes(header) + more * 4000, match="more than 65536 extents")


def test_a_hard_link_to_a_sparse_file_below_copies_no_hole(store: LayerStore) -> None:
    maps = {"big": (b"1\n1073741824\n5\n", b"hello", 1 << 40), "hole": (b"1\n0\n0\n", b"", 1 << 40)}
    members = []
    for name, (text, data, size) in maps.items():
        headers = {**SPARSE, "GNU.sparse.realsize": str(size), "GNU.sparse.name": name}
        members.append(file(name, text.ljust(512, b"\0") + data, pax_headers=headers))
    _, upper = unpack(store, tar(*members), tar(*[hardlink(f"{name}.link", name) for name in maps]))
    root = store.path(upper.chain_id)
    for name, (_, data, size) in maps.items():
        status = (root / f"{name}.link").stat()
        assert (status.st_size, status.st_nlink) == (size, 2)
        assert status.st_blocks * 512 < 1 << 20
        with (root / name).open("rb") as copied:
            copied.seek(1 << 30)
            assert copied.read(10) == data.ljust(10, b"\0")


RICH = tar(
    directory("d", mode=0o700),
    *[file(f"d/f{n}", bytes([n]) * (700 * n)) for n in range(20)],
    symlink("l", "d/f1"),
    hardlink("h", "d/f2"),
    file("n" * 180, b"long"),
)


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.ZstdCompressor().compress, bytes])
@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_truncated_data_is_refused(
    store: LayerStore, compress: Callable[[bytes], bytes], part: float
) -> None:
    archive = RICH.rstrip(b"\0") + bytes(
        1024 - len(RICH.rstrip(b"\0")) % 512
    )  # no more than one marker behind
    whole = compress(archive)
    assert_refused(store, whole[: int(len(whole) * part)], diff_id=sha256(archive))


def test_wrong_digest_is_refused(store: LayerStore) -> None:
    assert_refused(store, RICH, diff_id=sha256(b"something else"), match="wrong digest")
    assert_refused(store, RICH + b"more", diff_id=sha256(RICH), match="wrong digest")


@pytest.mark.parametrize("offset", [3, 40, -6, -2])
def test_corrupt_gzip_is_refused(store: LayerStore, offset: int) -> None:
    data = bytearray(gzip.compress(RICH, mtime=0))
    data[offset] ^= 0x5A
    if offset == 3:
        data[3] = 0xFF
    assert_refused(store, bytes(data))


def test_corrupt_zstd_is_refused(store: LayerStore) -> None:
    data = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(RICH))
    data[len(data) // 2] ^= 0x5A
    assert_refused(store, bytes(data))


def test_a_bomb_after_the_end_costs_no_memory_and_no_disk(store: LayerStore) -> None:
    bomb = zlib.compressobj(9, wbits=31)
    data = bomb.compress(RICH)
    for _ in range(200):
        data += bomb.compress(bytes(1 << 20))
    data += bomb.flush()
    assert_refused(store, data, diff_id=sha256(RICH), match="wrong digest")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage_is_refused_or_harmless(store: LayerStore, data: st.DataObject) -> None:
    """Whatever bytes are changed: an error of ours or a layer, never another exception, never a half layer."""
    damaged = bytearray(RICH)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at : at + 1] = data.draw(st.binary(min_size=0, max_size=8))
    try:
        with store.batch() as batch:
            batch.unpack(in_chunks(bytes(damaged), 1000), [])
    except WherryError:
        pass
    assert sorted(os.listdir(store.root)) == [".trash", "empty", "nothing", "tmp"]
    assert not os.listdir(store.root / "tmp")


NAMES = st.sampled_from(
    ["a", "b", "a/b", "a/b/c", "b/a", "../v", "/a", "a/../b", ".wh.a", "a/.wh.b", "a/.wh..wh..opq", "."]
)
ENTRIES = st.lists(
    st.one_of(
        st.builds(file, NAMES, st.binary(max_size=20)),
        st.builds(directory, NAMES),
        st.builds(symlink, NAMES, st.sampled_from(["a", "b", "../..", "/", "/a", ".", "../victim", "a/b"])),
        st.builds(hardlink, NAMES, NAMES),
    ),
    max_size=8,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layers=st.lists(ENTRIES, min_size=1, max_size=3))
def test_no_sequence_of_entries_reaches_outside(
    store: LayerStore, outside: Callable[[], object], layers: list[list[Member]]
) -> None:
    before = outside()
    try:
        with store.batch() as batch:
            done = []
            for members in layers:
                done.append(batch.unpack(in_chunks(tar(*members)), done))
            for layer in done:
                tree = batch.path(layer)
                for path in [tree, *tree.rglob("*")]:
                    assert stat.S_IMODE(path.lstat().st_mode) in (0o644, 0o755, 0o777, 0)
    except InvalidArgument:
        pass
    assert outside() == before
    assert sorted(os.listdir(store.root)) == [".trash", "empty", "nothing", "tmp"]


def test_tarfile_constants_are_what_we_think() -> None:
    assert (tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE) == (b"0", b"2", b"1")
