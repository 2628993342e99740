"""Control groups, version 1: one hierarchy a controller. kernel, admin-guide/cgroup-v1."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from wherry.linux import cgroupfs, kernel_file
from wherry.runtime import oci_spec as oci
from wherry.runtime.cgroups import device_rules
from wherry.runtime.cgroups.interface import BlockOperation, CgroupEntry, CgroupSteps, Usage
from wherry.runtime.steps import (
    DEFAULT,
    Bind,
    Cause,
    CgroupAttach,
    CgroupCreate,
    CgroupWrite,
    Mount,
    MountFlag,
    OomCounter,
    ReadOnlyPath,
    Step,
    Symlink,
)

NO_MOUNT_RIGHTS = MountFlag.NOSUID | MountFlag.NODEV | MountFlag.NOEXEC
NOT_CONTROLLERS = frozenset({"systemd", "unified"})
Setting = tuple[str, str, str, str]  # controller, file, value, place in the specification


@dataclass(frozen=True)
class CgroupsV1:
    """The version 1 hierarchies under one directory.

    ``controllers`` maps a controller to its directory below ``root`` (``cpu`` to ``cpu,cpuacct`` where both are
    mounted as one); ``links`` are the symbolic links beside them.
    """

    root: str
    controllers: Mapping[str, str]
    links: tuple[tuple[str, str], ...] = ()
    swap: bool = True  # memory.memsw.* exists
    weight_file: str = "blkio.weight"
    version: int = field(default=1, init=False)

    @property
    def hierarchies(self) -> list[str]:
        """The directories below root, each once."""
        return list(dict.fromkeys(self.controllers.values()))

    def directory(self, controller: str, path: str) -> str:
        return f"{self.root}/{self.controllers[controller]}/{path.strip('/')}"

    def directories(self, path: str) -> list[str]:
        return [f"{self.root}/{name}/{path.strip('/')}" for name in self.hierarchies]

    # ------------------------------------------------------------ plans

    def plan(self, path: str, limits: oci.Resources | None, causes: Mapping[str, Cause]) -> CgroupSteps:
        """Make the cgroup in every hierarchy, then write limits, then enter."""
        setup = [
            *(CgroupCreate(directory) for directory in self.directories(path)),
            *self.writes(path, limits or oci.Resources(), causes),
            *self.device_writes(path, limits),
            *self.counters(path),
        ]
        return CgroupSteps(tuple(setup), self.entry(path))

    def entry(self, path: str) -> CgroupEntry:
        """By moving: a clone can place its child in the version 2 hierarchy only."""
        return CgroupEntry(moves=tuple(CgroupAttach(directory) for directory in self.directories(path)))

    def writes(self, path: str, limits: oci.Resources, causes: Mapping[str, Cause]) -> Iterator[Step]:
        settings = (
            *memory_settings(limits.memory, self.swap),
            *cpu_settings(limits.cpu),
            *pids_settings(limits.pids),
            *block_settings(limits.block_io, self.weight_file),
        )
        for controller, file, value, place in settings:
            if controller in self.controllers:
                cause = causes.get(f"linux.resources.{place}", DEFAULT)
                yield CgroupWrite(f"{self.directory(controller, path)}/{file}", value, cause=cause)

    def device_writes(self, path: str, limits: oci.Resources | None) -> Iterator[Step]:
        if "devices" not in self.controllers or limits is None or not limits.devices:
            return
        access = device_rules.with_defaults(limits.devices)
        directory = self.directory("devices", path)
        if access.allow and not access.exceptions:
            return
        if not access.allow:
            yield CgroupWrite(f"{directory}/devices.deny", "a")
        file = "devices.deny" if access.allow else "devices.allow"
        for key, letters in access.exceptions:
            yield CgroupWrite(f"{directory}/{file}", device_rules.rule_text(key, letters))

    def counters(self, path: str) -> Iterator[Step]:
        if "memory" in self.controllers:
            yield OomCounter(f"{self.directory('memory', path)}/memory.oom_control", "oom_kill")

    def mount(self, path: str, target: str, *, writable: bool, own_namespace: bool) -> tuple[Step, ...]:
        """A tmpfs with each hierarchy on it, as the container's own cgroup sees it."""
        names = self.hierarchies
        shown: list[Step] = [
            Mount("cgroup", "cgroup", f"{target}/{name}", NO_MOUNT_RIGHTS, self.mount_data(name))
            if own_namespace
            else Bind(
                f"{self.root}/{name}/{path.strip('/')}", f"{target}/{name}", NO_MOUNT_RIGHTS, MountFlag(0)
            )
            for name in names
        ]
        links = [Symlink(name, f"{target}/{link}") for link, name in self.links]
        protection = [] if writable else [ReadOnlyPath(target)]
        return (Mount("tmpfs", "tmpfs", target, NO_MOUNT_RIGHTS, "mode=755"), *shown, *links, *protection)

    def mount_data(self, hierarchy: str) -> str:
        return ",".join(controller for controller, name in self.controllers.items() if name == hierarchy)

    # ------------------------------------------------------------ acts

    def prepare(self, parent: str) -> None:
        """Make a parent. Its cpusets are handed on to children by the kernel (cgroup.clone_children)."""
        for directory in self.directories(parent):
            os.makedirs(directory, exist_ok=True)
        if "cpuset" in self.controllers:
            prepare_cpuset(f"{self.root}/{self.controllers['cpuset']}", parent.strip("/").split("/"))

    def remove_parent(self, parent: str) -> bool:
        return not [d for d in self.directories(parent) if not cgroupfs.remove_directory(d)]

    def names(self, parent: str) -> list[str]:
        found = {name for directory in self.directories(parent) for name in cgroupfs.children(directory)}
        return sorted(found)

    def destroy(self, path: str) -> bool:
        with contextlib.suppress(OSError):
            self.thaw(path)  # frozen processes cannot die
        return not [d for d in self.directories(path) if not cgroupfs.remove(d)]

    def processes(self, path: str) -> list[int]:
        return cgroupfs.processes(self.directories(path)[0])

    def freeze(self, path: str) -> None:
        kernel_file.write(f"{self.directory('freezer', path)}/freezer.state", "FROZEN")

    def thaw(self, path: str) -> None:
        kernel_file.write(f"{self.directory('freezer', path)}/freezer.state", "THAWED")

    # ------------------------------------------------------------ readings

    def usage(self, path: str) -> Usage:
        cpu, memory = self.keyed("cpu", path, "cpu.stat"), self.keyed("memory", path, "memory.stat")
        ticks = self.keyed("cpuacct", path, "cpuacct.stat")
        tick = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
        return Usage(
            cpu_total=self.number("cpuacct", path, "cpuacct.usage"),
            cpu_user=ticks.get("user", 0) * tick,
            cpu_system=ticks.get("system", 0) * tick,
            periods=cpu.get("nr_periods", 0),
            throttled_periods=cpu.get("nr_throttled", 0),
            throttled_time=cpu.get("throttled_time", 0),
            memory_usage=self.number("memory", path, "memory.usage_in_bytes"),
            memory_maximum=self.number("memory", path, "memory.max_usage_in_bytes"),
            memory_limit=self.number("memory", path, "memory.limit_in_bytes"),
            memory_stat=memory,
            oom_kills=self.keyed("memory", path, "memory.oom_control").get("oom_kill", 0),
            pids=self.number("pids", path, "pids.current"),
            pids_limit=self.number("pids", path, "pids.max"),
            blocks=self.blocks(path),
        )

    def text(self, controller: str, path: str, file: str) -> str:
        try:
            return kernel_file.read(f"{self.directory(controller, path)}/{file}")
        except (OSError, KeyError):
            return ""

    def number(self, controller: str, path: str, file: str) -> int:
        text = self.text(controller, path, file).strip()
        return int(text) if text.isdigit() else 0

    def keyed(self, controller: str, path: str, file: str) -> dict[str, int]:
        return cgroupfs.keyed(self.text(controller, path, file))

    def blocks(self, path: str) -> tuple[BlockOperation, ...]:
        """``MAJ:MIN Read|Write BYTES`` lines, summed up a device."""
        totals: dict[tuple[int, int], dict[str, int]] = {}
        for line in self.text("blkio", path, "blkio.throttle.io_service_bytes_recursive").splitlines():
            words = line.split()
            if len(words) == 3 and words[1] in ("Read", "Write"):
                major, _, minor = words[0].partition(":")
                totals.setdefault((int(major), int(minor)), {})[words[1]] = int(words[2])
        return tuple(
            BlockOperation(major, minor, sums.get("Read", 0), sums.get("Write", 0))
            for (major, minor), sums in totals.items()
        )


