"""Rules of ``--device-cgroup-rule``."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.errors import InvalidArgument
from wherry.values.devices import ANY, parse_device_rule

GRAMMAR = re.compile(r"[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}")  # docker/cli, opts.go
NUMBERS = st.just(ANY) | st.integers(0, 10**6)


@given(st.sampled_from("abc"), NUMBERS, NUMBERS, st.text("rwm", min_size=1, max_size=3))
def test_what_is_written_is_read(kind: str, major: int, minor: int, access: str) -> None:
    shown = ["*" if number == ANY else str(number) for number in (major, minor)]
    assert parse_device_rule(f"{kind} {':'.join(shown)} {access}") == (kind, major, minor, access)


@given(st.text("abcd 01:*rwm\n", max_size=12) | st.text(max_size=12))
def test_the_grammar_is_dockers(text: str) -> None:
    if GRAMMAR.fullmatch(text):
        assert parse_device_rule(text)[0] == text[0]
        return
    with pytest.raises(InvalidArgument, match="invalid device cgroup rule format"):
        parse_device_rule(text)


@pytest.mark.parametrize("number", ["9" * 5000, "99999999999999", str(1 << 32), str((1 << 32) - 1)])
def test_numbers_that_no_device_has_are_refused(number: str) -> None:
    """The last one is any number to the kernel, which is more than was said."""
    for numbers in (f"{number}:1", f"1:{number}", f"*:{number}"):
        with pytest.raises(InvalidArgument, match="invalid device cgroup rule format"):
            parse_device_rule(f"c {numbers} r")
