"""Stacks of layers as the kernel shows them, against a model of what OCI image-spec, layer.md says."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.image.making import Member, directory, file, tar, unpack
from wherry.snapshot.layers import LayerStore

Tree = dict[str, bytes | None]  # path → content; None is a directory


class Layer(NamedTuple):
    members: list[Member]
    whiteouts: list[str]
    opaque: list[str]

    def archive(self) -> bytes:
        hidden = [
            file("/".join([*path.split("/")[:-1], f".wh.{path.split('/')[-1]}"])) for path in self.whiteouts
        ]
        opaque = [file(f"{path}/.wh..wh..opq") for path in self.opaque]
        return tar(*hidden[::2], *self.members, *opaque, *hidden[1::2])


NAME = st.sampled_from("abc")
PATH = st.lists(NAME, min_size=1, max_size=3).map("/".join)
MEMBER = st.one_of(st.builds(file, PATH, st.binary(min_size=1, max_size=2)), st.builds(directory, PATH))


def parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


def drop(tree: Tree, path: str, *, itself: bool) -> None:
    for found in [name for name in tree if name.startswith(path + "/") or (itself and name == path)]:
        del tree[found]


def own(layer: Layer) -> Tree:
    """What the archive itself holds; directories above anything are implied."""
    tree: Tree = {}
    for path in [*layer.whiteouts, *[f"{path}/x" for path in layer.opaque]]:
        tree.update(dict.fromkeys(parents(path)))
    for info, content in layer.members:
        tree.update(dict.fromkeys(parents(info.name)))
        tree[info.name] = None if info.isdir() else content
    return tree


def is_plain(layer: Layer) -> bool:
    """Whether no name is both a file and a directory in one archive."""
    files = {info.name for info, _ in layer.members if not info.isdir()}
    folders = {info.name for info, _ in layer.members if info.isdir()} | {*layer.opaque}
    named = [info.name for info, _ in layer.members] + layer.whiteouts + layer.opaque
    return not files & (folders | {parent for path in named for parent in parents(path)})


LAYER = st.builds(
    Layer, st.lists(MEMBER, max_size=4), st.lists(PATH, max_size=2), st.lists(PATH, max_size=1)
).filter(is_plain)


def merge(lower: Tree, layer: Layer) -> Tree:
    merged = dict(lower)
    for path in layer.whiteouts:
        drop(merged, path, itself=True)
    for path in layer.opaque:
        drop(merged, path, itself=False)
    for path, content in sorted(own(layer).items()):
        if content is not None or merged.get(path) is not None:
            drop(merged, path, itself=True)
        merged[path] = content
    return merged


def mounted(trees: list[Path], folder: Path) -> Tree:
    (folder / "merged").mkdir()
    lower = ":".join(str(tree) for tree in reversed(trees))
    single = f"mount --bind {lower} {folder}/merged"  # overlayfs wants two layers
    overlay = f"mount -t overlay -o lowerdir={lower} none {folder}/merged"
    listing = "find . -mindepth 1 -printf '%y %P\\n' | while read t p; do test $t != f || c=$(cat $p | od -An -tx1); "
    script = f"{overlay if len(trees) > 1 else single}; cd {folder}/merged; {listing} echo $t $p $c; c=; done"
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    found: Tree = {}
    for kind, path, *content in map(str.split, lines):
        assert kind in "df", f"{path} is visible as a {kind}"
        found[path] = bytes.fromhex("".join(content)) if kind == "f" else None
    return found


@settings(max_examples=100, deadline=None)
@given(st.lists(LAYER, min_size=1, max_size=4))
def test_the_kernel_shows_what_the_specification_says(layers: list[Layer]) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        folder = Path(name)
        store = LayerStore(folder / "layers")
        done = unpack(store, *[layer.archive() for layer in layers])
        expected: Tree = {}
        for layer in layers:
            expected = merge(expected, layer)
        assert mounted([store.path(layer.chain_id) for layer in done], folder) == expected
