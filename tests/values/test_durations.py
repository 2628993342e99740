"""Spans of time, as they are typed and as they are shown."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.errors import InvalidArgument
from wherry.values.durations import human_duration, parse_duration

MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [("0", 0), ("1s", 10**9), ("1m30s", 90 * 10**9), ("1.5h", 5400 * 10**9), ("-2ms", -(2 * 10**6)), ("1us", 1000),
     ("100ns", 100), (".5s", 5 * 10**8), ("+1s", 10**9), ("1µs", 1000), ("1.s", 10**9), ("-0", 0)],
)  # fmt: skip
def test_durations(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("1", "missing unit"), ("x", "invalid duration"), ("", "invalid duration"), ("1q", 'unknown unit "q"'),
     ("-", "invalid duration"), ("1s2", "missing unit"), (".s", "invalid duration"), ("٣s", "invalid duration"),
     ("2562048h", "invalid duration"), ("9" * 9000 + "s", "invalid duration"), ("1 s", 'unknown unit " s"')],
)  # fmt: skip
def test_no_durations(text: str, complaint: str) -> None:
    with pytest.raises(InvalidArgument, match=complaint):
        parse_duration(text)


@given(st.integers(0, 10**6), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_parts_add_up(hours: int, minutes: int, seconds: int, milliseconds: int) -> None:
    total = ((hours * 60 + minutes) * 60 + seconds) * 10**9 + milliseconds * 10**6
    assert parse_duration(f"{hours}h{minutes}m{seconds}s{milliseconds}ms") == total
    assert parse_duration(f"{hours}h{minutes}m{seconds}.{milliseconds:03}s") == total


@given(st.text("0123456789.+-hmnsuµ x", max_size=20) | st.text(max_size=12))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidArgument):
        assert abs(parse_duration(text)) < 2**63


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "Less than a second"), (0.9, "Less than a second"), (1.5, "1 second"), (59.9, "59 seconds"),
        (60, "About a minute"), (119, "About a minute"), (120, "2 minutes"), (59.9 * MINUTE, "59 minutes"),
        (HOUR, "About an hour"), (1.4 * HOUR, "About an hour"), (1.5 * HOUR, "2 hours"), (47.4 * HOUR, "47 hours"),
        (47.5 * HOUR, "2 days"), (13 * DAY, "13 days"), (14 * DAY, "2 weeks"), (59 * DAY, "8 weeks"),
        (60 * DAY, "2 months"), (729 * DAY, "24 months"), (730 * DAY, "2 years"), (5 * 365 * DAY, "5 years"),
    ],
)  # fmt: skip
def test_shown_as_docker_shows_it(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text
