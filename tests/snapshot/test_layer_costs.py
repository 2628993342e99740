"""What an archive costs grows with its length: twice as much of it takes about twice the steps, not four times."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.steps import steps
from tests.image.making import Member, directory, file, in_chunks, symlink, tar, unpack
from wherry.errors import InvalidArgument
from wherry.linux.trees import remove_tree
from wherry.snapshot import merged
from wherry.snapshot.layers import LayerStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LayerStore]:
    """Its trees are deeper than pytest can remove them: its clean-up, three runs later, ended in a RecursionError."""
    made = LayerStore(tmp_path / "layers")
    yield made
    remove_tree(made.root)


def deep(levels: int, name: str) -> str:
    return "a/" * levels + name


def replaced_directories(count: int) -> list[Member]:
    others = [directory(f"other{n}") for n in range(count)]
    return others + [member for _ in range(count) for member in (directory("d"), file("d"))]


def replaced_among_marks(count: int) -> list[Member]:
    marks = [file(f"opaque{n}/.wh..wh..opq") for n in range(count)] + [
        file(f".wh.f{n}") for n in range(count)
    ]
    return marks + [member for _ in range(count) for member in (directory("d"), file("d"))]


def implied_directories(count: int) -> list[Member]:
    return [file(deep(count, "f"))]


def entries_through_a_link(count: int) -> list[Member]:
    return [
        directory("real"),
        symlink("link", "real"),
        *[file("link/" + deep(count, f"{n}/f")) for n in range(20)],
    ]


@pytest.mark.parametrize(
    "members", [replaced_directories, replaced_among_marks, implied_directories, entries_through_a_link]
)
def test_twice_the_archive_takes_twice_the_steps(
    store: LayerStore, members: Callable[[int], list[Member]]
) -> None:
    unpack(store, tar(file("warm/up")))
    once, twice = tar(*members(300)), tar(*members(600))
    assert steps(lambda: unpack(store, twice)) < 3 * steps(lambda: unpack(store, once))


def test_whiteouts_with_long_paths(store: LayerStore) -> None:
    """That each is looked for from the root anew took minutes, more than a test has (tests/conftest.py)."""
    below = tar(file(deep(1900, "gone0")), file(deep(1900, "kept")))
    _, upper = unpack(store, below, tar(*[file(deep(1900, f".wh.gone{n}")) for n in range(20_000)]))
    found = os.open(store.path(upper.chain_id), os.O_RDONLY)
    for _ in range(1900):
        inside = os.open("a", os.O_RDONLY | os.O_DIRECTORY, dir_fd=found)
        os.close(found)
        found = inside
    assert os.listdir(found) == ["gone0"]
    os.close(found)


def test_directories_that_are_not_carried_have_a_limit(
    store: LayerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1.5 MB of paths made half a million directories."""
    monkeypatch.setattr(merged, "_IMPLIED", 1000)
    paths = [file(f"d{n}/" + deep(99, "f")) for n in range(11)]
    unpack(store, tar(*paths[:10]))
    with pytest.raises(InvalidArgument, match="implies more than 1000 directories"), store.batch() as batch:
        batch.unpack(in_chunks(tar(*paths)), [])
    carried = [directory(f"d{n}") for n in range(1500)]
    unpack(store, tar(*carried, *[file(f"d{n}/f") for n in range(1500)]))
