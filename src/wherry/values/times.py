"""Moments: RFC 3339 as documents and logs have it, ``seconds.nanoseconds`` as the API's queries have it, and what a
person types for ``--since``."""

from __future__ import annotations

import time

from wherry.errors import InvalidArgument
from wherry.values.durations import SECOND, parse_duration
from wherry.values.numbers import is_number, leading_digits

CLOCK = len("2026-11-25T01:02:03")
FULL_LENGTH = len("2026-11-25T01:02:03.123456789Z")
STAMP_DIGITS, NANO_DIGITS = 12, 9  # up to the year 9999
MARKS = ("--T::", "--t::")
MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
MOMENT = r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d)(?::?(\d\d))?(?::?(\d\d)(?:\.(\d{1,9}))?)?)?(Z|[+-]\d\d:?\d\d)?"

_seconds_of: dict[str, int] = {}  # clocks that were read; the lines of a log share theirs
_REMEMBERED = 1024


# ---------------------------------------------------------------- RFC 3339


def now() -> str:
    """The time of the host's clock, as ``rfc3339`` writes it."""
    return rfc3339(time.time_ns())


def rfc3339(nanoseconds: int) -> str:
    """RFC 3339 in UTC with nanoseconds, trailing zeros dropped, as Go's RFC3339Nano."""
    seconds, fraction = divmod(nanoseconds, SECOND)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    digits = f"{fraction:09d}".rstrip("0")
    return f"{text}.{digits}Z" if digits else f"{text}Z"


def local_rfc3339(seconds: float) -> str:
    """``2026-11-25T01:22:45+01:00``, in the user's time zone."""
    return _local_clock(seconds) + _local_zone(seconds)


def local_nanoseconds(nanoseconds: int) -> str:
    """``2026-11-25T01:22:45.000199064Z``, in the user's time zone."""
    seconds, rest = divmod(nanoseconds, SECOND)
    return f"{_local_clock(seconds)}.{rest:09d}{_local_zone(seconds)}"


def _local_clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds))


def _local_zone(seconds: float) -> str:
    offset = time.strftime("%z", time.localtime(seconds))
    return "Z" if offset == "+0000" else f"{offset[:3]}:{offset[3:]}"


def parse_rfc3339(text: str) -> int:
    """Nanoseconds since 1970; digits beyond the ninth are dropped. InvalidArgument for anything else."""
    known, digits = _seconds_of.get(text[:CLOCK]), text[CLOCK + 1 : -1]
    if (
        known is not None
        and text[-1] == "Z"
        and text[CLOCK] == "."
        and len(digits) <= 9
        and is_number(digits)
    ):
        return known * SECOND + int(digits.ljust(9, "0"))  # as most are: a log has many of a second
    seconds, fraction, offset = _parts(text)
    return (seconds - offset) * SECOND + (int(fraction[:9].ljust(9, "0")) if fraction else 0)


def full_rfc3339(text: str) -> str:
    """The same time with its fraction filled up to nine digits, as clients expect a fixed width; what is no time comes
    back as it is."""
    if len(text) == FULL_LENGTH:
        return text
    try:
        _, fraction, _ = _parts(text)
    except InvalidArgument:
        return text
    return f"{text[:CLOCK]}.{fraction[:9].ljust(9, '0')}{text[-6:] if text[-1] not in 'Zz' else 'Z'}"


def _parts(text: str) -> tuple[int, str, int]:
    """The clock as UTC seconds since 1970, the digits of the fraction, and the zone's offset in seconds."""
    seconds = _seconds_of.get(text[:CLOCK])
    if seconds is None:
        seconds = _clock(text)
    fraction, zone = "", text[CLOCK:]
    if zone[:1] == ".":
        fraction, zone = leading_digits(zone[1:])
        if not fraction:
            raise _no_time(text)
    if zone in ("Z", "z"):
        return seconds, fraction, 0
    if len(zone) != 6 or zone[3] != ":" or zone[0] not in "+-" or not is_number(zone[1:3] + zone[4:]):
        raise _no_time(text)
    return seconds, fraction, _offset(zone)


