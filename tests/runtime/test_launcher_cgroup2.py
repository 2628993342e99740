"""Born in a cgroup: of the version 2 hierarchy that machines with version 1 have beside it, without controllers."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.native.full_container import Wanted, container_plan
from tests.native.lab import Lab, lab  # noqa: F401 - a fixture
from tests.truth.trace import Tracer, parse
from wherry.errors import LaunchFailed
from wherry.runtime.steps import CgroupCreate, Clone, Plan, Step

UNIFIED = Path("/sys/fs/cgroup/unified")
SAY = "grep ^0: /proc/self/cgroup"
pytestmark = [
    pytest.mark.skipif(
        not (UNIFIED / "cgroup.procs").exists(), reason="no version 2 hierarchy beside version 1"
    ),
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
]


@pytest.fixture
def group(lab: Lab) -> Iterator[Path]:  # noqa: F811
    """A parent for a container's own group."""
    parent = UNIFIED / lab.bundle.name
    parent.mkdir()
    yield parent / "c"
    parent.rmdir()  # the monitor has removed the one below


def born_in(lab: Lab, group: Path, made: bool = True) -> Plan:  # noqa: F811
    plan = container_plan(lab.bundle, Wanted(argv=("sh", "-c", SAY)))
    steps: list[Step] = []
    for step in plan.steps:
        if isinstance(step, Clone):
            steps += [CgroupCreate(str(group))] if made else []
            step = dataclasses.replace(step, cgroup=str(group))
        steps.append(step)
    return Plan(tuple(steps))


def run(lab: Lab, group: Path, trace: Path, *options: str) -> tuple[str, list[str]]:  # noqa: F811
    """What the container says of its group, and by which calls its process came there."""
    with Tracer(os.getpid(), trace, *options):
        said = asyncio.run(lab.collect(born_in(lab, group), b"")).output.decode().strip()
    calls = [call for call in parse(trace.read_text(errors="replace")) if not call.failed]
    ways = [c.name for c in calls if "CLONE_INTO_CGROUP" in c.args or f"<{group}/cgroup.procs>" in c.args]
    return said, [way for way in ways if way in ("clone", "clone3", "write")]


def test_born_there_and_not_moved(lab: Lab, group: Path, tmp_path: Path) -> None:  # noqa: F811
    assert run(lab, group, tmp_path / "trace") == ("0::/", ["clone3"])
    assert not group.exists()


def test_where_clone3_is_refused_the_child_enters_by_itself(
    lab: Lab,  # noqa: F811
    group: Path,
    tmp_path: Path,
) -> None:
    assert run(lab, group, tmp_path / "trace", "-e", "inject=clone3:error=ENOSYS") == ("0::/", ["write"])
    assert not group.exists()


def test_a_group_that_is_not_there_is_named(lab: Lab, group: Path) -> None:  # noqa: F811
    with pytest.raises(LaunchFailed, match=f"{group}/cgroup.procs"):
        asyncio.run(lab.collect(born_in(lab, group, made=False), b""))
    assert lab.left_cgroups() == []
