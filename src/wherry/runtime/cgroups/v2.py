"""Control groups, version 2: one hierarchy for all controllers. kernel, admin-guide/cgroup-v2."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from wherry.linux import cgroupfs, kernel_file
from wherry.runtime import oci_spec as oci
from wherry.runtime.cgroups import device_filter, device_rules
from wherry.runtime.cgroups.interface import BlockOperation, CgroupEntry, CgroupSteps, Usage
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
DEFAULT_PERIOD = 100_000  # microseconds
MICROSECOND = 1000  # nanoseconds
MAY_BE_MISSING = frozenset({"memory.swap.max"})  # where the kernel does not count swap
Setting = tuple[str, str, str]  # file, value, place in the specification


@dataclass(frozen=True)
class CgroupsV2:
    """The unified hierarchy, mounted on ``root``."""

    root: str
    controllers: frozenset[str]
    version: int = field(default=2, init=False)

    def directory(self, path: str) -> str:
        return f"{self.root}/{path.strip('/')}"

    # ------------------------------------------------------------ plans

    def plan(self, path: str, limits: oci.Resources | None, causes: Mapping[str, Cause]) -> CgroupSteps:
        directory = self.directory(path)
        setup = [
            CgroupCreate(directory),
            *self.writes(directory, limits or oci.Resources(), causes),
            *self.devices(directory, limits),
            *([OomCounter(f"{directory}/memory.events", "oom_kill")] if "memory" in self.controllers else []),
        ]
        return CgroupSteps(tuple(setup), self.entry(path))

    def entry(self, path: str) -> CgroupEntry:
        """By birth."""
        return CgroupEntry(born_in=self.directory(path))

    def writes(self, directory: str, limits: oci.Resources, causes: Mapping[str, Cause]) -> Iterator[Step]:
        settings = (
            *memory_settings(limits.memory),
            *cpu_settings(limits.cpu),
            *pids_settings(limits.pids),
            *block_settings(limits.block_io),
            *((file, value, "unified") for file, value in (limits.unified or {}).items()),
        )
        for file, value, place in settings:
            if file.partition(".")[0] in self.controllers:
                cause = causes.get(f"linux.resources.{place}", DEFAULT)
                yield CgroupWrite(f"{directory}/{file}", value, file in MAY_BE_MISSING, cause=cause)

    def devices(self, directory: str, limits: oci.Resources | None) -> Iterator[Step]:
        if limits is None or not limits.devices:
            return
        access = device_rules.with_defaults(limits.devices)
        if not access.unrestricted:
            yield CgroupDevices(directory, device_filter.assemble(access))

    def mount(self, path: str, target: str, *, writable: bool, own_namespace: bool) -> tuple[Step, ...]:
        flags = NO_MOUNT_RIGHTS if writable else NO_MOUNT_RIGHTS | MountFlag.RDONLY
        if own_namespace:
            return (Mount("cgroup2", "cgroup", target, flags),)
        return (Bind(self.root, target, flags | MountFlag.REC),)

    # ------------------------------------------------------------ acts

    def prepare(self, parent: str) -> None:
        """Make a parent, and switch the controllers on for what comes below, as far as the host lets them."""
        here = self.root
        for part in parent.strip("/").split("/"):
            self.switch_on(here)
            here = f"{here}/{part}"
            os.makedirs(here, exist_ok=True)
        self.switch_on(here)

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

    def processes(self, path: str) -> list[int]:
        return cgroupfs.processes(self.directory(path))

    def freeze(self, path: str) -> None:
        kernel_file.write(f"{self.directory(path)}/cgroup.freeze", "1")

    def thaw(self, path: str) -> None:
        kernel_file.write(f"{self.directory(path)}/cgroup.freeze", "0")

    # ------------------------------------------------------------ readings

    def usage(self, path: str) -> Usage:
        cpu, memory = self.keyed(path, "cpu.stat"), self.keyed(path, "memory.stat")
        return Usage(
            cpu_total=cpu.get("usage_usec", 0) * MICROSECOND,
            cpu_user=cpu.get("user_usec", 0) * MICROSECOND,
            cpu_system=cpu.get("system_usec", 0) * MICROSECOND,
            periods=cpu.get("nr_periods", 0),
            throttled_periods=cpu.get("nr_throttled", 0),
            throttled_time=cpu.get("throttled_usec", 0) * MICROSECOND,
            memory_usage=self.number(path, "memory.current"),
            memory_maximum=self.number(path, "memory.peak"),
            memory_limit=self.number(path, "memory.max"),
            memory_stat=memory,
            oom_kills=self.keyed(path, "memory.events").get("oom_kill", 0),
            pids=self.number(path, "pids.current"),
            pids_limit=self.number(path, "pids.max"),
            blocks=tuple(parse_blocks(self.text(path, "io.stat"))),
        )

    def text(self, path: str, file: str) -> str:
        try:
            return kernel_file.read(f"{self.directory(path)}/{file}")
        except OSError:
            return ""

    def number(self, path: str, file: str) -> int:
        text = self.text(path, file).strip()
        return int(text) if text.isdigit() else 0

    def keyed(self, path: str, file: str) -> dict[str, int]:
        return cgroupfs.keyed(self.text(path, file))


def parse_blocks(text: str) -> Iterator[BlockOperation]:
    """``io.stat``: ``MAJ:MIN rbytes=1 wbytes=2 …``."""
    for line in text.splitlines():
        device, *pairs = line.split()
        values = dict(pair.partition("=")[::2] for pair in pairs)
        major, _, minor = device.partition(":")
        yield BlockOperation(
            int(major), int(minor), int(values.get("rbytes", 0)), int(values.get("wbytes", 0))
        )


# ---------------------------------------------------------------- limits to files


def memory_settings(memory: oci.Memory | None) -> Iterator[Setting]:
    """Here swap is counted alone; the specification counts it with the memory."""
    if memory is None:
        return
    if memory.limit is not None:
        yield "memory.max", limit_word(memory.limit), "memory.limit"
    if memory.swap is not None:
        only_swap = memory.swap - (memory.limit or 0) if memory.swap > 0 else -1
        yield "memory.swap.max", limit_word(only_swap), "memory.swap"
    if memory.reservation is not None:
        yield "memory.low", limit_word(memory.reservation), "memory.reservation"


def limit_word(value: int) -> str:
    return "max" if value < 0 else str(value)


def cpu_settings(cpu: oci.Cpu | None) -> Iterator[Setting]:
    if cpu is None:
        return
    if cpu.shares:
        yield "cpu.weight", str(weight_of(cpu.shares)), "cpu.shares"
    if cpu.quota is not None or cpu.period is not None:
        quota = "max" if cpu.quota is None or cpu.quota <= 0 else str(cpu.quota)
        yield "cpu.max", f"{quota} {cpu.period or DEFAULT_PERIOD}", "cpu.quota"
    if cpu.burst is not None:
        yield "cpu.max.burst", str(cpu.burst), "cpu.burst"
    if cpu.idle is not None:
        yield "cpu.idle", str(cpu.idle), "cpu.idle"
    if cpu.cpus:
        yield "cpuset.cpus", cpu.cpus, "cpu.cpus"
    if cpu.mems:
        yield "cpuset.mems", cpu.mems, "cpu.mems"


def weight_of(shares: int) -> int:
    """v1 shares (2 to 262144, default 1024) to a v2 weight (1 to 10000, default 100): a curve through all three."""
    power = math.log2(min(max(shares, 2), 262144))
    return math.ceil(10 ** ((power * power + 125 * power) / 612 - 7 / 34))


def pids_settings(pids: oci.Pids | None) -> Iterator[Setting]:
    if pids is not None and pids.limit is not None:
        yield "pids.max", str(pids.limit) if pids.limit > 0 else "max", "pids.limit"


def block_settings(block: oci.BlockIo | None) -> Iterator[Setting]:
    if block is None:
        return
    if block.weight is not None:
        yield "io.weight", f"default {block_weight(block.weight)}", "blockIO"
    for device in block.weight_device:
        if device.weight is not None:
            yield "io.weight", f"{device.major}:{device.minor} {block_weight(device.weight)}", "blockIO"
    lists = (
        ("rbps", block.throttle_read_bps_device),
        ("wbps", block.throttle_write_bps_device),
        ("riops", block.throttle_read_iops_device),
        ("wiops", block.throttle_write_iops_device),
    )
    for key, throttles in lists:
        for throttle in throttles:
            yield "io.max", f"{throttle.major}:{throttle.minor} {key}={throttle.rate}", "blockIO"


def block_weight(weight: int) -> int:
    """v1's 10 to 1000 to v2's 1 to 10000."""
    return 1 + (weight - 10) * 9999 // 990


def detect_v2(root: str) -> CgroupsV2:
    return CgroupsV2(root, frozenset(kernel_file.read(f"{root}/cgroup.controllers").split()))
