"""Keys that detach. What the monitor does with them is in ``tests/native/test_text.py``."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.errors import InvalidArgument
from wherry.values.keys import CONTROL, KEYS_MAX, parse_detach_keys, parse_keys

NAMES = {**{chr(n): n for n in range(128) if chr(n) != ","}, "DEL": 127}
NAMES.update({f"ctrl-{letter}": code for code, letter in enumerate(CONTROL)})


@given(st.lists(st.sampled_from(sorted(NAMES)), max_size=KEYS_MAX))
def test_every_sequence_of_names_is_what_it_sends(names: list[str]) -> None:
    assert parse_keys(",".join(names)) == parse_detach_keys(",".join(names)) == bytes(NAMES[n] for n in names)


@pytest.mark.parametrize(
    "text", ["ctrl-", "ctrl-A", "ctrl-1", "ab", "ctrl-p,", "shift-a", "del", "ü", "a,,b", "ctrl-pq"]
)
def test_no_keys(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^Unknown character: '.*'$"):
        parse_keys(text)
    with pytest.raises(InvalidArgument, match=r"^Invalid detach keys \(.*\) provided$"):
        parse_detach_keys(text)


def test_the_daemon_takes_as_many_as_a_monitor_does() -> None:
    assert len(parse_detach_keys(",".join("x" * KEYS_MAX))) == KEYS_MAX
    with pytest.raises(InvalidArgument, match="at most"):
        parse_detach_keys(",".join("x" * (KEYS_MAX + 1)))


@given(st.text("ctrl-,abDEL@[ü", max_size=12) | st.text(max_size=12))
def test_any_text_is_keys_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidArgument):
        assert len(parse_keys(text)) == (text.count(",") + 1 if text else 0)
