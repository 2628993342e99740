"""Amounts of bytes, as they are typed and as they are shown."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.errors import InvalidArgument
from wherry.values.sizes import human_memory, human_size, parse_memory_swap, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("100", 100), ("1b", 1), ("2k", 2048), ("64m", 64 << 20), ("1.5GiB", 3 << 29), ("1 gb", 1 << 30),
     (".5k", 512), ("3tB", 3 << 40), ("1P", 1 << 50), ("1.", 1), ("0.1", 0)],
)  # fmt: skip
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("", "invalid size: ''"), ("x", "invalid size: 'x'"), ("-1", "invalid size: '-1'"), ("1x", "invalid suffix: 'x'"),
     ("1kbb", "invalid suffix: 'kbb'"), ("1kk", "invalid suffix: 'kk'"), ("1IB", "invalid suffix: 'IB'"),
     ("1.2.3", "invalid size: '1.2.3'"), (".", "invalid size: '.'"), ("1 k b", "invalid suffix: 'k b'"),
     ("٣", "invalid size: '٣'"), ("1  k", "invalid suffix: ' k'"), ("9" * 9000, f"invalid size: '{'9' * 9000}'")],
)  # fmt: skip
def test_no_sizes(text: str, complaint: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_size(text)
    assert caught.value.message == complaint


def test_unlimited_swap() -> None:
    assert parse_memory_swap("-1") == -1
    assert parse_memory_swap("1k") == 1024


@given(st.integers(0, 2**50), st.sampled_from(["", "b", "k", "kb", "KiB", "m", "g", "t", "p"]), st.booleans())
def test_what_is_written_is_read(amount: int, unit: str, apart: bool) -> None:
    power = "bkmgtp".index(unit[:1].lower()) if unit else 0
    assert parse_size(f"{amount}{' ' if apart else ''}{unit}") == amount << (10 * power)


@given(st.integers(0, 999) | st.integers(1, 99).map(lambda n: n * 1000))
def test_what_is_shown_without_rounding_can_be_typed(size: int) -> None:
    assert parse_size(human_memory(size * 1024)) == size * 1024 or size > 1023  # four digits are shown


@given(st.text("0123456789. bkmgti", max_size=12) | st.text(max_size=12))
def test_any_text_is_a_size_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidArgument):
        assert parse_size(text) >= 0


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (999, "999B"), (1000, "1kB"), (1982410, "1.98MB"), (12_345_678, "12.3MB"), (123_456_789, "123MB"),
     (1_500_000_000, "1.5GB"), (10**18, "1EB")],
)  # fmt: skip
def test_decimal_sizes(size: int, text: str) -> None:
    assert human_size(size) == text


def test_four_digits_as_progress_shows_them() -> None:
    assert human_size(1_234_567, 4) == "1.235MB"


def test_binary_sizes() -> None:
    assert human_memory(25279823872) == "23.54GiB"
