"""Writable directories of containers, and that the kernel mounts what the snapshot says."""

from __future__ import annotations

import os
import stat
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.image.making import directory, file, symlink, tar, unpack
from wherry.errors import InvalidArgument
from wherry.snapshot.furniture import furnish
from wherry.snapshot.layers import LayerStore
from wherry.snapshot.overlay import OverlaySnapshot, OverlayStore

# posix_acl(5): tag, rights, id; who owns it, user 1000, the group, the mask, others
ACL = ((1, 7, 2**32 - 1), (2, 5, 1000), (4, 5, 2**32 - 1), (16, 5, 2**32 - 1), (32, 0, 2**32 - 1))


@pytest.fixture
def layers(tmp_path: Path) -> LayerStore:
    return LayerStore(tmp_path / "layers")


@pytest.fixture
def store(tmp_path: Path, layers: LayerStore) -> OverlayStore:
    return OverlayStore(layers, tmp_path / "containers")


def mounted(snapshot: OverlaySnapshot, script: str) -> str:
    """What a script prints that runs in the mounted root, in a mount namespace of its own."""
    merged = snapshot.work.with_name("merged")
    merged.mkdir(exist_ok=True)
    options = f"lowerdir={':'.join(snapshot.lower)},upperdir={snapshot.upper},workdir={snapshot.work}"
    assert len(options) < 4096
    whole = (
        f"cd {snapshot.layers_root} && mount -t overlay -o {options} none {merged} && cd {merged} && {script}"
    )
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", whole]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_container_sees_the_layers_and_writes_its_own(layers: LayerStore, store: OverlayStore) -> None:
    chain = unpack(
        layers,
        tar(directory(".", mode=0o711, uid=3, gid=4), file("a", b"one")),
        tar(file("a", b"two"), file("b", b"three")),
    )
    snapshot = store.prepare("c1", [layer.chain_id for layer in chain])
    assert snapshot.lower == (chain[1].name, chain[0].name)
    out = mounted(snapshot, "cat a b; stat -c %a:%u:%g .; echo new > c; rm b")
    assert out == "twothree755:0:0\n"
    assert sorted(os.listdir(snapshot.upper)) == ["b", "c"]
    assert store.size_rw("c1") == 4
    assert mounted(store.snapshot("c1", [layer.chain_id for layer in chain]), "ls") == "a\nc\n"


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_the_root_is_open_to_everybody(layers: LayerStore, store: OverlayStore, umask: int) -> None:
    """Whatever the layers say of it, and in a directory that hands its group down."""
    chain = unpack(layers, tar(directory(".", mode=0o700)), tar(directory(".", mode=0o1750, uid=9)))
    os.chown(store.containers_root, 0, 9)
    store.containers_root.chmod(0o2700)
    before = os.umask(umask)
    try:
        upper = store.prepare("c1", [layer.chain_id for layer in chain]).upper.stat()
    finally:
        os.umask(before)
    assert (stat.S_IMODE(upper.st_mode), upper.st_uid, upper.st_gid) == (0o755, 0, 0)


def test_an_image_without_layers_can_be_mounted(store: OverlayStore) -> None:
    assert mounted(store.prepare("c1", []), "touch x; ls -A") == "x\n"


def test_as_many_layers_as_the_mount_options_hold(layers: LayerStore, store: OverlayStore) -> None:
    chain = [layer.chain_id for layer in unpack(layers, *[tar(file(f"f{n}")) for n in range(100)])]
    assert len(mounted(store.prepare("c1", chain), "ls").split()) == 100
    with pytest.raises(InvalidArgument, match="128 layers"):
        store.prepare("c2", chain + chain[:28])


def test_prepare_again_keeps_what_was_written(layers: LayerStore, store: OverlayStore) -> None:
    [layer] = unpack(layers, tar(file("a")))
    snapshot = store.prepare("c1", [layer.chain_id])
    (snapshot.upper / "kept").write_text("x")
    assert store.prepare("c1", [layer.chain_id]) == snapshot
    assert os.listdir(snapshot.upper) == ["kept"]


def test_removed_directories_go_at_the_sweep(store: OverlayStore) -> None:
    for name in ("c1", "c2", "c3"):
        (store.prepare(name, []).upper / "deep/er").mkdir(parents=True)
    store.remove("c1")
    store.remove("c1")
    assert sorted(store.list()) == ["c2", "c3"]
    assert os.listdir(store.containers_root / ".trash")
    store.sweep()
    assert not os.listdir(store.containers_root / ".trash")


def test_a_name_can_be_used_again_at_once(store: OverlayStore) -> None:
    (store.prepare("c1", []).upper / "old").touch()
    store.remove("c1")
    assert not os.listdir(store.prepare("c1", []).upper)


def test_only_the_engine_may_enter(store: OverlayStore) -> None:
    store.prepare("c1", [])
    assert stat.S_IMODE(store.containers_root.stat().st_mode) == 0o700


def test_size_counts_hard_links_once(store: OverlayStore) -> None:
    upper = store.prepare("c1", []).upper
    (upper / "a").write_bytes(b"x" * 1000)
    os.link(upper / "a", upper / "b")
    (upper / "d").mkdir()
    (upper / "d/c").write_bytes(b"y" * 10)
    (upper / "d/l").symlink_to("c")
    assert store.size_rw("c1") == 1010
    assert store.size_rw("none") == 0


def test_what_the_engine_puts_into_etc_leaves_its_attributes(layers: LayerStore, tmp_path: Path) -> None:
    """The image's directory as its topmost layer has it, with its ACL, too."""
    store = OverlayStore(layers, tmp_path / "containers", furnish)
    acl = b"\2\0\0\0" + b"".join(struct.pack("<HHI", *entry) for entry in ACL)
    notes = {"SCHILY.xattr.user.note": "new", "SCHILY.xattr.trusted.note": "kept"}
    chain = unpack(
        layers,
        tar(directory("etc", pax_headers={"SCHILY.xattr.user.note": "old"}), file("etc/passwd", b"root")),
        tar(directory("etc", mode=0o2750, uid=7, gid=8, pax_headers=notes)),
    )
    os.setxattr(layers.path(chain[1].chain_id) / "etc", "system.posix_acl_access", acl)
    snapshot = store.prepare("c1", [layer.chain_id for layer in chain])
    show = "import os; print(*sorted((n, os.getxattr('etc', n)) for n in os.listxattr('etc')), sep='\\n')"
    out = mounted(snapshot, f'stat -c %a:%u:%g etc; cat etc/passwd; echo; {sys.executable} -c "{show}"')
    assert out.splitlines() == [
        "2750:7:8",
        "root",
        f"('system.posix_acl_access', {acl!r})",
        "('trusted.note', b'kept')",
        "('user.note', b'new')",
    ]


def test_an_etc_that_is_hidden_or_no_directory_gives_no_attributes(
    layers: LayerStore, tmp_path: Path
) -> None:
    store = OverlayStore(layers, tmp_path / "containers", furnish)
    noted = directory("etc", mode=0o700, pax_headers={"SCHILY.xattr.user.note": "old"})
    for number, top in enumerate((file(".wh.etc", b""), symlink("etc", "/x"), file("etc", b"x"))):
        chain = unpack(layers, tar(noted), tar(top))
        snapshot = store.prepare(f"c{number}", [layer.chain_id for layer in chain])
        assert os.listxattr(snapshot.upper / "etc") == []
        assert stat.S_IMODE((snapshot.upper / "etc").stat().st_mode) == 0o755
