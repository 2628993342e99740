"""What a specification's limits are in the words of cgroup files, a write for each text. Pure.

OCI runtime-spec, config-linux.md "Control groups"; kernel, admin-guide/cgroup-v1 and cgroup-v2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from wherry.runtime import oci_spec as oci

DEFAULT_PERIOD = 100_000  # microseconds


@dataclass(frozen=True, slots=True)
class Wanted:
    """The limits of a specification, none of its parts missing."""

    memory: oci.Memory
    cpu: oci.Cpu
    pids: oci.Pids
    blocks: oci.BlockIo

    @classmethod
    def of(cls, limits: oci.Resources) -> Wanted:
        """The same with empty parts where the specification has none."""
        return cls(
            limits.memory or oci.Memory(),
            limits.cpu or oci.Cpu(),
            limits.pids or oci.Pids(),
            limits.block_io or oci.BlockIo(),
        )


Texts = Callable[[Wanted], Iterable[str]]


def nothing(wanted: Wanted) -> Iterable[str]:
    """For what no field of a specification asks for."""
    return ()


def plain(field: Callable[[Wanted], int | str | None]) -> Texts:
    """A value as it is; nothing where it is not given."""

    def texts(wanted: Wanted) -> Iterable[str]:
        value = field(wanted)
        return () if value is None or value == "" else (str(value),)

    return texts


def ceiling(field: Callable[[Wanted], int | None]) -> Texts:
    """A value of version 2, where no limit is a word."""

    def texts(wanted: Wanted) -> Iterable[str]:
        value = field(wanted)
        return () if value is None else (limit_word(value),)

    return texts


def limit_word(value: int) -> str:
    return "max" if value < 0 else str(value)


def only_swap(wanted: Wanted) -> Iterable[str]:
    """Version 2 counts swap alone; the specification counts it with the memory."""
    swap = wanted.memory.swap
    return () if swap is None else (limit_word(swap - (wanted.memory.limit or 0) if swap > 0 else -1),)


def no_oom_killer(wanted: Wanted) -> Iterable[str]:
    """Version 1 only: processes wait for memory instead of being killed."""
    return ("1",) if wanted.memory.disable_oom_killer else ()


def processes(wanted: Wanted) -> Iterable[str]:
    """0 and less are no limit."""
    limit = wanted.pids.limit
    return () if limit is None else (str(limit) if limit > 0 else "max",)


def cpu_weight(wanted: Wanted) -> Iterable[str]:
    """Shares as version 2 weighs."""
    return (str(weight_of(wanted.cpu.shares)),) if wanted.cpu.shares else ()


def weight_of(shares: int) -> int:
    """v1 shares (2 to 262144, default 1024) to a v2 weight (1 to 10000, default 100): a curve through all three."""
    power = math.log2(min(max(shares, 2), 262144))
    return math.ceil(10 ** ((power * power + 125 * power) / 612 - 7 / 34))


def quota_and_period(wanted: Wanted) -> Iterable[str]:
    """Version 2 has one file for both."""
    quota, period = wanted.cpu.quota, wanted.cpu.period
    if quota is None and period is None:
        return ()
    return (f"{'max' if quota is None or quota <= 0 else quota} {period or DEFAULT_PERIOD}",)


def device_weights(wanted: Wanted) -> Iterable[str]:
    """A line for each device."""
    devices = wanted.blocks.weight_device
    return (f"{d.major}:{d.minor} {d.weight}" for d in devices if d.weight is not None)


def block_weights(wanted: Wanted) -> Iterator[str]:
    """Version 2 has one file for the weight and for those of devices."""
    if wanted.blocks.weight is not None:
        yield f"default {block_weight(wanted.blocks.weight)}"
    for device in wanted.blocks.weight_device:
        if device.weight is not None:
            yield f"{device.major}:{device.minor} {block_weight(device.weight)}"


def block_weight(weight: int) -> int:
    """v1's 10 to 1000 to v2's 1 to 10000."""
    return 1 + (weight - 10) * 9999 // 990


def rates(devices: Callable[[oci.BlockIo], list[oci.ThrottleDevice]], key: str = "") -> Texts:
    """A line for each device; in version 2 with a key before the rate."""
    return lambda wanted: (f"{d.major}:{d.minor} {key}{d.rate}" for d in devices(wanted.blocks))


READ_BYTES = rates(lambda blocks: blocks.throttle_read_bps_device)
WRITE_BYTES = rates(lambda blocks: blocks.throttle_write_bps_device)
READS = rates(lambda blocks: blocks.throttle_read_iops_device)
WRITES = rates(lambda blocks: blocks.throttle_write_iops_device)
KEYED_RATES = (
    rates(lambda blocks: blocks.throttle_read_bps_device, "rbps="),
    rates(lambda blocks: blocks.throttle_write_bps_device, "wbps="),
    rates(lambda blocks: blocks.throttle_read_iops_device, "riops="),
    rates(lambda blocks: blocks.throttle_write_iops_device, "wiops="),
)


def all_rates(wanted: Wanted) -> Iterable[str]:
    """Version 2 has one file for all rates."""
    return (text for texts in KEYED_RATES for text in texts(wanted))
