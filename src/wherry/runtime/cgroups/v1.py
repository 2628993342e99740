"""Control groups, version 1: one hierarchy a controller. kernel, admin-guide/cgroup-v1."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from wherry.linux import cgroupfs, kernel_file
from wherry.runtime import oci_spec as oci
from wherry.runtime.cgroups import device_rules, files
from wherry.runtime.cgroups.interface import BlockOperation, CgroupEntry, CgroupSteps, Usage, cause_of
from wherry.runtime.cgroups.oom_notice import OOM_CONTROL, OomNotice
from wherry.runtime.cgroups.readings import Readings
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
FREEZER = "freezer.state"
NOT_CONTROLLERS = frozenset({"systemd", "unified"})


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
    weight_file: str = files.BLOCKS_V1.name  # the scheduler that weighs has a name in it
    weighs: bool = True  # there is one
    version: int = field(default=1, init=False)
    prepared: set[str] = field(default_factory=set, init=False, compare=False)  # parents, by this daemon

    @property
    def hierarchies(self) -> list[str]:
        """The directories below root, each once."""
        return list(dict.fromkeys(self.controllers.values()))

    def directory(self, controller: str, path: str) -> str:
        """A cgroup's directory below a controller. KeyError where this host has no such controller."""
        return f"{self.root}/{self.controllers[controller]}/{path.strip('/')}"

    def file(self, path: str, name: str) -> str:
        controller = files.controller_of(name)
        if controller not in self.controllers:
            return ""
        return f"{self.directory(controller, path)}/{name.replace(files.BLOCKS_V1.name, self.weight_file)}"

    def directories(self, path: str) -> list[str]:
        return [f"{self.root}/{name}/{path.strip('/')}" for name in self.hierarchies]

    # ------------------------------------------------------------ plans

    def plan(self, path: str, limits: oci.Resources | None, causes: Mapping[str, Cause]) -> CgroupSteps:
        """Make the cgroup in every hierarchy, then write limits, then enter."""
        place = causes.get("linux.cgroupsPath", DEFAULT)
        setup = [
            *(CgroupCreate(directory, cause=place) for directory in self.directories(path)),
            *self.sets_of_root(path, limits, place),
            *self.writes(path, limits or oci.Resources(), causes),
            *self.device_writes(path, limits, causes),
            *self.counters(path, place),
        ]
        return CgroupSteps(tuple(setup), self.entry(path, place))

    def entry(self, path: str, cause: Cause = DEFAULT) -> CgroupEntry:
        """By moving: a clone can place its child in the version 2 hierarchy only."""
        return CgroupEntry(
            moves=tuple(CgroupAttach(directory, cause=cause) for directory in self.directories(path))
        )

    def writes(self, path: str, limits: oci.Resources, causes: Mapping[str, Cause]) -> Iterator[Step]:
        for setting in files.settings(1, limits):
            file = self.file(path, setting.file.name)
            if file and (self.swap or setting.file is not files.SWAP_V1):
                cause = cause_of(causes, setting.place)
                yield CgroupWrite(file, setting.text, setting.file.optional, cause=cause)

    def sets_of_root(self, path: str, limits: oci.Resources | None, cause: Cause) -> Iterator[Step]:
        """What ``prepare`` sees to for a parent, of a cgroup without one: the host's own group is left as it is."""
        if "/" in path.strip("/") or "cpuset" not in self.controllers:
            return
        asked = limits.cpu if limits is not None and limits.cpu is not None else oci.Cpu()
        for file, wish in (("cpuset.cpus", asked.cpus), ("cpuset.mems", asked.mems)):
            if not wish:
                all_there_are = kernel_file.read(self.directory("cpuset", file)).strip()
                yield CgroupWrite(f"{self.directory('cpuset', path)}/{file}", all_there_are, cause=cause)

    def device_writes(
        self, path: str, limits: oci.Resources | None, causes: Mapping[str, Cause]
    ) -> Iterator[Step]:
        if "devices" not in self.controllers or limits is None or not limits.devices:
            return
        access = device_rules.with_defaults(limits.devices)
        directory = self.directory("devices", path)
        if access.allow and not access.exceptions:
            return
        if not access.allow:
            cause = causes.get("linux.cgroupsPath", DEFAULT)
            yield CgroupWrite(f"{directory}/{files.DEVICES_DENY}", device_rules.ALL, cause=cause)
        file = files.DEVICES_DENY if access.allow else files.DEVICES_ALLOW
        usual = dict(device_rules.usual().exceptions)
        for key, letters in access.exceptions:
            cause = cause_of(causes, "devices" if usual.get(key) != letters else "")
            yield CgroupWrite(f"{directory}/{file}", device_rules.rule_text(key, letters), cause=cause)

    def counters(self, path: str, cause: Cause) -> Iterator[Step]:
        if file := self.file(path, files.OOM_COUNT[1]):
            yield OomCounter(file, files.OOM_KILLS, cause=cause)

    def mount(
        self, path: str, target: str, *, writable: bool, own_namespace: bool, cause: Cause = DEFAULT
    ) -> tuple[Step, ...]:
        """A tmpfs with each hierarchy on it, as the container's own cgroup sees it."""
        names = self.hierarchies
        shown: list[Step] = [
            Mount("cgroup", "cgroup", f"{target}/{name}", NO_MOUNT_RIGHTS, self.mount_data(name), cause=cause)
            if own_namespace
            else Bind(
                f"{self.root}/{name}/{path.strip('/')}",
                f"{target}/{name}",
                NO_MOUNT_RIGHTS,
                MountFlag(0),
                cause=cause,
            )
            for name in names
        ]
        links = [Symlink(name, f"{target}/{link}") for link, name in self.links]
        protection = [] if writable else [ReadOnlyPath(target)]
        tmpfs = Mount("tmpfs", "tmpfs", target, NO_MOUNT_RIGHTS, "mode=755", cause=cause)
        return (tmpfs, *shown, *links, *protection)

    def mount_data(self, hierarchy: str) -> str:
        return ",".join(controller for controller, name in self.controllers.items() if name == hierarchy)

    # ------------------------------------------------------------ acts

    def prepare(self, parent: str) -> None:
        """Make a parent. Its cpusets are handed on to children by the kernel (cgroup.clone_children)."""
        for directory in self.directories(parent):
            os.makedirs(directory, exist_ok=True)
        if "cpuset" in self.controllers:
            prepare_cpuset(f"{self.root}/{self.controllers['cpuset']}", parent.strip("/").split("/"))

    def ensure(self, parent: str) -> None:
        if parent not in self.prepared:
            self.prepare(parent)
            self.prepared.add(parent)

    def remove_parent(self, parent: str) -> bool:
        return not [d for d in self.directories(parent) if not cgroupfs.remove_directory(d)]

    def names(self, parent: str) -> list[str]:
        found = {name for directory in self.directories(parent) for name in cgroupfs.children(directory)}
        return sorted(found)

    def destroy(self, path: str) -> bool:
        return cgroupfs.remove_all(self.directories(path), lambda: self.kill(path))

    def kill(self, path: str) -> None:
        """SIGKILL to every process, whichever hierarchy has it. They are frozen meanwhile, so that they cannot
        multiply, and thawed so that they can die: also what they themselves have frozen."""
        if "freezer" not in self.controllers:
            self.kill_members(path)
            return
        with contextlib.suppress(OSError):
            self.freeze(path)
        self.kill_members(path)
        cgroupfs.write_all(self.directory("freezer", path), FREEZER, "THAWED")

    def kill_members(self, path: str) -> None:
        for directory in self.directories(path):
            cgroupfs.kill_all(directory)

    def devices(self, path: str) -> tuple[str, ...] | None:
        shown = self.file(path, files.DEVICES_LIST)
        try:
            return tuple(kernel_file.read(shown).splitlines()) if shown else None
        except OSError:
            return None

    def processes(self, path: str) -> list[int]:
        return cgroupfs.processes(self.directories(path)[0])

    def oom_notice(self, path: str) -> OomNotice | None:
        file = self.file(path, OOM_CONTROL)
        return OomNotice.of(os.path.dirname(file)) if file else None

    def freeze(self, path: str) -> None:
        kernel_file.write(f"{self.directory('freezer', path)}/{FREEZER}", "FROZEN")

    def thaw(self, path: str) -> None:
        kernel_file.write(f"{self.directory('freezer', path)}/{FREEZER}", "THAWED")

    # ------------------------------------------------------------ readings

    def usage(self, path: str) -> Usage:
        read = Readings(lambda name: self.file(path, name))
        cpu, ticks = read.keyed(files.CPU_STAT), read.keyed(files.CPU_TICKS_V1)
        tick = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
        return Usage(
            cpu_total=read.number(files.CPU_TIME[1]),
            cpu_user=ticks.get("user", 0) * tick,
            cpu_system=ticks.get("system", 0) * tick,
            periods=cpu.get("nr_periods", 0),
            throttled_periods=cpu.get("nr_throttled", 0),
            throttled_time=cpu.get("throttled_time", 0),
            memory_usage=read.number(files.MEMORY_V1.used),
            memory_maximum=read.number(files.PEAK[1]),
            memory_limit=read.number(files.MEMORY_V1.name),
            memory_stat=read.keyed(files.MEMORY_STAT),
            oom_kills=read.keyed(files.OOM_COUNT[1]).get(files.OOM_KILLS, 0),
            pids=read.number(files.PROCESSES.used),
            pids_limit=read.number(files.PROCESSES.name),
            blocks=tuple(parse_blocks(read.text(files.BLOCK_COUNTS[1]))),
        )


