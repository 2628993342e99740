"""Layers against real trees: what GNU tar packs we unpack alike, and overlayfs shows what the layers say."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from tests.harness.descriptors import open_before, open_now
from tests.image.making import (
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
from wherry.content.digest import chain_ids
from wherry.errors import Internal, InvalidArgument
from wherry.linux.trees import remove_tree
from wherry.snapshot.layers import LayerStore

OPAQUE = "trusted.overlay.opaque"


@pytest.fixture
def store(tmp_path: Path) -> LayerStore:
    return LayerStore(tmp_path / "layers")


@pytest.fixture
def rich_tree(tmp_path: Path) -> Path:
    """A bit of everything that a root filesystem may hold."""
    root = tmp_path / "rich"
    (root / "usr/bin").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "usr/bin/su").write_bytes(b"setuid" * 1000)
    os.chown(root / "usr/bin/su", 12, 34)
    (root / "usr/bin/su").chmod(0o6755)
    os.link(root / "usr/bin/su", root / "usr/bin/also-su")
    (root / "usr/bin/sh").symlink_to("/bin/../outside/of/everything")
    os.chown(root / "usr/bin/sh", 5, 6, follow_symlinks=False)
    os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(root / "disk", stat.S_IFBLK | 0o640, os.makedev(259, 1_000_000))
    os.mkfifo(root / "fifo", 0o620)
    (root / ("long-" * 48)).mkdir()
    (root / ("long-" * 48) / ("name-" * 50)).write_bytes(b"deep")
    (root / "usr/link").symlink_to("target-" * 40)
    Path(os.fsdecode(os.fsencode(root) + b"/latin-\xe9\xff")).write_bytes(b"not utf-8")
    (root / "sticky").mkdir(mode=0o700)
    (root / "sticky").chmod(0o1777)
    (root / "setgid").mkdir()
    (root / "setgid").chmod(0o2775)
    os.chown(root / "setgid", 0, 50)
    (root / "setgid/inside").write_bytes(b"its group is not inherited")
    (root / "unwritable").mkdir()
    (root / "unwritable/file").write_bytes(b"x")
    (root / "unwritable").chmod(0o555)
    (root / "big-owner").write_bytes(b"")
    os.chown(root / "big-owner", 3_000_000_000, 2_500_000_000)
    with (root / "sparse").open("wb") as sparse:
        for offset in (1 << 20, 3 << 20, 5 << 20, 9 << 20, 12 << 20, 20 << 20):
            sparse.seek(offset)
            sparse.write(b"data" * 1500)
        sparse.truncate(32 << 20)
    for number, path in enumerate(everything(root)):
        os.utime(path, ns=(0, 1_600_000_000_123_456_789 + number * 1_000_000_007), follow_symlinks=False)
    return root


def everything(root: Path) -> list[Path]:
    """All paths below, in order. ``rglob`` of older Pythons stumbles over a link with a very long target."""
    return sorted(Path(at, name) for at, folders, files in os.walk(root) for name in (*folders, *files))


def gnu_tar(root: Path, *options: str) -> bytes:
    command = ["tar", "--create", "--numeric-owner", "--sort=name", *options, "--directory", str(root), "."]
    return subprocess.run(command, check=True, capture_output=True).stdout


def whole_seconds(tree: dict[bytes, object]) -> dict[bytes, object]:
    return {path: vars(node) | {"mtime": node.mtime // 10**9} for path, node in tree.items()}  # type: ignore[attr-defined]


# --- what archives can say


@pytest.mark.parametrize(
    "options",
    [
        ("--format=posix", "--xattrs", "--xattrs-include=*"),
        ("--format=posix", "--sparse", "--sparse-version=1.0"),
        ("--format=posix", "--sparse", "--sparse-version=0.1"),
        ("--format=posix", "--sparse", "--sparse-version=0.0"),
    ],
)
def test_posix_archive_unpacks_to_the_tree_it_was_made_of(
    store: LayerStore, rich_tree: Path, options: tuple[str, ...]
) -> None:
    os.setxattr(rich_tree / "usr/bin/sh", "trusted.note", b"on a symlink", follow_symlinks=False)
    os.setxattr(rich_tree / "empty", "trusted.note", b"\0binary\xff")
    capability = bytes.fromhex("0100000200040000000000000000000000000000")
    os.setxattr(rich_tree / "big-owner", "security.capability", capability)
    if "--xattrs" not in options:
        os.removexattr(rich_tree / "usr/bin/sh", "trusted.note", follow_symlinks=False)
        os.removexattr(rich_tree / "empty", "trusted.note")
        os.removexattr(rich_tree / "big-owner", "security.capability")
    [layer] = unpack(store, gnu_tar(rich_tree, *options))
    assert describe(store.path(layer.chain_id)) == describe(rich_tree)


@pytest.mark.parametrize(
    "options", [("--format=gnu",), ("--format=oldgnu", "--sparse"), ("--format=gnu", "--sparse")]
)
def test_gnu_archive_unpacks_to_the_tree_it_was_made_of(
    store: LayerStore, rich_tree: Path, options: tuple[str, ...]
) -> None:
    [layer] = unpack(store, gnu_tar(rich_tree, *options))
    assert whole_seconds(describe(store.path(layer.chain_id))) == whole_seconds(describe(rich_tree))


@pytest.mark.parametrize("form", ["ustar", "v7"])
def test_old_archive_unpacks_as_gnu_tar_does_it(store: LayerStore, tmp_path: Path, form: str) -> None:
    root = tmp_path / "tree"
    (root / "d" / ("a" * 60)).mkdir(parents=True)
    (root / "d" / ("a" * 60) / ("b" * 30)).write_bytes(b"text")
    (root / "link").symlink_to("d")
    archive = gnu_tar(root, f"--format={form}")
    (tmp_path / "theirs").mkdir()
    subprocess.run(["tar", "-xp", "-C", tmp_path / "theirs"], input=archive, check=True)
    [layer] = unpack(store, archive)
    assert describe(store.path(layer.chain_id)) == describe(tmp_path / "theirs")


def test_ustar_prefix_makes_long_paths(store: LayerStore) -> None:
    name = "/".join(["directory"] * 20) + "/file"
    [layer] = unpack(store, tar(file(name, b"found"), format=tarfile.USTAR_FORMAT))
    assert (store.path(layer.chain_id) / name).read_bytes() == b"found"


def test_nothing_is_inherited_from_the_data_root(tmp_path: Path) -> None:
    os.chown(tmp_path, 0, 50)
    tmp_path.chmod(0o2770)
    acl = bytes.fromhex("02000000 01000700ffffffff 04000700ffffffff 10000700ffffffff 20000000ffffffff")
    os.setxattr(tmp_path, "system.posix_acl_default", acl)
    store = LayerStore(tmp_path / "layers")
    [layer] = unpack(store, tar(directory("d"), file("d/f"), symlink("d/l", "f"), file("implied/f")))
    nodes = describe(store.path(layer.chain_id))
    assert {node.owner for node in nodes.values()} == {(0, 0)}
    assert {stat.S_IMODE(node.mode) for node in nodes.values()} == {0o755, 0o644, 0o777}
    assert not any(node.xattrs for node in nodes.values())


def test_a_sparse_file_stays_sparse(store: LayerStore, rich_tree: Path) -> None:
    [layer] = unpack(store, gnu_tar(rich_tree, "--format=posix", "--sparse"))
    status = (store.path(layer.chain_id) / "sparse").stat()
    assert status.st_size == 32 << 20
    assert status.st_blocks * 512 < 1 << 20


@pytest.mark.parametrize("umask", [0o077, 0o022, 0])
def test_modes_do_not_depend_on_the_umask(store: LayerStore, umask: int) -> None:
    old = os.umask(umask)
    try:
        [layer] = unpack(
            store, tar(file("f", mode=0o666), directory("d", mode=0o777), file("x", mode=0o4711))
        )
    finally:
        os.umask(old)
    modes = {
        name: stat.S_IMODE((store.path(layer.chain_id) / name).stat().st_mode) for name in ("f", "d", "x")
    }
    assert modes == {"f": 0o666, "d": 0o777, "x": 0o4711}


@pytest.mark.parametrize(
    "compress",
    [gzip.compress, zstandard.ZstdCompressor().compress, bz2.compress, lzma.compress, bytes],
    ids=["gzip", "zstd", "bzip2", "xz", "plain"],
)
@pytest.mark.parametrize("chunk", [7, 512, 1 << 20])
def test_compressions_and_chunk_sizes_make_no_difference(
    store: LayerStore, compress: object, chunk: int
) -> None:
    members = [file(f"file-{n}", os.urandom(n * 311), uid=n) for n in range(40)]
    archive = tar(directory("."), *members)
    with store.batch() as batch:
        layer = batch.unpack(in_chunks(compress(archive), chunk), [], sha256(archive))  # type: ignore[operator]
        batch.commit()
    for info, content in members:
        path = store.path(layer.chain_id) / info.name
        assert path.read_bytes() == content
        assert path.stat().st_uid == info.uid
    assert layer.size == sum(len(content) for _, content in members)


def test_gzip_members_in_a_row_and_zero_padding(store: LayerStore) -> None:
    archive = tar(file("a", b"x" * 5000), file("b", b"y" * 5000))
    compressed = gzip.compress(archive[:3000]) + gzip.compress(archive[3000:]) + b"\0" * 777
    with store.batch() as batch:
        batch.unpack(in_chunks(compressed, 100), [], sha256(archive))


def test_a_later_entry_replaces_an_earlier_one_whatever_the_types(store: LayerStore) -> None:
    [layer] = unpack(
        store,
        tar(
            file("twice", b"first"),
            file("twice", b"second", mode=0o600),
            directory("d"),
            directory("d/sub"),
            file("d/sub/file", b"gone"),
            file("d", b"now a file"),
            symlink("s", "elsewhere"),
            directory("s", mode=0o711),
            file("s/inside", b"in the directory"),
            file("f", b"file"),
            symlink("f", "twice"),
            directory("kept"),
            file("kept/file", b"stays"),
            directory("kept", mode=0o700),
        ),
    )
    root = store.path(layer.chain_id)
    assert (root / "twice").read_bytes() == b"second"
    assert (root / "d").read_bytes() == b"now a file"
    assert stat.S_IMODE((root / "s").lstat().st_mode) == 0o711
    assert (root / "s/inside").read_bytes() == b"in the directory"
    assert os.readlink(root / "f") == "twice"
    assert (root / "kept/file").read_bytes() == b"stays"
    assert stat.S_IMODE((root / "kept").stat().st_mode) == 0o700


def test_replacing_one_name_of_a_hard_link_leaves_the_other(store: LayerStore) -> None:
    [layer] = unpack(store, tar(file("a", b"shared"), hardlink("b", "a"), file("a", b"own")))
    root = store.path(layer.chain_id)
    assert ((root / "a").read_bytes(), (root / "b").read_bytes()) == (b"own", b"shared")


def test_a_layer_of_more_directories_than_are_kept_open(store: LayerStore) -> None:
    members = [directory(f"d{n}", mode=0o750) for n in range(400)]
    members += [file(f"d{n % 400}/f{n}", b"%d" % n) for n in range(1200)]
    members += [hardlink(f"d{399 - n}/h{n}", f"d{n}/f{n}") for n in range(400)]
    [layer] = unpack(store, tar(*members))
    root = store.path(layer.chain_id)
    assert all((root / f"d{n % 400}/f{n}").read_bytes() == b"%d" % n for n in range(1200))
    assert all((root / f"d{399 - n}/h{n}").samefile(root / f"d{n}/f{n}") for n in range(400))
    assert {stat.S_IMODE((root / f"d{n}").stat().st_mode) for n in range(400)} == {0o750}


def test_no_descriptor_is_left_open(store: LayerStore, rich_tree: Path) -> None:
    archive = gnu_tar(rich_tree, "--format=posix")
    unpack(store, archive)
    before = open_before()
    unpack(store, archive, tar(file("usr/x")), tar(file("usr/.wh.bin"), file("usr/bin/y")))
    with store.batch() as batch, pytest.raises(InvalidArgument):
        batch.unpack(in_chunks(archive[:9000]), [])
    assert open_now() == before


# --- layers on layers


def test_implied_directories_take_after_the_layer_below(store: LayerStore) -> None:
    base = tar(directory(".", mode=0o750, uid=7), directory("a", mode=0o1777, uid=3), directory("a/b", gid=9))
    lower, upper = unpack(store, base, tar(file("a/b/c/file", b"x")))
    nodes, below = describe(store.path(upper.chain_id)), describe(store.path(lower.chain_id))
    assert {path: nodes[path] for path in (b".", b"a", b"a/b")} == {
        path: below[path] for path in (b".", b"a", b"a/b")
    }
    assert stat.S_IMODE(nodes[b"a/b/c"].mode) == 0o755


def test_the_key_is_the_chain_id(store: LayerStore) -> None:
    same = tar(file("etc/x", b"x"))
    plain, strict = tar(directory("etc", mode=0o755)), tar(directory("etc", mode=0o700))
    _, on_plain = unpack(store, plain, same)
    _, on_strict = unpack(store, strict, same)
    assert on_plain.diff_id == on_strict.diff_id == sha256(same)
    assert on_plain.chain_id == chain_ids([sha256(plain), sha256(same)])[1]
    assert on_plain.chain_id != on_strict.chain_id
    assert stat.S_IMODE((store.path(on_strict.chain_id) / "etc").stat().st_mode) == 0o700
    assert on_plain.name == on_plain.chain_id[7:31]


def test_a_symlinked_directory_of_a_lower_layer_is_followed_inside_the_image(store: LayerStore) -> None:
    base = tar(
        directory("usr"), directory("usr/bin", mode=0o711), symlink("bin", "usr/bin"), symlink("abs", "/usr")
    )
    _, upper = unpack(
        store, base, tar(file("bin/tool", b"1"), file("abs/bin/tool2", b"2"), file("bin/deep/x", b"3"))
    )
    root = store.path(upper.chain_id)
    assert sorted(os.listdir(root)) == ["usr"]
    assert sorted(os.listdir(root / "usr/bin")) == ["deep", "tool", "tool2"]
    assert stat.S_IMODE((root / "usr/bin").stat().st_mode) == 0o711


def test_a_directory_entry_replaces_a_symlink_that_was_followed(store: LayerStore) -> None:
    base = tar(directory("real"), symlink("link", "real"))
    _, upper = unpack(
        store, base, tar(file("link/before", b"1"), directory("link", mode=0o700), file("link/after", b"2"))
    )
    root = store.path(upper.chain_id)
    assert os.listdir(root / "real") == ["before"]
    assert os.listdir(root / "link") == ["after"]


def test_hard_link_to_a_file_of_a_lower_layer_is_copied_up(store: LayerStore) -> None:
    base = tar(
        directory("d", mode=0o700), file("d/target", b"content", mode=0o4755, uid=5, mtime=1_234_567_890)
    )
    link = hardlink("link", "d/target", mode=0o4755, uid=5, mtime=1_234_567_890)
    lower, upper = unpack(store, base, tar(link))
    root = store.path(upper.chain_id)
    assert (root / "link").samefile(root / "d/target")
    copy, original = describe(root / "d"), describe(store.path(lower.chain_id) / "d")
    assert copy[b"target"] == original[b"target"]
    assert stat.S_IMODE((root / "d").stat().st_mode) == 0o700


def test_a_hard_links_own_attributes_count(store: LayerStore) -> None:
    """Docker gives them to the file that both names have."""
    file_of = {"file": file("a", b"x", mode=0o4755, uid=1), "link": symlink("a", "nowhere", uid=1)}
    for kind, first in file_of.items():
        layers = unpack(store, tar(first, hardlink("b", "a", mode=0o2640, uid=2, gid=3, mtime=9)))
        status = (store.path(layers[-1].chain_id) / "a").lstat()
        assert (status.st_uid, status.st_gid, status.st_nlink) == (2, 3, 2)
        if kind == "file":
            assert (stat.S_IMODE(status.st_mode), status.st_mtime) == (0o2640, 9)
    lower, upper = unpack(store, tar(file("a", b"x")), tar(hardlink("b", "a", mode=0o600, uid=7)))
    status = (store.path(upper.chain_id) / "a").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_nlink) == (0o600, 7, 2)
    assert (store.path(lower.chain_id) / "a").stat().st_uid == 0


def test_a_hard_link_with_the_same_owner_takes_no_capability_away(store: LayerStore) -> None:
    capability = {"SCHILY.xattr.security.capability": "\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0"}
    [layer] = unpack(store, tar(file("a", b"x", pax_headers=capability, uid=5), hardlink("b", "a", uid=5)))
    assert os.listxattr(store.path(layer.chain_id) / "b") == ["security.capability"]


@pytest.mark.parametrize("seconds", [2**40, 2**62, 2**63, 2**80, -5, -(2**63) - 1])
def test_any_time_that_an_archive_can_say(store: LayerStore, seconds: int) -> None:
    """One that the kernel has no number for is 1970; what a filesystem does with the others is its own."""
    names = ["file", "dir", "link", "hard"]
    members = [file("file", b"x"), directory("dir"), symlink("link", "x"), hardlink("hard", "file")]
    for info, _ in members:
        info.mtime = seconds
    [layer] = unpack(store, tar(*members, format=tarfile.GNU_FORMAT))
    times = {(store.path(layer.chain_id) / name).lstat().st_mtime for name in names}
    assert len(times) == 1
    assert times == {0.0} if not -(2**63) <= seconds < 2**63 else times != {0.0}


def marks(root: Path) -> dict[str, str]:
    """What overlayfs would read in a layer: whiteouts and opaque directories."""
    found = {}
    for path in everything(root):
        status = path.lstat()
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            found[str(path.relative_to(root))] = "whiteout"
        elif path.is_dir() and not path.is_symlink() and OPAQUE in os.listxattr(path):
            found[str(path.relative_to(root))] = os.getxattr(path, OPAQUE).decode()
    return found


def test_whiteouts_become_overlay_marks(store: LayerStore) -> None:
    base = tar(*[file(f"d/{name}") for name in "abc"], file("e/x"), file("again/old"), file("f"))
    _, upper = unpack(
        store,
        base,
        tar(
            file("d/.wh.a"),
            file("d/.wh.missing"),  # nothing to hide: a mark could become visible
            file("e/.wh..wh..opq"),
            file("e/new"),
            file("e/.wh.x"),
            file(".wh.again"),
            directory("again"),
            file("again/new"),
            file("f"),
            file(".wh.f"),  # does not hide what its own layer brings
        ),
    )
    root = store.path(upper.chain_id)
    assert marks(root) == {"d/a": "whiteout", "e": "y", "again": "y"}
    assert (root / "f").is_file()
    assert not list(root.rglob(".wh*"))


def test_whiteout_of_a_name_with_more_dots_and_of_a_symlinked_parent(store: LayerStore) -> None:
    base = tar(directory("real"), file("real/.wh-like"), file("real/..hidden"), symlink("link", "real"))
    _, upper = unpack(store, base, tar(file("link/.wh..wh-like"), file("real/.wh...hidden")))
    assert marks(store.path(upper.chain_id)) == {"real/.wh-like": "whiteout", "real/..hidden": "whiteout"}


def test_overlay_spelling_of_a_whiteout_is_one(store: LayerStore) -> None:
    device = member("gone", tarfile.CHRTYPE, devmajor=0, devminor=0), b""
    _, upper = unpack(store, tar(file("gone")), tar(device))
    assert marks(store.path(upper.chain_id)) == {"gone": "whiteout"}


def test_the_kernel_merges_what_the_layers_say(store: LayerStore, tmp_path: Path) -> None:
    layers = unpack(
        store,
        tar(
            directory("keep"),
            file("keep/one", b"1"),
            file("keep/two", b"2"),
            file("opaque/old", b"o"),
            file("opaque/deep/old", b"o"),
            file("dir-to-file/x", b"x"),
            file("file-to-dir", b"f"),
            symlink("lib", "usr/lib"),
            directory("usr/lib"),
            file("top-gone", b"x"),
        ),
        tar(
            file("keep/.wh.one"),
            file("keep/three", b"3"),
            file("opaque/.wh..wh..opq"),
            file("opaque/new", b"n"),
            file("dir-to-file", b"now"),
            directory("file-to-dir"),
            file("file-to-dir/y", b"y"),
            file("lib/module", b"m"),
            file(".wh.top-gone"),
        ),
        tar(file("keep/one", b"back"), file("opaque/old", b"back")),
        tar(file("opaque/deep/again", b"a")),
    )
    lowerdir = ":".join(str(store.path(layer.chain_id)) for layer in reversed(layers))
    (tmp_path / "merged").mkdir()
    script = (
        f"mount -t overlay -o ro,lowerdir={lowerdir} none {tmp_path}/merged && tar -C {tmp_path}/merged -c ."
    )
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
    merged = subprocess.run(command, check=True, capture_output=True).stdout
    seen = tmp_path / "seen"
    seen.mkdir()
    subprocess.run(["tar", "-xp", "-C", seen], input=merged, check=True)
    files = {str(path.relative_to(seen)): path.read_bytes() for path in seen.rglob("*") if path.is_file()}
    assert files == {
        "keep/one": b"back",
        "keep/two": b"2",
        "keep/three": b"3",
        "opaque/new": b"n",
        "opaque/old": b"back",
        "opaque/deep/again": b"a",
        "dir-to-file": b"now",
        "file-to-dir/y": b"y",
        "usr/lib/module": b"m",
    }
    assert os.readlink(seen / "lib") == "usr/lib"
    assert not [path for path in seen.rglob("*") if path.is_char_device()]


def test_an_opaque_root_hides_all_that_lies_below(store: LayerStore) -> None:
    _, upper = unpack(store, tar(file("a"), file("d/x")), tar(file(".wh..wh..opq"), file("d/y"), file("b")))
    assert marks(store.path(upper.chain_id)) == {"a": "whiteout", "d": "y"}


# --- the store


def test_a_committed_layer_is_found_again(store: LayerStore) -> None:
    [layer] = unpack(store, tar(file("f", b"12345")))
    again = LayerStore(store.root)
    again.recover()
    assert again.get(layer.chain_id) == layer
    assert list(again.list()) == [layer]
    assert layer.size == 5
    assert stat.S_IMODE(store.root.stat().st_mode) == 0o700


def test_what_is_not_committed_is_gone(store: LayerStore) -> None:
    with store.batch() as batch:
        layer = batch.unpack(in_chunks(tar(file("f"))), [])
    assert store.get(layer.chain_id) is None
    assert sorted(os.listdir(store.root)) == [".trash", "empty", "nothing", "tmp"]
    assert not os.listdir(store.root / "tmp")


def test_recover_sweeps_halves(store: LayerStore) -> None:
    kept, lost = unpack(store, tar(file("a")), tar(file("b")))
    (store.root / f"{lost.name}.json").unlink()
    (store.root / "0123456789abcdef01234567.json").write_text("{}")
    (store.root / "tmp/half/deep").mkdir(parents=True)
    store.recover()
    assert sorted(os.listdir(store.root)) == sorted(
        [kept.name, f"{kept.name}.json", ".trash", "empty", "nothing", "tmp"]
    )
    assert not os.listdir(store.root / "tmp")


def test_remove_is_idempotent(store: LayerStore) -> None:
    [layer] = unpack(store, tar(file("a/b/c")))
    store.remove(layer.chain_id)
    store.remove(layer.chain_id)
    assert store.get(layer.chain_id) is None
    assert not store.path(layer.chain_id).exists()


def test_the_same_layer_from_many_threads_at_once_is_one_layer(store: LayerStore) -> None:
    archive = tar(*[file(f"d{n % 7}/f{n}", os.urandom(3000)) for n in range(200)])
    failures: list[BaseException] = []

    def work() -> None:
        try:
            unpack(store, archive, tar(file("d0/top", b"x")))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(list(store.list())) == 2
    assert not os.listdir(store.root / "tmp")


def test_a_failing_source_is_reported_and_leaves_nothing(store: LayerStore) -> None:
    def source() -> Iterator[bytes]:
        yield tar(file("f", b"x" * 100_000))[:50_000]
        raise OSError(5, "the client went away")

    with store.batch() as batch, pytest.raises(Internal, match="client went away"):
        batch.unpack(source(), [])
    assert not os.listdir(store.root / "tmp")


def test_remove_tree_takes_any_depth(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    fd = os.open(top, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=below))
        os.symlink("/etc", "link", dir_fd=below)
        os.close(fd)
        fd = below
    os.close(fd)
    remove_tree(top)
    assert not top.exists()
    assert Path("/etc/passwd").exists()
