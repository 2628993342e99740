"""Spans of time in the words that ``docker ps`` shows."""

from __future__ import annotations

from datetime import datetime

DAY, WEEK, MONTH, YEAR = 24, 24 * 7, 24 * 30, 24 * 365  # in hours


def human_duration(seconds: float) -> str:
    """``Less than a second`` … ``3 minutes``, ``About an hour`` … ``5 years``, cut off as Docker does."""
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
    return long_duration(seconds)


def long_duration(seconds: float) -> str:
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


def epoch(text: str) -> float:
    """Seconds since 1970 of an RFC 3339 time; Go's zero time is far before it."""
    return datetime.fromisoformat(text).timestamp()
