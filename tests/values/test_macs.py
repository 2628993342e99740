"""Hardware addresses."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.errors import InvalidArgument
from wherry.values.macs import format_mac, parse_mac

MACS = st.binary(min_size=6, max_size=6)


@given(MACS, st.sampled_from([(":", 1), ("-", 1), (".", 2)]), st.booleans())
def test_every_address_in_every_form(mac: bytes, form: tuple[str, int], upper: bool) -> None:
    text = mac.hex(form[0], form[1])
    assert parse_mac(text.upper() if upper else text) == parse_mac(format_mac(mac)) == mac


@pytest.mark.parametrize(
    "text",
    [
        "",
        "02:42",
        "0242ac110002",
        "zz:42:ac:11:00:02",
        "02:42-ac:11:00:02",
        "2:42:ac:11:0:2",
        "02:42:ac:11:00:02:",
        "０2",
    ],
)
def test_no_addresses(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid MAC address"):
        parse_mac(text)


@given(st.text("02afAF:-.g", max_size=20) | st.text(max_size=20))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidArgument):
        assert len(parse_mac(text)) == 6
