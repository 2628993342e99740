"""What a container wrote, as the kernel's overlay leaves it: told, packed, and made a layer."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.image.making import Node, describe, directory, file, hardlink, symlink, tar, unpack
from wherry.content.tar import Kind as EntryKind
from wherry.content.tar import TarReader
from wherry.errors import Internal, InvalidArgument
from wherry.snapshot.changes import Kind
from wherry.snapshot.layers import Layer, LayerStore
from wherry.snapshot.overlay import OPTIONS, OverlayStore

BASE = tar(
    directory("etc", mode=0o750, uid=3),
    file("etc/passwd", b"root\n"),
    file("etc/group", b"root\n"),
    directory("gone"),
    file("gone/one", b"1"),
    file("gone/two", b"2"),
    directory("emptied"),
    file("emptied/old", b"old"),
    file("emptied/both", b"below"),
    directory("tree/deep/er"),
    file("tree/deep/er/leaf", b"leaf"),
    file("becomes-dir", b"x"),
    directory("becomes-file"),
    file("becomes-file/inside", b"x"),
    symlink("link", "etc"),
    file("twice", b"twice"),
    hardlink("again", "twice"),
)
MIDDLE = tar(file("middle", b"m"), file("etc/.wh.group"), file("gone/three", b"3"))


@pytest.fixture
def layers(tmp_path: Path) -> LayerStore:
    return LayerStore(tmp_path / "layers")


@pytest.fixture
def store(tmp_path: Path, layers: LayerStore) -> OverlayStore:
    return OverlayStore(layers, tmp_path / "containers")


@pytest.fixture
def chain(layers: LayerStore) -> list[Layer]:
    return unpack(layers, BASE, MIDDLE)


def ids(chain: Sequence[Layer]) -> list[str]:
    return [layer.chain_id for layer in chain]


def write(store: OverlayStore, chain: Sequence[Layer], script: str, key: str = "c") -> str:
    """Run a script in the mounted root of a writable tree, as a container would."""
    snapshot = store.prepare(key, ids(chain))
    options = (
        f"lowerdir={':'.join(snapshot.lower)},upperdir={snapshot.upper},workdir={snapshot.work},{OPTIONS}"
    )
    return in_mount(snapshot.layers_root, options, script)


def read(store: OverlayStore, chain: Sequence[Layer], script: str) -> str:
    """Run a script in the mounted layers alone."""
    view = store.view(ids(chain))
    return in_mount(view.layers_root, f"lowerdir={':'.join(view.lower)}", script)


def in_mount(layers_root: Path, options: str, script: str) -> str:
    merged = layers_root.parent / "merged"
    merged.mkdir(exist_ok=True)
    whole = f"cd {layers_root} && mount -t overlay -o {options} none {merged} && cd {merged} && {script}"
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", whole]
    done = subprocess.run(command, check=True, capture_output=True, text=True, errors="surrogateescape")
    return done.stdout


def told(store: OverlayStore, chain: Sequence[Layer], key: str = "c") -> list[str]:
    return [f"{'CAD'[kind]} {path.decode()}" for kind, path in store.changes(key, ids(chain))]


def packed(store: OverlayStore, chain: Sequence[Layer], key: str = "c") -> bytes:
    return b"".join(store.pack(key, ids(chain)))


def names(archive: bytes) -> list[str]:
    return [entry.name.decode() for entry in TarReader([archive])]


# --- what docker diff says


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("true", []),
        ("echo x > new", ["A /new"]),
        ("mkdir -p a/b; touch a/b/c", ["A /a", "A /a/b", "A /a/b/c"]),
        ("echo x >> etc/passwd", ["C /etc", "C /etc/passwd"]),
        ("exec 3>> etc/passwd", []),  # copied up, and left as it was
        ("chmod 600 etc/passwd", ["C /etc", "C /etc/passwd"]),
        ("chmod 700 etc", ["C /etc"]),
        ("chown 1:2 tree/deep", ["C /tree", "C /tree/deep"]),
        ("touch -d 2001-01-01 tree", []),  # the time of a directory does not count
        ("rm etc/passwd", ["C /etc", "D /etc/passwd"]),
        ("rm middle twice", ["D /middle", "D /twice"]),
        ("rm -r gone", ["D /gone"]),
        ("touch x; rm x", []),
        ("rm -r emptied; mkdir emptied; echo up > emptied/both",
         ["C /emptied", "D /emptied/old", "C /emptied/both"]),
        ("rm -r emptied; mkdir emptied", ["C /emptied", "D /emptied/both", "D /emptied/old"]),
        ("rm becomes-dir; mkdir becomes-dir; touch becomes-dir/f", ["C /becomes-dir", "A /becomes-dir/f"]),
        ("rm -r becomes-file; touch becomes-file", ["C /becomes-file"]),
        ("touch tree/deep/er/new tree/deep/er/new2",
         ["C /tree", "C /tree/deep", "C /tree/deep/er", "A /tree/deep/er/new", "A /tree/deep/er/new2"]),
        ("ln -sfn tree link", ["C /link"]),
        ("rm link; mkdir link; touch link/passwd", ["C /link", "A /link/passwd"]),
        ("echo x > etc/group", ["C /etc", "A /etc/group"]),  # the image's second layer removed it
        ("mv tree/deep/er/leaf moved", ["A /moved", "C /tree", "C /tree/deep", "C /tree/deep/er",
                                        "D /tree/deep/er/leaf"]),
        ("mkdir -p new/emptied; mv etc/passwd new/emptied/", ["C /etc", "D /etc/passwd", "A /new", "A /new/emptied",
                                                           "A /new/emptied/passwd"]),
    ],
)  # fmt: skip
def test_changes(store: OverlayStore, chain: list[Layer], script: str, expected: list[str]) -> None:
    write(store, chain, script)
    assert told(store, chain) == expected


def test_a_capability_is_a_change(store: OverlayStore, chain: list[Layer]) -> None:
    write(store, chain, "exec 3>> middle")
    capability = bytes.fromhex("0100000200040000000000000000000000000000")
    os.setxattr(store.containers_root / "c/upper/middle", "security.capability", capability)
    assert told(store, chain) == ["C /middle"]


def test_all_is_added_where_there_are_no_layers(store: OverlayStore) -> None:
    snapshot = store.prepare("c", [])
    (snapshot.upper / "d").mkdir()
    (snapshot.upper / "d/f").touch()
    assert told(store, []) == ["A /d", "A /d/f"]


def test_a_tree_with_redirects_is_not_misread(store: OverlayStore, chain: list[Layer]) -> None:
    snapshot = store.prepare("c", ids(chain))
    (snapshot.upper / "moved").mkdir()
    os.setxattr(snapshot.upper / "moved", "trusted.overlay.redirect", b"/tree")
    with pytest.raises(Internal, match="redirect_dir"):
        packed(store, chain)


def test_the_mount_makes_no_redirects(store: OverlayStore, chain: list[Layer]) -> None:
    assert write(store, chain, "mv tree wood && ls") .split() == sorted(  # mv copies: the kernel says EXDEV
        ["becomes-dir", "becomes-file", "again", "emptied", "etc", "gone", "link", "middle", "twice", "wood"]
    )  # fmt: skip
    assert "D /tree" in told(store, chain)
    assert "A /wood/deep/er/leaf" in told(store, chain)


# --- as an archive, as a layer

SCRIPTS = {
    "nothing": "true",
    "attributes": "chmod 4755 etc/passwd; chown 12:34 etc; touch -d '2001-02-03 04:05:06.123456789' tree middle",
    "deleted": "rm -r gone etc/passwd; rm twice",
    "replaced": "rm -r emptied becomes-*; mkdir emptied becomes-dir; echo > becomes-file; ln -s / emptied/l",
    "root": "chmod 711 .; chown 5:6 .; echo x > f",
    "kinds": "mkfifo p; mknod -m 640 b b 259 1000000; mknod c c 1 3; ln -s nowhere s; mkdir -m 1777 d; echo f > f",
    "links": "echo x > one; ln one two; mkdir d; ln one d/three; ln again fourth; ln -s x sym; cp -al sym sym2",
    "names": "mkdir $(printf 'n%.0s' $(seq 200)); > $(printf 'é%.0s' $(seq 60)); > \"$(printf 'a\\377b\\nc')\"",
    "owners": "echo x > big; chown 3000000000:2500000000 big; echo y > zero; truncate -s 5000 zero",
    "times": "echo x > old; touch -d '1912-06-23 01:02:03.25' old; echo y > far; touch -d '@9999999999' far",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_archive_makes_the_same_tree_that_is_committed(
    store: OverlayStore, layers: LayerStore, chain: list[Layer], name: str, tmp_path: Path
) -> None:
    """Three ways to one layer: moved, unpacked from its archive, and as GNU tar and the kernel see it."""
    files = "find . -not -type d -printf '%p %M %U:%G %l %n %T@\\n'"
    merged = f"({files}; find . -type d -printf '%p %M %U:%G %T@\\n') | sort"
    before = write(store, chain, f"{SCRIPTS[name]}\n {merged}")
    archive = packed(store, chain)
    assert archive == packed(store, chain)
    other = LayerStore(tmp_path / "other")
    unpacked = unpack(other, BASE, MIDDLE, archive)[-1]
    diff_id = "sha256:" + hashlib.sha256(archive).hexdigest()
    with layers.batch() as batch:
        committed = store.commit("c", chain, diff_id, batch)
        batch.commit()
    assert committed == unpacked
    assert tree_of(layers, committed) == tree_of(other, unpacked)
    assert list(store.list()) == []
    after = read(store, [*chain, committed], merged)
    assert without_root_time(after) == without_root_time(before)


def tree_of(layers: LayerStore, layer: Layer) -> dict[bytes, Node]:
    """A layer's files; of whiteouts, only that they are there."""
    tree = describe(layers.path(layer.chain_id))
    return {path: replace(node, mtime=0) if node.content == 0 else node for path, node in tree.items()}


