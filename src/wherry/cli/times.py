"""``--since`` and ``--until``: a moment in time, or so long ago."""

from __future__ import annotations

import re
import time
from typing import Any

from wherry.cli.units import parse_duration

UNIX = re.compile(r"-?\d+(\.\d+)?")
MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d)(?::?(\d\d))?(?::?(\d\d)(?:\.(\d{1,9}))?)?)?(Z|[+-]\d\d:?\d\d)?"
)


def parse_time(text: str, now: float | None = None) -> str:
    """``10m``, ``2024-01-02[T03:04[:05[.678]]][Z]`` or Unix seconds as the API's ``seconds[.nanoseconds]``. A moment
    without a zone is local. ValueError where it is none."""
    if UNIX.fullmatch(text):
        return text
    match = MOMENT.fullmatch(text)
    if match is None:
        try:
            ago = parse_duration(text)
        except ValueError:
            raise ValueError(f'failed to parse value as time or duration: "{text}"') from None
        moment = (time.time() if now is None else now) - ago / 1e9
        return str(int(moment))
    return f"{_seconds(match)}.{(match[7] or '').ljust(9, '0')}"


def _seconds(match: re.Match[str]) -> int:
    numbers = [int(part or 0) for part in match.groups()[:6]]
    zone = match[8]
    fields: Any = (*numbers, 0, 1, -1)
    try:
        local = int(time.mktime(fields))
    except (OverflowError, ValueError):
        raise ValueError(f'failed to parse value as time or duration: "{match[0]}"') from None
    if not zone:
        return local
    from calendar import timegm

    offset = 0 if zone == "Z" else _offset(zone)
    return timegm(fields) - offset


def _offset(zone: str) -> int:
    """Seconds of ``+02:00``."""
    sign = -1 if zone[0] == "-" else 1
    return sign * (int(zone[1:3]) * 3600 + int(zone[-2:]) * 60)


def nano_time(nanoseconds: int) -> str:
    """``2026-11-25T01:22:45.000199064Z``, in the user's time zone."""
    seconds, rest = divmod(nanoseconds, 10**9)
    local = time.localtime(seconds)
    offset = time.strftime("%z", local)
    zone = "Z" if offset == "+0000" else f"{offset[:3]}:{offset[3:]}"
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', local)}.{rest:09d}{zone}"
