"""What of a container can be limited, and the cgroup file that holds it in each version of the hierarchy: one table.

The writers (``v1``, ``v2``) make a plan's writes of it, in its order; ``explain`` reads the same files and compares. A
limit that nobody asked for has a default, so that one which was set by hand is seen. ``limit_texts`` says what is
written. kernel, admin-guide/cgroup-v1 and cgroup-v2; OCI runtime-spec, config-linux.md "Control groups".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from wherry.runtime import oci_spec as oci
from wherry.runtime.cgroups import limit_texts
from wherry.runtime.cgroups.limit_texts import Texts, Wanted, ceiling, nothing, plain

OF_PARENT = "@parent"  # the default is what the cgroup above has
OOM_KEY = "oom_kill_disable"
CONTROLLERS = (
    "blkio", "cpu", "cpuacct", "cpuset", "debug", "devices", "dmem", "freezer", "hugetlb", "io", "irq", "memory",
    "misc", "net_cls", "net_prio", "perf_event", "pids", "rdma",
)  # fmt: skip
FILES_V1 = ("tasks", "notify_on_release", "release_agent")  # those without a controller in their name


class Form(Enum):
    """How a file's text is to be understood."""

    BYTES = "bytes"  # rounded down to pages by the kernel
    NUMBER = "number"
    SHARES = "shares"  # kept within its range by the kernel
    SET = "set"  # 0-3,5
    LAST = "last"  # "default 100" or "100"
    LINES = "lines"  # a value for each device
    PAIRS = "pairs"  # io.max: 8:0 rbps=1 wbps=max
    WORDS = "words"
    OOM = "oom"  # memory.oom_control


@dataclass(frozen=True, slots=True)
class File:
    """A file of one version: how its text is read, and what is written to it for a specification.

    ``used`` is the file beside it that tells what is used of the limit. ``watched``: read in every container, not only
    where the plan writes it. ``optional``: not every kernel has it.
    """

    name: str
    form: Form
    texts: Texts
    default: str = OF_PARENT
    used: str = ""
    watched: bool = True
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Limit:
    """What can be limited: its name for a reader, its unit, its place below ``linux.resources`` (causes are found by
    it), and its file in each version; None where that has no such limit."""

    name: str
    unit: str
    place: str
    v1: File | None = None
    v2: File | None = None

    def file(self, version: int) -> File | None:
        """The file that holds it in a version of the hierarchy."""
        return self.v1 if version == 1 else self.v2


@dataclass(frozen=True, slots=True)
class Setting:
    """One write that a specification asks for."""

    file: File
    text: str
    place: str


def settings(version: int, limits: oci.Resources) -> Iterator[Setting]:
    """What is to be written for a specification's limits, in order."""
    wanted = Wanted.of(limits)
    for limit in LIMITS:
        if (file := limit.file(version)) is not None:
            yield from (Setting(file, text, limit.place) for text in file.texts(wanted))


def controller_of(file: str) -> str:
    """``memory.max`` is one of the memory controller's."""
    return file.partition(".")[0]


def is_reserved(name: str) -> bool:
    """Whether a cgroup of this name may be in the way of a file of the kernel's, of this kernel or another: systemd
    escapes the same names. cgroups(7)"""
    return name in FILES_V1 or ("." in name and controller_of(name) in (*CONTROLLERS, "cgroup"))


def is_device_rule(file: str) -> bool:
    """Rules are not compared file by file: see DEVICES_ALLOW."""
    return controller_of(file) == controller_of(DEVICES_LIST)


B, N, LINES = Form.BYTES, Form.NUMBER, Form.LINES