def prepare_cpuset(root: str, parts: list[str]) -> None:
    """Give each level of a new path the CPUs and nodes of the one above, and let children take them over."""
    for depth in range(len(parts)):
        above = "/".join([root, *parts[:depth]])
        here = "/".join([root, *parts[: depth + 1]])
        for file in ("cpuset.cpus", "cpuset.mems"):
            if not kernel_file.read(f"{here}/{file}").strip():
                kernel_file.write(f"{here}/{file}", kernel_file.read(f"{above}/{file}").strip())
    kernel_file.write("/".join([root, *parts, "cgroup.clone_children"]), "1")


# ---------------------------------------------------------------- limits to files


def memory_settings(memory: oci.Memory | None, swap: bool) -> Iterator[Setting]:
    """A new cgroup has no limit, so the one for memory goes first: that for memory and swap may not be lower."""
    if memory is None:
        return
    if memory.limit is not None:
        yield "memory", "memory.limit_in_bytes", str(memory.limit), "memory.limit"
    if memory.swap is not None and swap:
        yield "memory", "memory.memsw.limit_in_bytes", str(memory.swap), "memory.swap"
    if memory.reservation is not None:
        yield "memory", "memory.soft_limit_in_bytes", str(memory.reservation), "memory.reservation"
    if memory.disable_oom_killer:
        yield "memory", "memory.oom_control", "1", "memory.disableOOMKiller"
    if memory.swappiness is not None:
        yield "memory", "memory.swappiness", str(memory.swappiness), "memory.swappiness"


