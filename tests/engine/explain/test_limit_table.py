"""The table of cgroup files against the kernel's own: which there are, and what they hold where nothing is limited."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from wherry.engine.explain.cgroup_reading import read_limits
from wherry.engine.explain.limits import KNOWN, V1, V2, limit_files, value_of
from wherry.engine.explain.observed import Depth
from wherry.runtime.cgroups import Cgroups, detect
from wherry.runtime.cgroups.files import LIMITS

PATH = f"wherry-test-{os.getpid()}/c"


@pytest.fixture
def cgroups() -> Iterator[Cgroups]:
    found = detect()
    parent = os.path.dirname(PATH)
    found.prepare(parent)
    for directory in found.directories(PATH):
        os.mkdir(directory)
    yield found
    assert found.destroy(PATH)
    assert found.remove_parent(parent)


def test_every_limit_has_a_file_and_every_file_one_limit() -> None:
    assert [limit.name for limit in LIMITS if limit.v1 is None and limit.v2 is None] == []
    for kinds in KNOWN.values():
        names = [kind.file for kind in kinds]
        assert len(names) == len(set(names))


def test_a_new_cgroup_has_the_defaults(cgroups: Cgroups) -> None:
    readings = list(read_limits(V1 if cgroups.version == 1 else V2, cgroups, PATH, Depth()))
    assert len(readings) >= 5
    other = [
        (reading.kind.file, reading.text, reading.default)
        for reading in readings
        if value_of(reading.text, reading.kind.form) != value_of(reading.default, reading.kind.form)
    ]
    assert other == []


def test_what_is_used_stands_beside_the_limit(cgroups: Cgroups) -> None:
    readings = read_limits(limit_files(cgroups.version, []), cgroups, PATH, Depth())
    told = [reading for reading in readings if reading.kind.used]
    assert told
    assert [reading.kind.file for reading in told if reading.used is None] == []


def test_use_is_told_by_files_that_are_there(cgroups: Cgroups) -> None:
    usage = cgroups.usage(PATH)
    assert usage.memory_stat
    assert usage.pids == 0
    assert usage.cpu_total == 0
