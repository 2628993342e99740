"""Addresses, and entries of ``--add-host``."""

from __future__ import annotations

import contextlib
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.errors import InvalidArgument
from wherry.values.hosts import canonical_address, is_address, is_name_server, parse_extra_host

ADDRESSES = st.ip_addresses()
NAMES = st.text("abc.-09_", min_size=1, max_size=12)


@given(ADDRESSES)
def test_every_address_in_every_spelling(address: object) -> None:
    for text in (str(address), getattr(address, "exploded", ""), str(address).upper()):
        assert is_address(text) and is_name_server(text)
        assert ip_address(canonical_address(f" {text} ")) == address


@pytest.mark.parametrize(
    "text", ["", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "host", "::g", "[::1]", "1.2.3.4 ", "\0"]
)
def test_no_addresses(text: str) -> None:
    assert not is_address(text)


def test_only_a_name_server_may_name_an_interface() -> None:
    assert is_name_server("fe80::1%eth0") and not is_address("fe80::1%eth0")
    assert not is_name_server("1.2.3.4%eth0") and not is_name_server("fe80::1%")


@given(NAMES, ADDRESSES, st.sampled_from(":="), st.booleans())
def test_entries_are_read_as_they_are_written(
    name: str, address: object, separator: str, brackets: bool
) -> None:
    text = f"[{address}]" if brackets else str(address)
    assert parse_extra_host(f"{name}{separator}{text}") == (name, str(address))


def test_the_hosts_own_address_has_a_name() -> None:
    assert parse_extra_host("h:host-gateway") == parse_extra_host("h=host-gateway") == ("h", "host-gateway")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("db", 'bad format for add-host: "db"'), ("", 'bad format for add-host: ""'),
        (":1.2.3.4", 'bad format for add-host: ":1.2.3.4"'), ("db=", 'bad format for add-host: "db="'),
        ("db:nowhere", 'invalid IP address in add-host: "nowhere"'),
        ("a:b=1.2.3.4", 'invalid IP address in add-host: "b=1.2.3.4"'),
        ("db:[]", 'invalid IP address in add-host: "[]"'),
    ],
)  # fmt: skip
def test_refused_in_dockers_words(text: str, complaint: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_extra_host(text)
    assert caught.value.message == complaint


@given(st.text("ab:=[].1-", max_size=16) | st.text(max_size=16))
def test_any_text_is_an_entry_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidArgument):
        name, address = parse_extra_host(text)
        assert name and (address == "host-gateway" or is_address(address))
