"""Reading a container's cgroup files: limits and use, in both versions of the hierarchy."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

from wherry.engine.explain.limits import OF_PARENT, LimitFile, limit_files, number
from wherry.engine.explain.observed import CgroupState, Depth, LimitReading
from wherry.linux import cgroupfs, kernel_file
from wherry.runtime.cgroups import Cgroups, CgroupsV1, CgroupsV2
from wherry.runtime.steps import CgroupWrite, Plan

NO_CHILDREN = 2  # links of a directory without directories in it


def read_cgroup(plan: Plan, cgroups: Cgroups, path: str, depth: Depth) -> CgroupState:
    written = [os.path.basename(step.path) for step in plan.steps if isinstance(step, CgroupWrite)]
    kinds = limit_files(cgroups.version, written)
    return CgroupState(
        limits=tuple(read_limits(kinds, cgroups, path, depth)),
        devices=read_devices(cgroups, path),
        usage=cgroups.usage(path) if depth.use else None,
        cpu_file=cpu_file(cgroups, path),
        pids={directory: members(directory) for directory in directories(cgroups, path)},
    )


def cpu_file(cgroups: Cgroups, path: str) -> str:
    name = "cpuacct.usage" if cgroups.version == 1 else "cpu.stat"
    return f"{directory_of(cgroups, name.partition('.')[0], path)}/{name}"


def read_limits(
    kinds: Iterable[LimitFile], cgroups: Cgroups, path: str, depth: Depth
) -> Iterator[LimitReading]:
    for kind in kinds:
        directory = directory_of(cgroups, kind.controller, path)
        text = read_or_none(f"{directory}/{kind.file}") if directory else None
        if text is not None:
            default = default_of(kind, directory)
            used = read_or_none(f"{directory}/{kind.used}") if kind.used and depth.use else None
            yield LimitReading(kind, f"{directory}/{kind.file}", text, default, used_of(used))


def default_of(kind: LimitFile, directory: str) -> str:
    if kind.default != OF_PARENT:
        return kind.default
    return read_or_none(f"{os.path.dirname(directory)}/{kind.file}") or ""


def used_of(text: str | None) -> int | None:
    value = number(text) if text is not None else None
    return value if isinstance(value, int) else None


def read_devices(cgroups: Cgroups, path: str) -> tuple[str, ...] | None:
    if not isinstance(cgroups, CgroupsV1):
        return None
    directory = directory_of(cgroups, "devices", path)
    text = read_or_none(f"{directory}/devices.list") if directory else None
    return tuple(text.splitlines()) if text is not None else None


def directory_of(cgroups: Cgroups, controller: str, path: str) -> str:
    """Where a controller's files are; "" where this host has no such controller."""
    if isinstance(cgroups, CgroupsV1):
        return cgroups.directory(controller, path) if controller in cgroups.controllers else ""
    return cgroups.directory(path) if isinstance(cgroups, CgroupsV2) else ""


def directories(cgroups: Cgroups, path: str) -> Sequence[str]:
    if isinstance(cgroups, CgroupsV1):
        return cgroups.directories(path)
    return [cgroups.directory(path)] if isinstance(cgroups, CgroupsV2) else []


def members(directory: str) -> frozenset[int]:
    """The processes in a cgroup and in those that the container has made below it."""
    found, pending = set[int](), [directory]
    while pending:
        directory = pending.pop()
        found.update(cgroupfs.processes(directory))
        if has_children(directory):
            pending += (f"{directory}/{name}" for name in cgroupfs.children(directory))
    return frozenset(found)


def has_children(directory: str) -> bool:
    """A directory's links are its name, its own dot, and each child's two dots: cheaper than listing its files."""
    try:
        return os.stat(directory).st_nlink > NO_CHILDREN
    except OSError:
        return False


def read_or_none(path: str) -> str | None:
    try:
        return kernel_file.read(path)
    except OSError:
        return None
