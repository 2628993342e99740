"""Times as the API spells them."""

from __future__ import annotations

import time


def rfc3339(nanoseconds: int) -> str:
    """RFC 3339 in UTC with nanoseconds, trailing zeros dropped, as Go's RFC3339Nano."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    digits = f"{fraction:09d}".rstrip("0")
    return f"{text}.{digits}Z" if digits else f"{text}Z"


def now() -> str:
    return rfc3339(time.time_ns())
