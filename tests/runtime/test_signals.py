import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.errors import InvalidArgument
from wherry.runtime.signals import parse_signal


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
    "text", ["", "0", "65", "-9", "SIG", "FOO", "SIGSIGTERM", "RTMIN+16", "RTMAX-15", "１５", "9 "]
)
def test_refused_with_dockers_words(text: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        parse_signal(text)
    assert error.value.message == f"invalid signal: {text}"


@given(st.text())
def test_any_text_is_a_signal_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidArgument):
        assert 1 <= parse_signal(text) <= 64
