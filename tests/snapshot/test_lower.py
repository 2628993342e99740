"""The layers below, read where something fails on the way."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from tests.harness.descriptors import open_before, open_now
from wherry.snapshot.lower import Lower


@contextmanager
def descriptors(most: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def look(trees: Sequence[Path], most: int) -> bool:
    """Whether all could be read with so many descriptors."""
    try:
        with descriptors(most), closing(Lower(trees)) as lower:
            lower.lookup(b"a/b/c/f")
            lower.level(b"a/b/c").close()
    except OSError:
        return False
    return True


def free_numbers(count: int) -> list[int]:
    """The lowest numbers that a descriptor can get. What is open already may leave gaps."""
    numbers = [os.dup(0) for _ in range(count)]
    for number in numbers:
        os.close(number)
    return numbers


def test_no_descriptor_is_left_where_none_is_to_be_had(tmp_path: Path) -> None:
    trees = [tmp_path / name for name in ("upper", "middle", "lower")]
    for tree in trees:
        (tree / "a/b/c").mkdir(parents=True)
    limits = [number + 1 for number in free_numbers(16)]
    before = open_before()
    read = [look(trees, limits[0] - 1), *(look(trees, limit) for limit in limits)]
    assert open_now() == before
    assert not any(read[:3]) and read[-1]
