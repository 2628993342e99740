"""Deleting what was thrown away, also while somebody writes in it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import pytest

from wherry.linux.trees import Bin, remove_tree


@contextmanager
def writer(tree: Path) -> Iterator[None]:
    """Somebody who goes on writing in a tree, by its descriptor, wherever that is moved."""
    top = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    over = threading.Event()

    def write() -> None:
        for number in count():
            if over.is_set():
                return
            with suppress(OSError):
                os.mkdir(f"d{number % 50}", dir_fd=top)
                os.close(os.open(f"d{number % 50}/f", os.O_CREAT | os.O_WRONLY, dir_fd=top))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        os.close(top)


def full(path: Path) -> Path:
    (path / "a" / "b").mkdir(parents=True)
    (path / "a" / "b" / "file").write_text("x")
    return path


def test_one_that_cannot_be_deleted_does_not_keep_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    waste = Bin(tmp_path / "bin")
    held = full(tmp_path / "held")
    (held / "many").mkdir()
    for number in range(2000):
        (held / "many" / str(number)).touch()
    with writer(held):
        for path in (held, full(tmp_path / "other"), full(tmp_path / "third")):
            waste.throw(path)
        for _ in range(20):
            waste.empty(0.2)
    assert {name.partition(".")[0] for name in os.listdir(tmp_path / "bin")} <= {"held"}
    assert len([r for r in caplog.records if "cannot delete" in r.message]) <= 2, "told once, not each time"
    waste.empty()
    assert os.listdir(tmp_path / "bin") == []


def test_it_takes_no_longer_than_it_may(tmp_path: Path) -> None:
    """Directories that come as fast as they go do not hold up a sweep for ever."""
    tree = full(tmp_path / "tree")
    with pytest.raises(TimeoutError, match="something is still writing in it"):
        remove_tree(tree, until=time.monotonic() - 1)
    remove_tree(tree)
    assert not tree.exists()
