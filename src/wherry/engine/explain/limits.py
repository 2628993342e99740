"""Which cgroup files hold a container's limits, in both versions of the hierarchy, and how each is read. Pure.

A limit that nobody asked for has a default, so that one which was set by hand is seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from wherry.errors import InvalidArgument
from wherry.runtime.resources import parse_set

PAGE = 4096
WHOLE_NUMBER = re.compile(r"-?[0-9]{1,30}")
SHARES = (2, 1 << 18)
NO_LIMIT = 1 << 60  # bytes: what version 1 shows for no limit is close to 2^63
OF_PARENT = "@parent"  # the default is what the cgroup above has
OOM_KEY = "oom_kill_disable"


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
class LimitFile:
    """A cgroup file. ``used`` is the file beside it that tells what is used of the limit."""

    file: str
    name: str  # for a reader
    unit: str
    form: Form = Form.NUMBER
    default: str = ""
    used: str = ""

    @property
    def controller(self) -> str:
        return self.file.partition(".")[0]


V1 = (
    LimitFile("memory.limit_in_bytes", "memory", "bytes", Form.BYTES, "-1", "memory.usage_in_bytes"),
    LimitFile(
        "memory.memsw.limit_in_bytes",
        "memory and swap",
        "bytes",
        Form.BYTES,
        "-1",
        "memory.memsw.usage_in_bytes",
    ),
    LimitFile("memory.soft_limit_in_bytes", "memory reservation", "bytes", Form.BYTES, "-1"),
    LimitFile("memory.oom_control", "OOM killer off", "switch", Form.OOM, f"{OOM_KEY} 0"),
    LimitFile("cpu.cfs_quota_us", "CPU", "microseconds", Form.NUMBER, "-1"),
    LimitFile("cpu.cfs_period_us", "CPU period", "microseconds", Form.NUMBER, "100000"),
    LimitFile("cpu.shares", "CPU shares", "count", Form.SHARES, "1024"),
    LimitFile("cpuset.cpus", "CPUs", "count", Form.SET, OF_PARENT),
    LimitFile("cpuset.mems", "memory nodes", "count", Form.SET, OF_PARENT),
    LimitFile("pids.max", "processes", "count", Form.NUMBER, "max", "pids.current"),
    LimitFile("blkio.throttle.read_bps_device", "bytes read a second", "bytes", Form.LINES),
    LimitFile("blkio.throttle.write_bps_device", "bytes written a second", "bytes", Form.LINES),
    LimitFile("blkio.throttle.read_iops_device", "reads a second", "count", Form.LINES),
    LimitFile("blkio.throttle.write_iops_device", "writes a second", "count", Form.LINES),
)
V2 = (
    LimitFile("memory.max", "memory", "bytes", Form.BYTES, "max", "memory.current"),
    LimitFile("memory.swap.max", "swap", "bytes", Form.BYTES, "max", "memory.swap.current"),
    LimitFile("memory.high", "memory, slowed above", "bytes", Form.BYTES, "max"),
    LimitFile("memory.low", "memory reservation", "bytes", Form.BYTES, "0"),
    LimitFile("cpu.max", "CPU", "microseconds", Form.WORDS, "max 100000"),
    LimitFile("cpu.weight", "CPU weight", "count", Form.NUMBER, "100"),
    LimitFile("cpuset.cpus", "CPUs", "count", Form.SET),
    LimitFile("cpuset.mems", "memory nodes", "count", Form.SET),
    LimitFile("pids.max", "processes", "count", Form.NUMBER, "max", "pids.current"),
    LimitFile("io.max", "block devices", "bytes", Form.PAIRS),
    LimitFile("io.weight", "block weight", "count", Form.LAST, "default 100"),
)


def limit_files(version: int, planned: Iterable[str]) -> tuple[LimitFile, ...]:
    """The files that every container has, and those that its plan writes beside them."""
    known = V1 if version == 1 else V2
    names = {entry.file for entry in known}
    others = [file for file in dict.fromkeys(planned) if file not in names and not is_device_rule(file)]
    return (*known, *(other_file(file) for file in others))


def other_file(file: str) -> LimitFile:
    form = Form.LINES if file.endswith("_device") else Form.LAST if "weight" in file else Form.WORDS
    return LimitFile(file, file, "count", form, OF_PARENT)


def is_device_rule(file: str) -> bool:
    return file.startswith("devices.")


# ---------------------------------------------------------------- values


def value_of(text: str, form: Form) -> Any:
    """A file's text, or what was written to it, as something to be compared. None is no limit."""
    return READERS[form](text)


def last_number(text: str) -> int | str | None:
    return number((text.split() or [""])[-1])


def lines(text: str) -> frozenset[str]:
    return frozenset(" ".join(line.split()) for line in text.splitlines() if line.strip())


def oom_switch(text: str) -> int | str | None:
    """``memory.oom_control`` is written as a number, and read as lines of which one has it."""
    switches = (line[len(OOM_KEY) :] for line in text.splitlines() if line.startswith(OOM_KEY))
    return number(next(switches, text))


def number(text: str) -> int | str | None:
    plain = text.strip()
    if plain in ("max", "", "-1"):
        return None
    return int(plain) if WHOLE_NUMBER.fullmatch(plain) else plain


def pages(value: int | str | None) -> int | str | None:
    if not isinstance(value, int):
        return value
    return None if value >= NO_LIMIT else value // PAGE * PAGE


def shares(text: str) -> int | str | None:
    value = number(text)
    return min(max(value, SHARES[0]), SHARES[1]) if isinstance(value, int) else value


def cpu_set(text: str) -> frozenset[int] | str:
    try:
        return frozenset(parse_set(text.strip(), "list"))
    except InvalidArgument:
        return text.strip()


def pairs(text: str) -> Iterable[tuple[str, str]]:
    for line in text.splitlines():
        device, *settings = line.split() or [""]
        yield from ((device, setting) for setting in settings if not setting.endswith("=max"))


READERS: Mapping[Form, Callable[[str], Any]] = {
    Form.BYTES: lambda text: pages(number(text)),
    Form.NUMBER: number,
    Form.SHARES: shares,
    Form.SET: cpu_set,
    Form.LAST: last_number,
    Form.LINES: lines,
    Form.PAIRS: lambda text: frozenset(pairs(text)),
    Form.WORDS: lambda text: " ".join(text.split()),
    Form.OOM: oom_switch,
}


def shown(text: str) -> str:
    """A file's text in one line; "unlimited" for what means that."""
    plain = "; ".join(" ".join(line.split()) for line in text.splitlines())
    value = number(plain)
    return "unlimited" if value is None or (isinstance(value, int) and value >= NO_LIMIT) else plain


def planned_texts(writes: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """File names to what a plan leaves in them: the last value, or all of them where each is for a device."""
    texts: dict[str, str] = {}
    for file, value in writes:
        many = file.endswith("_device") or file in ("io.max",)
        texts[file] = f"{texts[file]}\n{value}" if many and file in texts else value
    return texts