def without_root_time(listing: str) -> list[str]:
    """The time of the root itself belongs to no layer unless its attributes do."""
    return [line.rpartition(" ")[0] if line.startswith(". ") else line for line in listing.splitlines()]


def test_whiteouts_and_opaque_directories_by_name(store: OverlayStore, chain: list[Layer]) -> None:
    write(store, chain, "rm -r gone emptied etc/passwd; mkdir emptied new; touch emptied/z")
    assert names(packed(store, chain)) == [
        "emptied/", "emptied/.wh..wh..opq", "emptied/z", "etc/", "etc/.wh.passwd", ".wh.gone", "new/",
    ]  # fmt: skip


def test_hard_links_and_attributes_in_the_archive(store: OverlayStore, chain: list[Layer]) -> None:
    write(store, chain, "echo x > b; ln b a; ln b c")
    os.setxattr(store.containers_root / "c/upper/a", "user.note", b"\0binary\xff\n")
    os.setxattr(store.containers_root / "c/upper/a", "trusted.overlay.origin", b"not the file's own")
    entries = list(TarReader([packed(store, chain)]))
    assert [(entry.name, entry.kind, entry.link) for entry in entries] == [
        (b"a", EntryKind.FILE, b""),
        (b"b", EntryKind.HARDLINK, b"a"),
        (b"c", EntryKind.HARDLINK, b"a"),
    ]
    assert entries[0].xattrs == {b"user.note": b"\0binary\xff\n"}


