"""Walks through trees that change, or that were made to lead elsewhere."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.descriptors import open_before, open_now
from wherry.linux.trees import remove_tree
from wherry.linux.walk import DIRECTORY, walk


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "tree"
    root.mkdir()
    yield root
    remove_tree(root)


def paths(root: Path) -> list[bytes]:
    top = os.open(root, DIRECTORY)
    try:
        return [visit.path for visit in walk(top)]
    finally:
        os.close(top)


def nest(root: Path, depth: int) -> int:
    """A directory for each level, and its innermost one's descriptor."""
    at = os.open(root, DIRECTORY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", DIRECTORY, dir_fd=at)
        os.close(at)
        at = below
    return at


def test_parents_first_by_the_bytes_of_their_names(tree: Path) -> None:
    for name in ("b/x", "a/y", "a-b", "é", "B"):
        (tree / name).mkdir(parents=True)
    assert paths(tree) == [b"B", b"a", b"a/y", b"a-b", b"b", b"b/x", "é".encode()]


def test_no_symlink_is_followed(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere/secret").mkdir(parents=True)
    (tree / "link").symlink_to(tmp_path / "elsewhere")
    (tree / "up").symlink_to("..")
    assert paths(tree) == [b"link", b"up"]


def test_a_directory_swapped_for_a_symlink_leads_nowhere(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere/secret").mkdir(parents=True)
    (tree / "a/inside").mkdir(parents=True)
    top = os.open(tree, DIRECTORY)
    seen = []
    for visit in walk(top):
        seen.append(visit.path)
        if visit.name == b"a":
            os.rename(tree / "a", tree / "was-a")
            (tree / "a").symlink_to(tmp_path / "elsewhere")
    os.close(top)
    assert seen == [b"a"]  # what it was called when its directory was read


def test_what_is_removed_meanwhile_is_left_out(tree: Path) -> None:
    for name in ("a", "b", "c"):
        (tree / name).mkdir()
    top = os.open(tree, DIRECTORY)
    seen = []
    for visit in walk(top):
        seen.append(visit.name)
        if visit.name == b"a":
            (tree / "b").rmdir()
    os.close(top)
    assert seen == [b"a", b"c"]


def test_deeper_than_there_are_descriptors_and_longer_than_a_path(tree: Path) -> None:
    """With siblings on the way back up, which are found by ``..``."""
    at = os.open(tree, DIRECTORY)
    for _ in range(400):
        os.mkdir("d" * 20, dir_fd=at)
        os.mkdir("e", dir_fd=at)
        below = os.open("d" * 20, DIRECTORY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 72, hard))
    try:
        found = [len(path) for path in paths(tree)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(found) == 800
    assert max(found) == 400 * 21 - 1


def test_a_tree_moved_while_the_walk_is_deep_in_it_leads_nowhere_else(tree: Path, tmp_path: Path) -> None:
    """``..`` of what was moved is another directory: what lies there is not walked."""
    os.close(nest(tree, 100))
    (tree / "z").mkdir()
    outside = tmp_path / "outside"
    (outside / "secret").mkdir(parents=True)
    top = os.open(tree, DIRECTORY)
    seen = []
    for visit in walk(top):
        seen.append(visit.path)
        if visit.depth == 99:
            os.rename(tree / "/".join("d" * 20), outside / "moved")
    os.close(top)
    assert len(seen) == 101
    assert seen[-1] == b"z"  # the top is always found again


def test_while_others_write(tree: Path) -> None:
    """No exception, no descriptor left, whatever happens in the tree."""
    over = threading.Event()

    def churn() -> None:
        number = 0
        while not over.is_set():
            number += 1
            folder = tree / f"d{number % 7}"
            folder.mkdir(exist_ok=True)
            (folder / f"{number}").write_bytes(b"x")
            if number % 5 == 0:
                os.rename(folder, tree / f"m{number}")
                (tree / f"d{number % 7}").symlink_to("/")
                (tree / f"d{number % 7}").unlink()
            if number % 50 == 0:
                for path in sorted(tree.glob("m*"))[:5]:
                    remove_tree(path)

    before = open_before()  # the thread has some open, now and then
    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(100):
            assert all(path[:1] in b"dm" for path in paths(tree))
    finally:
        over.set()
        thread.join()
    assert open_now() == before