MEMORY_V1 = File("memory.limit_in_bytes", B, plain(lambda w: w.memory.limit), "-1", "memory.usage_in_bytes")
MEMORY_V2 = File("memory.max", B, ceiling(lambda w: w.memory.limit), "max", "memory.current")
SWAP_V1 = File(
    "memory.memsw.limit_in_bytes",
    B,
    plain(lambda w: w.memory.swap),
    "-1",
    "memory.memsw.usage_in_bytes",
)
SWAP_V2 = File("memory.swap.max", B, limit_texts.only_swap, "max", "memory.swap.current", optional=True)
SOFT_V1 = File("memory.soft_limit_in_bytes", B, plain(lambda w: w.memory.reservation), "-1")
SOFT_V2 = File("memory.low", B, ceiling(lambda w: w.memory.reservation), "0")
OOM_V1 = File("memory.oom_control", Form.OOM, limit_texts.no_oom_killer, f"{OOM_KEY} 0")
SWAPPINESS_V1 = File("memory.swappiness", N, plain(lambda w: w.memory.swappiness), watched=False)
SHARES_V1 = File("cpu.shares", Form.SHARES, plain(lambda w: w.cpu.shares), "1024")
WEIGHT_V2 = File("cpu.weight", N, limit_texts.cpu_weight, "100")
PERIOD_V1 = File("cpu.cfs_period_us", N, plain(lambda w: w.cpu.period), str(limit_texts.DEFAULT_PERIOD))
QUOTA_V1 = File("cpu.cfs_quota_us", N, plain(lambda w: w.cpu.quota), "-1")
QUOTA_V2 = File("cpu.max", Form.WORDS, limit_texts.quota_and_period, f"max {limit_texts.DEFAULT_PERIOD}")
BURST_V1 = File("cpu.cfs_burst_us", N, plain(lambda w: w.cpu.burst), watched=False)
BURST_V2 = File("cpu.max.burst", N, plain(lambda w: w.cpu.burst), watched=False)
REALTIME_PERIOD_V1 = File("cpu.rt_period_us", N, plain(lambda w: w.cpu.realtime_period), watched=False)
REALTIME_V1 = File("cpu.rt_runtime_us", N, plain(lambda w: w.cpu.realtime_runtime), watched=False)
IDLE = File("cpu.idle", N, plain(lambda w: w.cpu.idle), watched=False)
CPUS_V1 = File("cpuset.cpus", Form.SET, plain(lambda w: w.cpu.cpus))
CPUS_V2 = File("cpuset.cpus", Form.SET, plain(lambda w: w.cpu.cpus), "")
NODES_V1 = File("cpuset.mems", Form.SET, plain(lambda w: w.cpu.mems))
NODES_V2 = File("cpuset.mems", Form.SET, plain(lambda w: w.cpu.mems), "")
PROCESSES = File("pids.max", N, limit_texts.processes, "max", "pids.current")
BLOCKS_V1 = File("blkio.weight", Form.LAST, plain(lambda w: w.blocks.weight), watched=False, optional=True)
BLOCKS_V2 = File("io.weight", Form.LAST, limit_texts.block_weights, "default 100", optional=True)
DEVICE_V1 = File("blkio.weight_device", LINES, limit_texts.device_weights, watched=False, optional=True)
READ_BYTES_V1 = File("blkio.throttle.read_bps_device", LINES, limit_texts.READ_BYTES, "")
WRITE_BYTES_V1 = File("blkio.throttle.write_bps_device", LINES, limit_texts.WRITE_BYTES, "")
READS_V1 = File("blkio.throttle.read_iops_device", LINES, limit_texts.READS, "")
WRITES_V1 = File("blkio.throttle.write_iops_device", LINES, limit_texts.WRITES, "")
RATES_V2 = File("io.max", Form.PAIRS, limit_texts.all_rates, "")
HIGH_V2 = File("memory.high", B, nothing, "max")

# A new cgroup has no limit, so the one for memory goes first, as that for memory and swap may not be lower; and a
# period goes before its quota.
LIMITS = (
    Limit("memory", "bytes", "memory.limit", MEMORY_V1, MEMORY_V2),
    Limit("memory and swap", "bytes", "memory.swap", v1=SWAP_V1),
    Limit("swap", "bytes", "memory.swap", v2=SWAP_V2),
    Limit("memory throttling threshold", "bytes", "unified", v2=HIGH_V2),
    Limit("memory reservation", "bytes", "memory.reservation", SOFT_V1, SOFT_V2),
    Limit("OOM killer disabled", "switch", "memory.disableOOMKiller", v1=OOM_V1),
    Limit("swappiness", "count", "memory.swappiness", v1=SWAPPINESS_V1),
    Limit("CPU shares", "count", "cpu.shares", v1=SHARES_V1),
    Limit("CPU weight", "count", "cpu.shares", v2=WEIGHT_V2),
    Limit("CPU period", "microseconds", "cpu.period", v1=PERIOD_V1),
    Limit("CPU quota", "microseconds", "cpu.quota", QUOTA_V1, QUOTA_V2),
    Limit("CPU burst", "microseconds", "cpu.burst", BURST_V1, BURST_V2),
    Limit("realtime period", "microseconds", "cpu.realtimePeriod", v1=REALTIME_PERIOD_V1),
    Limit("realtime runtime", "microseconds", "cpu.realtimeRuntime", v1=REALTIME_V1),
    Limit("CPU idle", "switch", "cpu.idle", IDLE, IDLE),
    Limit("allowed CPUs", "count", "cpu.cpus", CPUS_V1, CPUS_V2),
    Limit("allowed nodes", "count", "cpu.mems", NODES_V1, NODES_V2),
    Limit("processes", "count", "pids.limit", PROCESSES, PROCESSES),
    Limit("block weight", "count", "blockIO.weight", v1=BLOCKS_V1),
    Limit("block weight", "count", "blockIO.weights", v2=BLOCKS_V2),
    Limit("block weight by device", "count", "blockIO.weightDevice", v1=DEVICE_V1),
    Limit("bytes read per second", "bytes", "blockIO.throttleReadBpsDevice", v1=READ_BYTES_V1),
    Limit("bytes written per second", "bytes", "blockIO.throttleWriteBpsDevice", v1=WRITE_BYTES_V1),
    Limit("reads per second", "count", "blockIO.throttleReadIOPSDevice", v1=READS_V1),
    Limit("writes per second", "count", "blockIO.throttleWriteIOPSDevice", v1=WRITES_V1),
    Limit("block devices", "bytes", "blockIO.rates", v2=RATES_V2),
)

# Version 1 takes rules of device access one by one, each by one of two files, and shows them in a third.
DEVICES_ALLOW, DEVICES_DENY, DEVICES_LIST = "devices.allow", "devices.deny", "devices.list"

# Where it is told what was used, beside the ``used`` files above.
CPU_TIME = {1: "cpuacct.usage", 2: "cpu.stat"}
PEAK = {1: "memory.max_usage_in_bytes", 2: "memory.peak"}
OOM_COUNT = {1: "memory.oom_control", 2: "memory.events"}  # by the key OOM_KILLS
OOM_KILLS = "oom_kill"
BLOCK_COUNTS = {1: "blkio.throttle.io_service_bytes_recursive", 2: "io.stat"}
MEMORY_STAT, CPU_STAT, CPU_TICKS_V1 = "memory.stat", "cpu.stat", "cpuacct.stat"
