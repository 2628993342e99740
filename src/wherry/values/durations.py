"""Spans of time: ``1h30m`` as it is typed, ``About an hour`` as it is shown."""

from __future__ import annotations

from wherry.errors import InvalidArgument
from wherry.values.numbers import DIGITS, LONGEST, leading_number, scaled

MICRO, MILLI, SECOND = 10**3, 10**6, 10**9
NANOSECONDS = {
    "ns": 1, "us": MICRO, "µs": MICRO, "μs": MICRO, "ms": MILLI, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND,
}  # fmt: skip
MOST = 2**63 - 1  # nanoseconds; Go's durations end at 292 years
DAY, WEEK, MONTH, YEAR = 24, 24 * 7, 24 * 30, 24 * 365  # in hours


def parse_duration(text: str) -> int:
    """Nanoseconds of a Go duration such as ``1h30m``, ``1.5s``, ``-2ms``, ``0``. InvalidArgument in Go's words."""
    rest, sign = text, 1
    if rest[:1] in ("-", "+"):
        rest, sign = rest[1:], -1 if rest[0] == "-" else 1
    if rest == "0":
        return 0
    if not rest:
        raise _invalid(text)
    total = 0
    while rest:
        amount, rest = _part(rest, text)
        total += amount
    if total > MOST:
        raise _invalid(text)
    return sign * total


def _part(text: str, all_of_it: str) -> tuple[int, str]:
    """The nanoseconds of one number with its unit, and what follows."""
    whole, fraction, rest = leading_number(text)
    if not (whole or fraction) or len(whole) + len(fraction) > LONGEST:
        raise _invalid(all_of_it)
    end = next((n for n, letter in enumerate(rest) if letter in DIGITS or letter == "."), len(rest))
    unit = rest[:end]
    if not unit:
        raise InvalidArgument(f'time: missing unit in duration "{all_of_it}"')
    if unit not in NANOSECONDS:
        raise InvalidArgument(f'time: unknown unit "{unit}" in duration "{all_of_it}"')
    return scaled(whole, fraction, NANOSECONDS[unit]), rest[end:]


def _invalid(text: str) -> InvalidArgument:
    return InvalidArgument(f'time: invalid duration "{text}"')


def human_duration(seconds: float) -> str:
    """``3 minutes``, ``About an hour``, ``5 years``: the largest unit that says enough, cut off as Docker does."""
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
    return _long_duration(seconds)


def _long_duration(seconds: float) -> str:
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 2 * DAY:
        return f"{hours} hours"
    if hours < 2 * WEEK:
        return f"{hours // DAY} days"
    if hours < 2 * MONTH:
        return f"{hours // WEEK} weeks"
    if hours < 2 * YEAR:
        return f"{hours // MONTH} months"
    return f"{int(seconds / 3600) // YEAR} years"