def test_sockets_are_left_out(store: OverlayStore, layers: LayerStore, chain: list[Layer]) -> None:
    write(store, chain, "mkdir run; touch -d 2001-01-01 run")
    folder = store.containers_root / "c/upper/run"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"/proc/self/fd/{os.open(folder, os.O_RDONLY)}/s")
    os.utime(folder, ns=(5, 5))
    archive = packed(store, chain)
    assert names(archive) == ["run/"]
    with layers.batch() as batch:
        layer = store.commit("c", chain, "sha256:" + hashlib.sha256(archive).hexdigest(), batch)
        assert os.listdir(batch.path(layer) / "run") == []
        assert (batch.path(layer) / "run").stat().st_mtime_ns == 5


def test_what_no_layer_can_hold_is_refused(store: OverlayStore, chain: list[Layer]) -> None:
    write(store, chain, "touch .wh.x", "whiteout")
    with pytest.raises(
        InvalidArgument, match=r"'.wh.x' cannot be part of an image: names that begin with '.wh.'"
    ):
        packed(store, chain, "whiteout")
    os.close(nest(store.prepare("deep", ids(chain)).upper, 30))
    with pytest.raises(InvalidArgument, match="its path is too long"):
        packed(store, chain, "deep")


def nest(top: Path, depth: int) -> int:
    """Directories below each other, deeper than a path can name; the innermost one's descriptor."""
    at = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("x" * 200, dir_fd=at)
        below = os.open("x" * 200, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    return at


def test_a_file_that_shrinks_or_grows_keeps_its_first_size(store: OverlayStore) -> None:
    upper = store.prepare("c", []).upper
    (upper / "a").write_bytes(b"a" * (3 << 20))
    (upper / "b").write_bytes(b"b" * (3 << 20))
    (upper / "z").write_bytes(b"end")
    pieces = store.pack("c", [])
    archive = next(pieces)
    os.truncate(upper / "a", 1 << 20)
    with (upper / "b").open("ab") as more:
        more.write(b"more")
    archive += b"".join(pieces)
    reader = TarReader([archive])
    sizes = {entry.name: sum(map(len, reader.data())) for entry in reader}
    assert (sizes[b"a"], sizes[b"z"]) == (3 << 20, 3)


def test_gnu_tar_reads_what_we_write(store: OverlayStore, chain: list[Layer], tmp_path: Path) -> None:
    write(
        store,
        chain,
        "; ".join(f"mkdir {name}; (cd {name}; {SCRIPTS[name]})" for name in ("kinds", "names", "owners")),
    )
    (tmp_path / "out").mkdir()
    command = ["tar", "-xp", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-C", str(tmp_path / "out")]
    subprocess.run(command, input=packed(store, chain), check=True)
    upper = describe(store.containers_root / "c/upper", ignore_root=True)
    for node in upper.values():
        for name in [name for name in node.xattrs if name.startswith("trusted.overlay.")]:
            del node.xattrs[name]
    assert describe(tmp_path / "out", ignore_root=True) == upper


def test_where_trees_and_layers_are_on_two_file_systems_the_layer_is_copied(tmp_path: Path) -> None:
    script = f"""
import hashlib
from pathlib import Path
from tests.image.making import directory, file, tar, unpack
from wherry.snapshot.layers import LayerStore
from wherry.snapshot.overlay import OverlayStore
layers = LayerStore(Path("{tmp_path}/layers"))
store = OverlayStore(layers, Path("{tmp_path}/elsewhere/containers"))
chain = unpack(layers, tar(directory("d"), file("d/f", b"x")))
upper = store.prepare("c", [chain[0].chain_id]).upper
(upper / "new").write_bytes(b"new")
digest = "sha256:" + hashlib.sha256(b"".join(store.pack("c", [chain[0].chain_id]))).hexdigest()
with layers.batch() as batch:
    layer = store.commit("c", chain, digest, batch)
    batch.commit()
print((layers.path(layer.chain_id) / "new").read_text(), layer.size, list(store.list()))
"""
    (tmp_path / "elsewhere").mkdir()
    mount = f'mount -t tmpfs tmpfs {tmp_path}/elsewhere && exec {sys.executable} -c "$0"'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", mount, script]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert done.stdout == "new 3 []\n"


# --- trees that others write in


def test_a_view_shows_the_layers_and_cannot_be_written_in(store: OverlayStore, chain: list[Layer]) -> None:
    assert (
        read(store, chain, "cat middle; ls etc; touch x 2> /dev/null || echo read-only")
        == "mpasswd\nread-only\n"
    )
    assert (
        read(store, chain[:1], "cat etc/group") == "root\n"
    )  # one layer alone, which overlayfs would refuse
    assert read(store, [], "ls -A") == ""


def test_size_is_not_led_out_of_the_tree(store: OverlayStore, tmp_path: Path) -> None:
    upper = store.prepare("c", []).upper
    (tmp_path / "big").write_bytes(bytes(1 << 20))
    (upper / "link").symlink_to(tmp_path)
    (upper / "f").write_bytes(b"123")
    assert store.size_rw("c") == 3


def test_size_counts_what_no_path_can_name(store: OverlayStore) -> None:
    at = nest(store.prepare("c", []).upper, 30)
    fd = os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=at)
    os.write(fd, b"12345")
    os.close(fd)
    os.close(at)
    assert store.size_rw("c") == 5
    store.remove("c")
    store.sweep()


def test_only_char_devices_zero_zero_are_whiteouts(store: OverlayStore, chain: list[Layer]) -> None:
    upper = store.prepare("c", ids(chain)).upper
    os.mknod(upper / "middle", stat.S_IFCHR, os.makedev(1, 3))
    assert told(store, chain) == ["C /middle"]
    assert Kind.MODIFIED == 0
