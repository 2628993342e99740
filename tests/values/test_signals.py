"""Names and numbers of signals."""

import contextlib
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.errors import InvalidArgument
from wherry.values.signals import NUMBERS, parse_signal, signal_name


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("SIGTERM", 15),
        ("term", 15),
        ("15", 15),
        ("KILL", 9),
        ("SIGRTMIN", 34),
        ("RTMIN+3", 37),
        ("SIGRTMAX-14", 50),
        ("RTMAX", 64),
        ("WINCH", 28),
        ("CLD", 17),
        ("64", 64),
    ],
)
def test_names_and_numbers(text: str, number: int) -> None:
    assert parse_signal(text) == number


@pytest.mark.parametrize(
    "text",
    ["", "0", "-9", "SIG", "FOO", "SIGSIGTERM", "RTMIN+16", "RTMAX-15", "１５", "9 ", "9" * 5000],
)
def test_refused_with_dockers_words(text: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        parse_signal(text)
    assert error.value.message == f"invalid signal: {text}"


def test_a_number_that_is_no_signals() -> None:
    with pytest.raises(InvalidArgument, match="the linux daemon does not support signal 65"):
        parse_signal("65")


@given(st.text())
def test_any_text_is_a_signal_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidArgument):
        assert 1 <= parse_signal(text) <= 64


def test_names_are_this_machines() -> None:
    kernel = {s.name.removeprefix("SIG"): int(s) for s in signal.Signals}
    assert {name: number for name, number in NUMBERS.items() if name in kernel} == kernel


@given(st.integers(1, 31) | st.integers(34, 64))
def test_a_name_is_read_back(number: int) -> None:
    assert parse_signal(signal_name(number)) == number
