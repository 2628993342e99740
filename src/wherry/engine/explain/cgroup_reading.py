"""Reading a container's cgroup files: limits and use, in both versions of the hierarchy."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from wherry.engine.explain.limits import LimitFile, limit_files, number
from wherry.engine.explain.observed import CgroupState, Depth, LimitReading
from wherry.linux import cgroupfs, kernel_file
from wherry.runtime.cgroups import Cgroups
from wherry.runtime.cgroups.files import CPU_TIME, OF_PARENT
from wherry.runtime.steps import CgroupWrite, Plan


def read_cgroup(plan: Plan, cgroups: Cgroups, path: str, depth: Depth) -> CgroupState:
    """All that is told of a container's cgroup: limits, devices, use as far as ``depth`` asks for it, and members."""
    written = [os.path.basename(step.path) for step in plan.steps if isinstance(step, CgroupWrite)]
    kinds = limit_files(cgroups.version, written)
    return CgroupState(
        limits=tuple(read_limits(kinds, cgroups, path, depth)),
        devices=cgroups.devices(path),
        usage=cgroups.usage(path) if depth.use else None,
        cpu_file=cgroups.file(path, CPU_TIME[cgroups.version]),
        pids={directory: frozenset(cgroupfs.processes(directory)) for directory in cgroups.directories(path)},
    )


def read_limits(
    kinds: Iterable[LimitFile], cgroups: Cgroups, path: str, depth: Depth
) -> Iterator[LimitReading]:
    for kind in kinds:
        file = cgroups.file(path, kind.file)
        text = read_or_none(file) if file else None
        if text is not None:
            used = read_or_none(cgroups.file(path, kind.used)) if kind.used and depth.use else None
            yield LimitReading(kind, file, text, default_of(kind, cgroups, path), used_of(used))


def default_of(kind: LimitFile, cgroups: Cgroups, path: str) -> str:
    if kind.default != OF_PARENT:
        return kind.default
    return read_or_none(cgroups.file(os.path.dirname(path), kind.file)) or ""


def used_of(text: str | None) -> int | None:
    value = number(text) if text is not None else None
    return value if isinstance(value, int) else None


def read_or_none(path: str) -> str | None:
    try:
        return kernel_file.read(path)
    except OSError:
        return None
