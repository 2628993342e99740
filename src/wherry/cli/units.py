"""Numbers with units as a person writes and reads them: sizes, rates, durations, processors."""

from __future__ import annotations

import re

BINARY = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
DECIMAL_NAMES = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
BINARY_NAMES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")
MICRO, MILLI, SECOND = 10**3, 10**6, 10**9
NANOSECONDS = {"ns": 1, "us": MICRO, "µs": MICRO, "μs": MICRO, "ms": MILLI, "s": SECOND}
NANOSECONDS.update(m=60 * SECOND, h=3600 * SECOND)

LONG_UNITS = ((48, 1, "hours"), (336, 24, "days"), (1460, 168, "weeks"), (17520, 730, "months"))

SIZE = re.compile(r"(\d*\.?\d*) ?(\D*)", re.ASCII)
DURATION_PART = re.compile(r"(\d*)(?:\.(\d*))?([^\d.]*)", re.ASCII)


def parse_bytes(text: str) -> int:
    """Bytes of ``64m``, ``1.5GiB``, ``100``; units are powers of 1024. ValueError otherwise."""
    match = SIZE.fullmatch(text)
    if match is None or not match[1].strip("."):
        raise ValueError(f"invalid size: '{text}'")
    suffix = match[2].lower()
    unit = suffix.removesuffix("ib") if len(suffix) == 3 else suffix.removesuffix("b")
    if unit not in BINARY or suffix == "ib":
        raise ValueError(f"invalid suffix: '{match[2]}'")
    whole, _, fraction = match[1].partition(".")
    return _scaled(whole, fraction, 1 << (10 * BINARY[unit]))


def _scaled(whole: str, fraction: str, scale: int) -> int:
    """``whole.fraction`` times the scale, exactly, rounded down."""
    return int(f"{whole}{fraction}" or 0) * scale // int("1" + "0" * len(fraction))


def parse_memory_swap(text: str) -> int:
    """Like ``parse_bytes``; ``-1`` means without a limit."""
    return -1 if text == "-1" else parse_bytes(text)


def parse_cpus(text: str) -> int:
    """Billionths of a processor: ``1.5`` is 1_500_000_000."""
    match = re.fullmatch(r"([+-]?)(\d*)\.?(\d*)", text, re.ASCII)
    if match is None or not (match[2] or match[3]):
        raise ValueError(f"failed to parse {text} as a rational number")
    fraction = match[3].rstrip("0")
    if len(fraction) > 9:
        raise ValueError("value is too precise")
    nano = int(match[2] or 0) * 10**9 + int(fraction.ljust(9, "0"))
    return -nano if match[1] == "-" else nano


def parse_duration(text: str) -> int:
    """Nanoseconds of a Go duration such as ``1h30m``, ``1.5s``, ``0``. ValueError in Go's words."""
    rest, sign = text, 1
    if rest[:1] in ("-", "+"):
        rest, sign = rest[1:], -1 if rest[0] == "-" else 1
    if rest == "0":
        return 0
    total = 0
    while rest:
        match = DURATION_PART.match(rest)
        if match is None or not (match[1] or match[2]):
            raise ValueError(f'time: invalid duration "{text}"')
        if not match[3]:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if match[3] not in NANOSECONDS:
            raise ValueError(f'time: unknown unit "{match[3]}" in duration "{text}"')
        total += _scaled(match[1], match[2] or "", NANOSECONDS[match[3]])
        rest = rest[match.end() :]
    if not text.strip("+-"):
        raise ValueError(f'time: invalid duration "{text}"')
    return sign * total


def _human(size: float, base: int, names: tuple[str, ...], digits: int) -> str:
    index = 0
    while size >= base and index < len(names) - 1:
        size /= base
        index += 1
    return f"{size:.{digits}g}{names[index]}"


def human_size(size: float, digits: int = 3) -> str:
    """``4.26MB``: powers of 1000, as Docker shows images."""
    return _human(size, 1000, DECIMAL_NAMES, digits)


def human_memory(size: float) -> str:
    """``23.54GiB``: powers of 1024, as Docker shows memory."""
    return _human(size, 1024, BINARY_NAMES, 4)


def human_duration(seconds: float) -> str:
    """``About a minute``, ``3 weeks``: the largest unit that says enough, as Docker does."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    minutes = whole // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    return _long_duration(int(seconds / 3600 + 0.5))


def _long_duration(hours: int) -> str:
    if hours == 1:
        return "About an hour"
    for limit, unit, name in LONG_UNITS:
        if hours < limit:
            return f"{hours // unit} {name}"
    return f"{hours // 8760} years"
