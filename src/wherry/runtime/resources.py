"""Limits: checked as Docker checks them, and turned into the OCI specification's shape."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from wherry.errors import InvalidArgument
from wherry.messages.container import HostConfig, ThrottleDevice, WeightDevice
from wherry.runtime import oci_spec as oci
from wherry.runtime.bounds import BLOCK_DEVICES, ON_THE_WIRE
from wherry.runtime.causes import Causes, flagged, together, valued
from wherry.runtime.mounts import size_word
from wherry.runtime.steps import Cause, asked

MINIMUM_MEMORY = 6 * 1024 * 1024
PERIOD = 100_000  # microseconds, of --cpus
BILLION = 1_000_000_000
HIGHEST_CPU = 8191
LONGEST_QUOTA = (1 << 44) - 1  # microseconds; kernel, sched/core.c: MAX_BW
LONGEST_PERIOD = ((1 << 64) - 1) // 1000  # microseconds, which it counts in nanoseconds
MOST_PIDS = 4 << 20  # kernel, threads.h: PID_MAX_LIMIT
RANGE = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?", re.ASCII)
NO_SWAPPINESS = -1
UNLIMITED = (1 << 63) - 1  # the most that a number of bytes can be

BlockDevices = Mapping[str, tuple[int, int]]
"""Paths of the host to the numbers of the block devices that are there."""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What the host has to share out. ``cpuset``/``mems`` are lists like ``0-3,5``."""

    cpus: int
    cpuset: str = ""
    mems: str = ""
    cgroup_version: int = 1
    block_weights: bool = True


def host_facts(cgroup_version: int = 1, *, block_weights: bool = True) -> HostFacts:
    """Read from the host: its CPUs and memory nodes that are online."""
    return HostFacts(
        cpus=os.cpu_count() or 1,
        cpuset=read_list("/sys/devices/system/cpu/online"),
        mems=read_list("/sys/devices/system/node/online"),
        cgroup_version=cgroup_version,
        block_weights=block_weights,
    )