def parse_blocks(text: str) -> Iterator[BlockOperation]:
    """``MAJ:MIN Read|Write BYTES`` lines, summed up a device."""
    totals: dict[str, dict[str, int]] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and words[1] in ("Read", "Write"):
            totals.setdefault(words[0], {})[words[1]] = int(words[2])
    for device, sums in totals.items():
        major, _, minor = device.partition(":")
        yield BlockOperation(int(major), int(minor), sums.get("Read", 0), sums.get("Write", 0))


def prepare_cpuset(root: str, parts: list[str]) -> None:
    """Give each level of a new path the CPUs and nodes of the one above, and let children take them over."""
    for depth in range(len(parts)):
        above = "/".join([root, *parts[:depth]])
        here = "/".join([root, *parts[: depth + 1]])
        for file in ("cpuset.cpus", "cpuset.mems"):
            if not kernel_file.read(f"{here}/{file}").strip():
                kernel_file.write(f"{here}/{file}", kernel_file.read(f"{above}/{file}").strip())
    kernel_file.write("/".join([root, *parts, "cgroup.clone_children"]), "1")


# ---------------------------------------------------------------- finding out


def detect_v1(root: str) -> CgroupsV1:
    """Look at a directory of mounted hierarchies: which controllers there are, and under which names."""
    names = [name for name in cgroupfs.children(root) if is_hierarchy(root, name)]
    controllers = {controller: name for name in names for controller in name.split(",")}
    # The root group has no weight of its own, but it has the counters of the scheduler that weighs.
    bfq = os.path.exists(f"{root}/{controllers.get('blkio', 'blkio')}/blkio.bfq.io_service_bytes")
    weight = f"{root}/{controllers.get('blkio', 'blkio')}/{files.BLOCKS_V1.name}"
    return CgroupsV1(
        root=root,
        controllers=controllers,
        links=tuple(find_links(root)),
        swap=os.path.exists(f"{root}/{controllers.get('memory', 'memory')}/{files.SWAP_V1.name}"),
        weight_file="blkio.bfq.weight" if bfq else files.BLOCKS_V1.name,
        weighs=bfq or os.path.exists(weight),
    )


def is_hierarchy(root: str, name: str) -> bool:
    return name not in NOT_CONTROLLERS and os.path.exists(f"{root}/{name}/cgroup.procs")


def find_links(root: str) -> Iterator[tuple[str, str]]:
    with os.scandir(root) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_symlink():
                yield entry.name, os.readlink(entry.path)