def cpu_settings(cpu: oci.Cpu | None) -> Iterator[Setting]:
    if cpu is None:
        return
    values = (
        ("cpu", "cpu.shares", cpu.shares, "cpu.shares"),
        ("cpu", "cpu.cfs_period_us", cpu.period, "cpu.quota"),
        ("cpu", "cpu.cfs_quota_us", cpu.quota, "cpu.quota"),
        ("cpu", "cpu.cfs_burst_us", cpu.burst, "cpu.burst"),
        ("cpu", "cpu.rt_period_us", cpu.realtime_period, "cpu.realtime"),
        ("cpu", "cpu.rt_runtime_us", cpu.realtime_runtime, "cpu.realtime"),
        ("cpu", "cpu.idle", cpu.idle, "cpu.idle"),
        ("cpuset", "cpuset.cpus", cpu.cpus or None, "cpu.cpus"),
        ("cpuset", "cpuset.mems", cpu.mems or None, "cpu.mems"),
    )
    for controller, file, value, place in values:
        if value is not None:
            yield controller, file, str(value), place


def pids_settings(pids: oci.Pids | None) -> Iterator[Setting]:
    if pids is not None and pids.limit is not None:
        yield "pids", "pids.max", str(pids.limit) if pids.limit > 0 else "max", "pids.limit"


def block_settings(block: oci.BlockIo | None, weight_file: str) -> Iterator[Setting]:
    if block is None:
        return
    if block.weight is not None:
        yield "blkio", weight_file, str(block.weight), "blockIO"
    for device in block.weight_device:
        if device.weight is not None:
            yield (
                "blkio",
                f"{weight_file}_device",
                f"{device.major}:{device.minor} {device.weight}",
                "blockIO",
            )
    lists = (
        ("read_bps_device", block.throttle_read_bps_device),
        ("write_bps_device", block.throttle_write_bps_device),
        ("read_iops_device", block.throttle_read_iops_device),
        ("write_iops_device", block.throttle_write_iops_device),
    )
    for file, throttles in lists:
        for throttle in throttles:
            value = f"{throttle.major}:{throttle.minor} {throttle.rate}"
            yield "blkio", f"blkio.throttle.{file}", value, "blockIO"


# ---------------------------------------------------------------- finding out


def detect_v1(root: str) -> CgroupsV1:
    """Look at a directory of mounted hierarchies: which controllers there are, and under which names."""
    names = [name for name in cgroupfs.children(root) if is_hierarchy(root, name)]
    controllers = {controller: name for name in names for controller in name.split(",")}
    # The root group has no weight of its own, but it has the counters of the scheduler that weighs.
    bfq = os.path.exists(f"{root}/{controllers.get('blkio', 'blkio')}/blkio.bfq.io_service_bytes")
    return CgroupsV1(
        root=root,
        controllers=controllers,
        links=tuple(find_links(root)),
        swap=os.path.exists(f"{root}/{controllers.get('memory', 'memory')}/memory.memsw.limit_in_bytes"),
        weight_file="blkio.bfq.weight" if bfq else "blkio.weight",
    )


def is_hierarchy(root: str, name: str) -> bool:
    return name not in NOT_CONTROLLERS and os.path.exists(f"{root}/{name}/cgroup.procs")


def find_links(root: str) -> Iterator[tuple[str, str]]:
    with os.scandir(root) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_symlink():
                yield entry.name, os.readlink(entry.path)