def _offset(zone: str) -> int:
    """Seconds of ``+02:00`` or ``+0200``."""
    return (-1 if zone[0] == "-" else 1) * (int(zone[1:3]) * 3600 + int(zone[-2:]) * 60)


def _clock(text: str) -> int:
    clock = text[:CLOCK]
    digits = clock[0:4] + clock[5:7] + clock[8:10] + clock[11:13] + clock[14:16] + clock[17:19]
    marks = clock[4:5] + clock[7:8] + clock[10:11] + clock[13:14] + clock[16:17]
    if len(digits) != 14 or not is_number(digits) or marks not in MARKS:
        raise _no_time(text)
    seconds = _utc_seconds(int(digits[:4]), *(int(digits[n : n + 2]) for n in range(4, 14, 2)))
    if seconds is None:
        raise _no_time(text)
    if len(_seconds_of) >= _REMEMBERED:
        _seconds_of.clear()
    _seconds_of[clock] = seconds
    return seconds


def _utc_seconds(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int | None:
    """Seconds since 1970, or None where the calendar has no such moment. A leap second is that of the next minute."""
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= month <= 12 or not 1 <= day <= MONTH_DAYS[month - 1] or (month, day, leap) == (2, 29, False):
        return None
    if hour > 23 or minute > 59 or second > 60:
        return None
    return ((_days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970 in the Gregorian calendar, counted in years that begin with March."""
    year, month = (year, month - 3) if month > 2 else (year - 1, month + 9)
    era, of_era = divmod(year, 400)
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + (153 * month + 2) // 5 + day - 719469


def _no_time(text: str) -> InvalidArgument:
    return InvalidArgument(f"{text!r} is not a time of RFC 3339, such as 2026-11-25T01:02:03Z")


# ---------------------------------------------------------------- stamps, and what a person types


def parse_stamp(text: str) -> int:
    """Nanoseconds of ``1732460330.695158424``, to the last digit, which a float would lose."""
    seconds, _, fraction = text.partition(".")
    bare = seconds.removeprefix("-")
    fits = len(bare) <= STAMP_DIGITS and len(fraction) <= NANO_DIGITS
    if not fits or not is_number(bare) or ("." in text and not is_number(fraction)):
        raise InvalidArgument(f"{text!r} is not a time in seconds, such as 1732460330.5")
    return int(seconds) * SECOND + int(fraction.ljust(NANO_DIGITS, "0"))


def parse_moment(text: str, *, local: bool, now: float | None = None) -> str:
    """``10m`` (ago), ``2024-01-02[T03:04[:05[.678]]][Z]`` or Unix seconds as a stamp, ``seconds[.nanoseconds]``.

    A moment without a zone is of the user's time zone for the command line (``local``), and UTC for the engine.
    """
    import re

    if re.fullmatch(r"-?\d+(\.\d+)?", text, re.ASCII):
        return text
    match = re.fullmatch(MOMENT, text, re.ASCII)
    if match is None:
        try:
            ago = parse_duration(text)
        except InvalidArgument:
            raise _no_moment(text) from None
        return str(int((time.time() if now is None else now) - ago / SECOND))
    numbers = [int(part or 0) for part in match.groups()[:6]]
    seconds = _utc_seconds(*numbers)
    if seconds is None:
        raise _no_moment(text)
    zone = match[8]
    if zone:
        seconds -= 0 if zone == "Z" else _offset(zone)
    elif local:
        seconds = _mktime(numbers, text)
    return f"{seconds}.{(match[7] or '').ljust(9, '0')}"


def _mktime(numbers: list[int], text: str) -> int:
    year, month, day, hour, minute, second = numbers
    try:
        return int(time.mktime((year, month, day, hour, minute, second, 0, 1, -1)))
    except OverflowError:
        raise _no_moment(text) from None


def _no_moment(text: str) -> InvalidArgument:
    return InvalidArgument(f'failed to parse value as time or duration: "{text}"')
