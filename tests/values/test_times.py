"""Moments: RFC 3339, the API's stamps, and what a person types."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.errors import InvalidArgument
from wherry.values.times import (
    full_rfc3339,
    local_nanoseconds,
    local_rfc3339,
    now,
    parse_moment,
    parse_rfc3339,
    parse_stamp,
    rfc3339,
)

ANY_TIME = st.integers(parse_rfc3339("1000-01-01T00:00:00Z"), parse_rfc3339("9999-12-31T23:59:59.999999999Z"))
ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@pytest.fixture
def two_hours_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Etc/GMT-2")
    time.tzset()
    yield
    monkeypatch.delenv("TZ")
    time.tzset()


@given(ANY_TIME)
def test_what_is_written_is_read(nanoseconds: int) -> None:
    assert parse_rfc3339(rfc3339(nanoseconds)) == nanoseconds
    assert parse_rfc3339(full_rfc3339(rfc3339(nanoseconds))) == nanoseconds


@given(st.datetimes(timezones=ZONES))
def test_read_as_the_library_reads_it(moment: datetime) -> None:
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    micros = (since.days * 86400 + since.seconds) * 10**6 + since.microseconds
    text = moment.isoformat()  # seconds of an offset are beyond RFC 3339
    assert parse_rfc3339(text) == micros * 1000


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:00Z", 0), ("1970-01-01T00:00:01.5Z", 1_500_000_000), ("1970-01-01t00:00:00.000000001z", 1),
        ("1970-01-01T01:00:00.000000001+01:00", 1), ("1969-12-31T23:00:00-01:00", 0),
        ("1970-01-01T00:00:00.1234567899Z", 123456789), ("0001-01-01T00:00:00Z", -62135596800 * 10**9),
        ("2024-02-29T00:00:00Z", 1709164800 * 10**9), ("2016-12-31T23:59:60Z", 1483228800 * 10**9),
    ],
)  # fmt: skip
def test_times(text: str, nanoseconds: int) -> None:
    assert parse_rfc3339(text) == nanoseconds


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "1970-13-01T00:00:00Z", "1970-00-01T00:00:00Z", "1970-13-01T00:00:00.5Z", "2023-02-29T00:00:00Z",
     "1900-02-29T00:00:00Z", "1970-01-32T00:00:00Z", "1970-04-31T00:00:00Z", "1970-01-01T24:00:00Z",
     "1970-01-01T00:60:00Z", "1970-01-01T00:00:61Z", "1970-01-01T00:00:00", "1970-01-01T00:00:00.Z",
     "1970-01-01 00:00:00Z", "1970-01-01T00:00:00+0100", "1970-01-01T00:00:00+ab:cd", "1970-01-01T00:00:00Zz",
     "1970-01-01T00:00: 0Z", "١٩٧٠-01-01T00:00:00Z", "1970/01/01T00:00:00Z"],
)  # fmt: skip
def test_no_times(text: str) -> None:
    with pytest.raises(InvalidArgument, match="RFC 3339"):
        parse_rfc3339(text)


@given(st.text("0123456789-T:.Z+", max_size=36) | st.text(max_size=36))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    for parse in (parse_rfc3339, parse_stamp, lambda t: parse_moment(t, local=True)):
        with contextlib.suppress(InvalidArgument):
            parse(text)
    assert full_rfc3339(full_rfc3339(text)) == full_rfc3339(text)


def test_nine_digits_in_every_zone() -> None:
    assert full_rfc3339("2026-11-25T01:02:03.25+02:00") == "2026-11-25T01:02:03.250000000+02:00"
    assert full_rfc3339("2026-11-25T01:02:03z") == "2026-11-25T01:02:03.000000000Z"
    assert full_rfc3339("no time") == "no time"


def test_now_is_now() -> None:
    assert abs(parse_rfc3339(now()) - time.time_ns()) < 60 * 10**9


# ---------------------------------------------------------------- stamps and moments


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [("1795532333.000000001", 1795532333000000001), ("1795532333", 1795532333 * 10**9), ("1.5", 1_500_000_000),
     ("-1", -(10**9)), ("0", 0)],
)  # fmt: skip
def test_stamps_keep_their_last_digit(text: str, nanoseconds: int) -> None:
    assert parse_stamp(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "x", "1.", "1.0000000001", "1e3", "-", "--1", "1" * 13, "٣", "1.2.3"])
def test_no_stamps(text: str) -> None:
    with pytest.raises(InvalidArgument, match="not a time in seconds"):
        parse_stamp(text)


@pytest.mark.parametrize(
    ("text", "stamp"),
    [("1700000000.123", "1700000000.123"), ("1700000000", "1700000000"), ("10m", "999400"), ("0", "0"),
     ("2024-01-02T10:00:00Z", "1704189600.000000000"), ("2024-01-02T10:00:00.5+02:00", "1704182400.500000000"),
     ("2024-01-02T10:00:00-0130", "1704195000.000000000"), ("2024-01-02T10Z", "1704189600.000000000")],
)  # fmt: skip
def test_moments(text: str, stamp: str) -> None:
    assert parse_moment(text, local=True, now=1_000_000) == stamp


@pytest.mark.parametrize("text", ["", "yesterday", "2024-13-02", "2024-02-30T00:00", "2024-01-02T25:00"])
def test_no_moments(text: str) -> None:
    with pytest.raises(InvalidArgument, match="failed to parse value as time or duration"):
        parse_moment(text, local=True)


def test_a_moment_without_a_zone_is_the_users_or_utc(two_hours_east: None) -> None:
    assert parse_moment("2024-01-02T10:00", local=True) == "1704182400.000000000"
    assert parse_moment("2024-01-02T10:00", local=False) == "1704189600.000000000"
    assert parse_moment("2024-01-02", local=True) == "1704146400.000000000"


def test_shown_in_the_users_zone(two_hours_east: None) -> None:
    assert local_nanoseconds(1704182400_000000001) == "2024-01-02T10:00:00.000000001+02:00"
    assert local_rfc3339(1704182400) == "2024-01-02T10:00:00+02:00"


@given(st.integers(0, 253402300799 * 10**9))
def test_a_moment_of_a_time_is_that_time(nanoseconds: int) -> None:
    text = full_rfc3339(rfc3339(nanoseconds))
    assert parse_stamp(parse_moment(text, local=True)) == nanoseconds
