"""Sizes, durations and processors, as written and as read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.cli.times import nano_time, parse_time
from wherry.cli.units import (
    human_duration,
    human_memory,
    human_size,
    parse_bytes,
    parse_cpus,
    parse_duration,
    parse_memory_swap,
)

MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("100", 100), ("1b", 1), ("2k", 2048), ("64m", 64 << 20), ("1.5GiB", 3 << 29), ("1 gb", 1 << 30),
     (".5k", 512), ("3tB", 3 << 40), ("1P", 1 << 50)],
)  # fmt: skip
def test_bytes(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "x", "k", "-1", "1x", "1kbb", "1kk", "1ib", "1.2.3", ".", "1 k b", "٣"])
def test_no_bytes(text: str) -> None:
    with pytest.raises(ValueError, match="invalid"):
        parse_bytes(text)


def test_unlimited_swap() -> None:
    assert parse_memory_swap("-1") == -1
    assert parse_memory_swap("1k") == 1024


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [("0", 0), ("1s", 10**9), ("1m30s", 90 * 10**9), ("1.5h", 5400 * 10**9), ("-2ms", -(2 * 10**6)), ("1us", 1000),
     ("100ns", 100), (".5s", 5 * 10**8), ("+1s", 10**9), ("1µs", 1000)],
)  # fmt: skip
def test_duration(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("1", "missing unit"), ("x", "invalid duration"), ("", "invalid duration"), ("1q", 'unknown unit "q"'),
     ("-", "invalid duration"), ("1s2", "missing unit"), (".s", "invalid duration")],
)  # fmt: skip
def test_no_duration(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_duration(text)


@given(st.integers(0, 10**6), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_durations_add_up(hours: int, minutes: int, seconds: int, milliseconds: int) -> None:
    total = ((hours * 60 + minutes) * 60 + seconds) * 10**9 + milliseconds * 10**6
    assert parse_duration(f"{hours}h{minutes}m{seconds}s{milliseconds}ms") == total
    assert parse_duration(f"{hours}h{minutes}m{seconds}.{milliseconds:03}s") == total


@given(st.integers(0, 10**4), st.text("0123456789", min_size=1, max_size=9))
def test_cpus(whole: int, fraction: str) -> None:
    assert parse_cpus(f"{whole}.{fraction}") == whole * 10**9 + int(fraction.ljust(9, "0"))


@given(st.text(max_size=12))
def test_any_text_is_a_value_or_an_error(text: str) -> None:
    for parse in (parse_bytes, parse_cpus, parse_duration, parse_time):
        try:
            parse(text)
        except ValueError:
            continue


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (999, "999B"), (1000, "1kB"), (1982410, "1.98MB"), (12_345_678, "12.3MB"), (123_456_789, "123MB"),
     (1_500_000_000, "1.5GB")],
)  # fmt: skip
def test_human_size(size: int, text: str) -> None:
    assert human_size(size) == text


def test_human_memory() -> None:
    assert human_memory(25279823872) == "23.54GiB"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"),
     (119, "About a minute"), (120, "2 minutes"), (59 * MINUTE, "59 minutes"), (HOUR, "About an hour"),
     (1.4 * HOUR, "About an hour"), (1.6 * HOUR, "2 hours"), (47 * HOUR, "47 hours"), (2 * DAY, "2 days"),
     (13 * DAY, "13 days"), (14 * DAY, "2 weeks"), (60 * DAY, "8 weeks"), (61 * DAY, "2 months"),
     (729 * DAY, "23 months"), (731 * DAY, "2 years")],
)  # fmt: skip
def test_human_duration(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "stamp"),
    [("1700000000.123", "1700000000.123"), ("1700000000", "1700000000"), ("10m", "999400"),
     ("2024-01-02T10:00:00Z", "1704189600.000000000"), ("2024-01-02T10:00:00.5+02:00", "1704182400.500000000"),
     ("2024-01-02T10:00:00-0130", "1704195000.000000000")],
)  # fmt: skip
def test_moments(text: str, stamp: str) -> None:
    assert parse_time(text, now=1_000_000) == stamp


def test_moments_without_zone_are_local(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Etc/GMT-2")
    time.tzset()
    try:
        assert parse_time("2024-01-02T10:00") == "1704182400.000000000"
        assert parse_time("2024-01-02") == "1704146400.000000000"
        assert nano_time(1704182400_000000001) == "2024-01-02T10:00:00.000000001+02:00"
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
