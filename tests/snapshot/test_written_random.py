"""Trees that were written in at random: our reading of them against what the kernel shows."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.image.making import directory, file, hardlink, symlink, tar, unpack
from tests.snapshot import scribbler
from wherry.snapshot.layers import Layer, LayerStore
from wherry.snapshot.overlay import OverlayStore

TREES = 40
LOWEST = [directory("a/a/a"), file("a/a/b", b"1"), file("a/b", b"2"), file("b/a", b"3"), file("b/b/c", b"4")]
LAYERS = [
    tar(*LOWEST, symlink("c", "a")),
    tar(
        file("a/.wh.b"), directory("b/c"), file("b/c/a", b"5"), hardlink("b/c/b", "b/c/a"), file("c/a", b"6")
    ),
    tar(file("b/.wh..wh..opq"), file("b/new", b"7"), directory("a/c"), file("a/c/c", b"8")),
]


def in_namespace(layers: LayerStore, trees: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    """Mount each tree and, where it has a seed, write in it; what a reader saw of each."""
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", sys.executable, scribbler.__file__],
        input=json.dumps({"layers": str(layers.root), "trees": trees}, default=str),
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def lower(layers: Sequence[Layer]) -> dict[str, object]:
    return {"lower": [layer.name for layer in reversed(layers)]}


@pytest.mark.parametrize("seed", range(3))
def test_written_at_random(tmp_path: Path, seed: int) -> None:
    """The changes are dockerd's; the layer, moved or unpacked, shows what the tree showed."""
    layers, others = LayerStore(tmp_path / "one/layers"), LayerStore(tmp_path / "two/layers")
    store = OverlayStore(layers, tmp_path / "containers")
    chain = unpack(layers, *LAYERS)
    unpack(others, *LAYERS)
    ids = [layer.chain_id for layer in chain]
    trees = [asdict(store.prepare(str(n), ids)) | {"seed": seed * 1000 + n} for n in range(TREES)]
    seen = in_namespace(layers, trees)
    made = []
    for number in range(TREES):
        told = [f"{'CAD'[kind]} {path.decode()}" for kind, path in store.changes(str(number), ids)]
        assert sorted(told) == seen[number]["changes"], f"tree {number}"
        assert_parents_first(told)
        archive = b"".join(store.pack(str(number), ids))
        digest = "sha256:" + hashlib.sha256(archive).hexdigest()
        with layers.batch() as moved, others.batch() as unpacked:
            made.append(store.commit(str(number), chain, digest, moved))
            assert unpacked.unpack(iter([archive]), chain) == made[-1]
            moved.commit()
            unpacked.commit()
    expected = [tree["listing"] for tree in seen]
    for where in (layers, others):
        shown = in_namespace(where, [lower([*chain, layer]) for layer in made])
        assert [tree["listing"] for tree in shown] == expected


def assert_parents_first(told: Sequence[str]) -> None:
    places = {line[2:]: place for place, line in enumerate(told)}
    for path, place in places.items():
        assert places.get(path.rpartition("/")[0], -1) < place
