"""``--cpus``."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.cli.cpus import parse_cpus


@given(st.integers(0, 10**4), st.text("0123456789", min_size=1, max_size=9))
def test_whole_and_fraction(whole: int, fraction: str) -> None:
    assert parse_cpus(f"{whole}.{fraction}") == whole * 10**9 + int(fraction.ljust(9, "0"))


@pytest.mark.parametrize(("text", "nano"), [("-1.5", -1_500_000_000), ("+2", 2 * 10**9), (".5", 5 * 10**8)])
def test_signs_and_bare_fractions(text: str, nano: int) -> None:
    assert parse_cpus(text) == nano


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("x", "rational"), ("", "rational"), ("1.5x", "rational"), ("1.0000000001", "precise")],
)
def test_no_cpus(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_cpus(text)


@given(st.text("0123456789.+-e", max_size=12) | st.text(max_size=12))
def test_any_text_is_a_number_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse_cpus(text)