def read_list(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


def check(request: HostConfig, facts: HostFacts) -> list[str]:
    """Refuse limits that Docker refuses, with its texts; the answer are warnings."""
    check_memory(request)
    check_cpu(request, facts)
    check_sets(request, facts)
    if request.blkio_weight and not 10 <= request.blkio_weight <= 1000:
        raise InvalidArgument("Range of blkio weight is from 10 to 1000")
    return [*memory_warnings(request, facts), *block_warnings(request, facts)]


def check_memory(r: HostConfig) -> None:
    if r.memory and r.memory < MINIMUM_MEMORY:
        raise InvalidArgument("Minimum memory limit allowed is 6MB")
    if r.memory > 0 and 0 < r.memory_swap < r.memory:
        raise InvalidArgument("Minimum memoryswap limit should be larger than memory limit, see usage")
    if r.memory == 0 and r.memory_swap > 0:
        raise InvalidArgument("You should always set the Memory limit when using Memoryswap limit, see usage")
    if swappiness(r) is not None and not 0 <= (swappiness(r) or 0) <= 100:
        raise InvalidArgument(f"Invalid value: {r.memory_swappiness}, valid memory swappiness range is 0-100")
    if 0 < r.memory_reservation < MINIMUM_MEMORY:
        raise InvalidArgument("Minimum memory reservation allowed is 6MB")
    if 0 < r.memory < r.memory_reservation:
        raise InvalidArgument("Minimum memory limit can not be less than memory reservation limit, see usage")


def swappiness(r: HostConfig) -> int | None:
    """None where it was not asked for; clients send -1 for that, too."""
    return None if r.memory_swappiness in (None, NO_SWAPPINESS) else r.memory_swappiness


def check_cpu(r: HostConfig, facts: HostFacts) -> None:
    if r.nano_cpus > 0 and r.cpu_period > 0:
        raise InvalidArgument("Conflicting options: Nano CPUs and CPU Period cannot both be set")
    if r.nano_cpus > 0 and r.cpu_quota > 0:
        raise InvalidArgument("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
    if not 0 <= r.nano_cpus <= facts.cpus * BILLION:
        n = facts.cpus
        raise InvalidArgument(f"range of CPUs is from 0.01 to {n}.00, as there are only {n} CPUs available")
    if r.cpu_shares < 0:
        raise InvalidArgument(f"invalid CPU shares ({r.cpu_shares}): value must be a positive integer")
    if r.cpu_period and not 1000 <= r.cpu_period <= 1_000_000:
        raise InvalidArgument(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
        )
    if 0 < r.cpu_quota < 1000:
        raise InvalidArgument("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    for field, given, most in (
        ("CpuQuota", r.cpu_quota, LONGEST_QUOTA),
        ("CpuRealtimePeriod", r.cpu_realtime_period, LONGEST_PERIOD),
        ("PidsLimit", r.pids_limit or 0, MOST_PIDS),
    ):
        if given > most:
            raise InvalidArgument(
                f"invalid {field}: {given} is more than {most}, the most that a kernel takes"
            )
    if r.cpu_realtime_period and r.cpu_realtime_runtime > r.cpu_realtime_period:
        raise InvalidArgument("cpu real-time runtime cannot be higher than cpu real-time period")


def check_sets(r: HostConfig, facts: HostFacts) -> None:
    wanted = parse_set(r.cpuset_cpus, "cpus")
    if wanted and facts.cpuset and not wanted <= parse_set(facts.cpuset, "cpus"):
        raise InvalidArgument(
            f"Requested CPUs are not available - requested {r.cpuset_cpus}, available: {facts.cpuset}"
        )
    nodes = parse_set(r.cpuset_mems, "mems")
    if nodes and facts.mems and not nodes <= parse_set(facts.mems, "mems"):
        raise InvalidArgument(
            f"Requested memory nodes are not available - requested {r.cpuset_mems}, available: {facts.mems}"
        )


def parse_set(text: str, what: str) -> set[int]:
    """``0-2,7`` as numbers. cpuset(7) "List format". Numbers beyond 8191 are no CPU of any kernel."""
    if not text:
        return set()
    found = bytearray(HIGHEST_CPU + 1)  # a mark for each: ranges may overlap, and there may be very many
    for part in set(text.split(",")):
        match = RANGE.fullmatch(part)
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if low > high or high > HIGHEST_CPU:
            raise InvalidArgument(f"Invalid value {text[:64]} for cpuset {what}")
        found[low : high + 1] = b"\1" * (high + 1 - low)
    return {number for number, marked in enumerate(found.rstrip(b"\0")) if marked}


def memory_warnings(r: HostConfig, facts: HostFacts) -> list[str]:
    warnings = []
    if facts.cgroup_version == 2 and swappiness(r) is not None:
        warnings.append(
            "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. "
            "Memory swappiness discarded."
        )
    if facts.cgroup_version == 2 and r.oom_kill_disable:
        warnings.append("Your kernel does not support OomKillDisable. OomKillDisable discarded.")
    elif r.oom_kill_disable and not r.memory:
        warnings.append(
            "OOM killer is disabled for the container, but no memory limit is set, "
            "this can result in the system running out of resources."
        )
    return warnings


def block_warnings(r: HostConfig, facts: HostFacts) -> Iterator[str]:
    """Of weights that the host does not weigh by; they are left out, as with Docker. Looks at the devices."""
    text = "Your kernel does not support Block I/O {} or the cgroup is not mounted. {} discarded."
    if r.blkio_weight and not facts.block_weights:
        yield text.format("weight", "Weight")
    devices = [entry.path for entry in r.blkio_weight_device or ()]
    if devices and not (facts.block_weights and all(is_weighed(path, facts) for path in devices)):
        yield text.format("weight_device", "Weight-device")


def is_weighed(path: str, facts: HostFacts) -> bool:
    """Version 1 leaves the weighing to the device's scheduler. Of what is no device, the start tells."""
    try:
        number = os.stat(path).st_rdev
    except OSError:
        return True
    queue = f"/sys/dev/block/{os.major(number)}:{os.minor(number)}"
    text = read_list(f"{queue}/queue/scheduler") or read_list(f"{queue}/../queue/scheduler")
    return facts.cgroup_version == 2 or any(name in text for name in ("[bfq]", "[cfq]"))


def swap_limit(r: HostConfig) -> int:
    """Memory and swap together: twice the memory where only that is given, -1 unlimited, 0 not set."""
    return min(r.memory * 2, UNLIMITED) if r.memory > 0 and r.memory_swap == 0 else r.memory_swap


# ---------------------------------------------------------------- into the specification


def to_oci(r: HostConfig, blocks: BlockDevices, causes: Causes) -> oci.Resources:
    """The limits as ``linux.resources`` (without devices); who asked for each goes to ``causes``."""
    return oci.Resources(
        memory=memory(r, causes),
        cpu=cpu(r, causes),
        pids=pids(r, causes),
        block_io=block_io(r, blocks, causes),
    )


def note(causes: Causes, place: str, text: str) -> None:
    causes[f"linux.resources.{place}"] = asked(text)


def swap_cause(r: HostConfig) -> str:
    """Docker's own doubling of the memory is the memory's doing."""
    if r.memory_swap in (0, 2 * r.memory):
        return f"--memory {size_word(r.memory)}"
    return f"--memory-swap {size_word(r.memory_swap) if r.memory_swap > 0 else r.memory_swap}"


def memory(r: HostConfig, causes: Causes) -> oci.Memory | None:
    """The limits of memory and swap in bytes, and the causes; None where none is asked for."""
    wish, swap = swappiness(r), swap_limit(r)
    if not (r.memory or r.memory_reservation > 0 or swap > 0 or r.oom_kill_disable or wish is not None):
        return None
    if r.memory:
        no_limit = " --memory-swap -1" if r.memory_swap < 0 else ""
        note(causes, "memory.limit", f"--memory {size_word(r.memory)}{no_limit}")
        note(causes, "memory.swap", swap_cause(r))
    if r.memory_reservation > 0:
        note(causes, "memory.reservation", f"--memory-reservation {size_word(r.memory_reservation)}")
    if wish is not None:
        note(causes, "memory.swappiness", f"--memory-swappiness {wish}")
    if r.oom_kill_disable:
        note(causes, "memory.disableOOMKiller", "--oom-kill-disable")
    return oci.Memory(
        limit=r.memory or None,
        reservation=max(r.memory_reservation, 0) or None,
        swap=swap if swap > 0 else None,
        swappiness=wish,
        disable_oom_killer=r.oom_kill_disable or None,
    )


def cpu(r: HostConfig, causes: Causes) -> oci.Cpu | None:
    """The limits of processors, period and quota in microseconds, and the causes; None where none is asked for."""
    period, quota = r.cpu_period, r.cpu_quota
    if r.nano_cpus > 0:
        period, quota = PERIOD, r.nano_cpus * PERIOD // BILLION
        note(causes, "cpu.quota", f"--cpus {r.nano_cpus / BILLION:g}")
        note(causes, "cpu.period", f"--cpus {r.nano_cpus / BILLION:g}")
    elif quota or period:
        given = [f"--cpu-quota {quota}"] if quota else []
        given += [f"--cpu-period {period}"] if period else []
        note(causes, "cpu.quota", " ".join(given))
        note(causes, "cpu.period", given[-1])
    if r.cpu_realtime_period:
        note(causes, "cpu.realtimePeriod", f"--cpu-rt-period {r.cpu_realtime_period}")
    if r.cpu_realtime_runtime:
        note(causes, "cpu.realtimeRuntime", f"--cpu-rt-runtime {r.cpu_realtime_runtime}")
    if r.cpu_shares:
        note(causes, "cpu.shares", f"--cpu-shares {r.cpu_shares}")
    if r.cpuset_cpus:
        note(causes, "cpu.cpus", f"--cpuset-cpus {r.cpuset_cpus}")
    if r.cpuset_mems:
        note(causes, "cpu.mems", f"--cpuset-mems {r.cpuset_mems}")
    limits = oci.Cpu(
        shares=r.cpu_shares or None,
        period=period or None,
        quota=quota or None,
        realtime_period=r.cpu_realtime_period or None,
        realtime_runtime=r.cpu_realtime_runtime or None,
        cpus=r.cpuset_cpus,
        mems=r.cpuset_mems,
    )
    return limits if limits != oci.Cpu() else None


def pids(r: HostConfig, causes: Causes) -> oci.Pids | None:
    """The limit of processes, and its cause; -1 is unlimited, None not asked for."""
    if r.pids_limit is None:
        return None
    if r.pids_limit > 0:
        note(causes, "pids.limit", f"--pids-limit {r.pids_limit}")
    return oci.Pids(limit=r.pids_limit if r.pids_limit > 0 else -1)


def block_io(r: HostConfig, blocks: BlockDevices, causes: Causes) -> oci.BlockIo | None:
    """Weights and rates of block devices, and their cause; None where none is asked for."""
    lists = (
        r.blkio_device_read_bps,
        r.blkio_device_write_bps,
        r.blkio_device_read_i_ops,
        r.blkio_device_write_i_ops,
    )
    if not (r.blkio_weight or r.blkio_weight_device or any(lists)):
        return None
    causes.update((f"linux.resources.{place}", cause) for place, cause in block_causes(r))
    return oci.BlockIo(
        weight=r.blkio_weight or None,
        weight_device=[weight_device(entry, blocks) for entry in r.blkio_weight_device or ()],
        throttle_read_bps_device=throttles(lists[0], blocks),
        throttle_write_bps_device=throttles(lists[1], blocks),
        throttle_read_iops_device=throttles(lists[2], blocks),
        throttle_write_iops_device=throttles(lists[3], blocks),
    )


def block_causes(r: HostConfig) -> Iterator[tuple[str, Cause]]:
    """Of each limit, and of all weights and all rates: version 2 has one file for each."""
    weight = valued("--blkio-weight", r.blkio_weight)
    weights = flagged(
        "--blkio-weight-device", [f"{entry.path}:{entry.weight}" for entry in r.blkio_weight_device or ()]
    )
    rates = {
        "throttleReadBpsDevice": rate_cause("--device-read-bps", r.blkio_device_read_bps),
        "throttleWriteBpsDevice": rate_cause("--device-write-bps", r.blkio_device_write_bps),
        "throttleReadIOPSDevice": rate_cause("--device-read-iops", r.blkio_device_read_i_ops),
        "throttleWriteIOPSDevice": rate_cause("--device-write-iops", r.blkio_device_write_i_ops),
    }
    yield "blockIO.weight", weight
    yield "blockIO.weightDevice", weights
    yield "blockIO.weights", together(weight, weights)
    yield from ((f"blockIO.{place}", cause) for place, cause in rates.items())
    yield "blockIO.rates", together(*rates.values())


def rate_cause(flag: str, entries: Sequence[ThrottleDevice] | None) -> Cause:
    return flagged(flag, [f"{entry.path}:{entry.rate}" for entry in entries or ()])


def weight_device(entry: WeightDevice, blocks: BlockDevices) -> oci.WeightDevice:
    major, minor = blocks[entry.path]
    return oci.WeightDevice(major=major, minor=minor, weight=entry.weight)


def throttles(entries: Sequence[ThrottleDevice] | None, blocks: BlockDevices) -> list[oci.ThrottleDevice]:
    return [throttle(entry, blocks) for entry in entries or ()]


def throttle(entry: ThrottleDevice, blocks: BlockDevices) -> oci.ThrottleDevice:
    major, minor = blocks[entry.path]
    return oci.ThrottleDevice(major=major, minor=minor, rate=entry.rate)


# ---------------------------------------------------------------- block devices, of which only the host knows


def limited_devices(r: HostConfig) -> dict[str, str]:
    """The paths of block devices that limits are asked for, each with the field that names it."""
    return {entry.path: ON_THE_WIRE[field] for field in BLOCK_DEVICES for entry in getattr(r, field) or ()}


def check_block_devices(r: HostConfig) -> None:
    """InvalidArgument for a path at which there is something else. Nothing at all is fine: it may come before the
    start. Looks at the host."""
    for path, field in limited_devices(r).items():
        with suppress(FileNotFoundError):
            device_numbers(path, field)


def block_devices(r: HostConfig) -> BlockDevices:
    """The numbers of all devices that limits are asked for. InvalidArgument where one is none. Looks at the host."""
    try:
        return {path: device_numbers(path, field) for path, field in limited_devices(r).items()}
    except FileNotFoundError as error:
        raise InvalidArgument(f"stat {error.filename}: no such file or directory") from None


def device_numbers(path: str, field: str) -> tuple[int, int]:
    """Major and minor number. InvalidArgument for what is not a block device; FileNotFoundError."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InvalidArgument(f"stat {path}: {(error.strerror or 'failed').lower()}") from None
    if not stat.S_ISBLK(status.st_mode):
        raise InvalidArgument(f"invalid {field}: {path} is not a block device")
    return os.major(status.st_rdev), os.minor(status.st_rdev)
