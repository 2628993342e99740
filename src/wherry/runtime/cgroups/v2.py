"""Control groups, version 2: one hierarchy for all controllers. kernel, admin-guide/cgroup-v2."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from wherry.linux import cgroupfs, kernel_file
from wherry.runtime import oci_spec as oci
from wherry.runtime.cgroups import device_filter, device_rules, files
from wherry.runtime.cgroups.interface import BlockOperation, CgroupEntry, CgroupSteps, Usage, cause_of
from wherry.runtime.cgroups.oom_notice import OomNotice
from wherry.runtime.cgroups.readings import Readings
from wherry.runtime.steps import (
    DEFAULT,
    Bind,
    Cause,
    CgroupCreate,
    CgroupDevices,
    CgroupWrite,
    Mount,
    MountFlag,
    OomCounter,
    Step,
)

log = logging.getLogger(__name__)

NO_MOUNT_RIGHTS = MountFlag.NOSUID | MountFlag.NODEV | MountFlag.NOEXEC
MICROSECOND = 1000  # nanoseconds


@dataclass(frozen=True)
class CgroupsV2:
    """The unified hierarchy, mounted on ``root``."""

    root: str
    controllers: frozenset[str]
    weighs: bool = True  # cgroups have an io.weight
    version: int = field(default=2, init=False)
    prepared: set[str] = field(default_factory=set, init=False, compare=False)  # parents, by this daemon

    def directory(self, path: str) -> str:
        """A cgroup's directory."""
        return f"{self.root}/{path.strip('/')}"

    def file(self, path: str, name: str) -> str:
        return f"{self.directory(path)}/{name}"

    def directories(self, path: str) -> list[str]:
        return [self.directory(path)]

    # ------------------------------------------------------------ plans

    def plan(self, path: str, limits: oci.Resources | None, causes: Mapping[str, Cause]) -> CgroupSteps:
        directory, place = self.directory(path), causes.get("linux.cgroupsPath", DEFAULT)
        setup: list[Step] = [
            CgroupCreate(directory, cause=place),
            *self.writes(directory, limits or oci.Resources(), causes),
            *self.device_filter(directory, limits, causes),
        ]
        if "memory" in self.controllers:
            setup.append(OomCounter(f"{directory}/{files.OOM_COUNT[2]}", files.OOM_KILLS, cause=place))
        return CgroupSteps(tuple(setup), self.entry(path))

    def entry(self, path: str) -> CgroupEntry:
        """By birth."""
        return CgroupEntry(born_in=self.directory(path))

    def writes(self, directory: str, limits: oci.Resources, causes: Mapping[str, Cause]) -> Iterator[Step]:
        wanted = [(s.file.name, s.text, s.file.optional, s.place) for s in files.settings(2, limits)]
        wanted += [(file, text, False, "unified") for file, text in (limits.unified or {}).items()]
        for file, text, optional, place in wanted:
            if files.controller_of(file) in self.controllers:
                cause = cause_of(causes, place)
                yield CgroupWrite(f"{directory}/{file}", text, optional, cause=cause)

    def device_filter(
        self, directory: str, limits: oci.Resources | None, causes: Mapping[str, Cause]
    ) -> Iterator[Step]:
        if limits is None or not limits.devices:
            return
        access = device_rules.with_defaults(limits.devices)
        if not access.unrestricted:
            program = device_filter.assemble(access)
            yield CgroupDevices(directory, program, cause=cause_of(causes, "devices"))

    def mount(
        self, path: str, target: str, *, writable: bool, own_namespace: bool, cause: Cause = DEFAULT
    ) -> tuple[Step, ...]:
        flags = NO_MOUNT_RIGHTS if writable else NO_MOUNT_RIGHTS | MountFlag.RDONLY
        if own_namespace:
            return (Mount("cgroup2", "cgroup", target, flags, cause=cause),)
        return (Bind(self.root, target, MountFlag.REC, everywhere=flags, cause=cause),)

    # ------------------------------------------------------------ acts

    def prepare(self, parent: str) -> None:
        """Make a parent, and switch the controllers on for what comes below, as far as the host lets them."""
        here = self.root
        for part in parent.strip("/").split("/"):
            self.switch_on(here)
            here = f"{here}/{part}"
            os.makedirs(here, exist_ok=True)
        self.switch_on(here)

    def ensure(self, parent: str) -> None:
        if parent not in self.prepared:
            self.prepare(parent)
            self.prepared.add(parent)

    def switch_on(self, directory: str) -> None:
        """All at once, or each for itself where the kernel refuses one (such as cpu beside realtime processes)."""
        file = f"{directory}/cgroup.subtree_control"
        try:
            kernel_file.write(file, " ".join(f"+{name}" for name in sorted(self.controllers)))
        except OSError:
            for name in sorted(self.controllers):
                try:
                    kernel_file.write(file, f"+{name}")
                except OSError as error:
                    log.warning("limits of the controller %s cannot be set: %s", name, error)

    def remove_parent(self, parent: str) -> bool:
        return cgroupfs.remove_directory(self.directory(parent))

    def names(self, parent: str) -> list[str]:
        return cgroupfs.children(self.directory(parent))

    def destroy(self, path: str) -> bool:
        return cgroupfs.remove(self.directory(path))

    def devices(self, path: str) -> tuple[str, ...] | None:
        return None

    def processes(self, path: str) -> list[int]:
        return cgroupfs.processes(self.directory(path))

    def oom_notice(self, path: str) -> OomNotice | None:
        """There is always somebody killed, which is counted."""
        return None

    def freeze(self, path: str) -> None:
        kernel_file.write(f"{self.directory(path)}/cgroup.freeze", "1")

    def thaw(self, path: str) -> None:
        kernel_file.write(f"{self.directory(path)}/cgroup.freeze", "0")

    # ------------------------------------------------------------ readings

    def usage(self, path: str) -> Usage:
        read = Readings(lambda name: self.file(path, name))
        cpu = read.keyed(files.CPU_TIME[2])
        return Usage(
            cpu_total=cpu.get("usage_usec", 0) * MICROSECOND,
            cpu_user=cpu.get("user_usec", 0) * MICROSECOND,
            cpu_system=cpu.get("system_usec", 0) * MICROSECOND,
            periods=cpu.get("nr_periods", 0),
            throttled_periods=cpu.get("nr_throttled", 0),
            throttled_time=cpu.get("throttled_usec", 0) * MICROSECOND,
            memory_usage=read.number(files.MEMORY_V2.used),
            memory_maximum=read.number(files.PEAK[2]),
            memory_limit=read.number(files.MEMORY_V2.name),
            memory_stat=read.keyed(files.MEMORY_STAT),
            oom_kills=read.keyed(files.OOM_COUNT[2]).get(files.OOM_KILLS, 0),
            pids=read.number(files.PROCESSES.used),
            pids_limit=read.number(files.PROCESSES.name),
            blocks=tuple(parse_blocks(read.text(files.BLOCK_COUNTS[2]))),
        )


def parse_blocks(text: str) -> Iterator[BlockOperation]:
    """``io.stat``: ``MAJ:MIN rbytes=1 wbytes=2 …``."""
    for line in text.splitlines():
        device, *pairs = line.split()
        values = dict(pair.partition("=")[::2] for pair in pairs)
        major, _, minor = device.partition(":")
        yield BlockOperation(
            int(major), int(minor), int(values.get("rbytes", 0)), int(values.get("wbytes", 0))
        )


def detect_v2(root: str) -> CgroupsV2:
    """What is mounted there, and its controllers. The root group has no weight, but it has how weights are kept."""
    controllers = frozenset(kernel_file.read(f"{root}/cgroup.controllers").split())
    return CgroupsV2(root, controllers, os.path.exists(f"{root}/io.cost.qos"))
