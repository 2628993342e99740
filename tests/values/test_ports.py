"""Ports. That ``-p`` and ``--expose`` are Docker's own is shown in ``tests/cli/test_create_body.py``."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.errors import InvalidArgument
from wherry.values.ports import (
    is_publishable,
    parse_expose,
    parse_host_port,
    parse_port_range,
    parse_publish,
    split_port,
    with_protocol,
)

PORTS = st.integers(1, 65535)
PROTOCOLS = st.sampled_from(["tcp", "udp", "sctp"])


@given(PORTS, PROTOCOLS)
def test_a_key_is_a_number_and_a_protocol(number: int, protocol: str) -> None:
    key = f"{number}/{protocol}"
    assert split_port(key) == (number, protocol)
    assert is_publishable(key) == (protocol != "sctp")
    assert with_protocol(key) == key and split_port(with_protocol(str(number))) == (number, "tcp")


def test_what_an_image_exposes_may_be_no_number() -> None:
    assert split_port("80-90/udp") == (0, "udp")
    assert split_port("web") == (0, "tcp")


@pytest.mark.parametrize(
    "key", ["", "0/tcp", "65536/tcp", "x/tcp", "80/icmp", "80/", "-1/tcp", "8 0/tcp", "٣/tcp", "9" * 5000]
)
def test_no_port_to_publish(key: str) -> None:
    assert not is_publishable(key)


@given(PORTS, PORTS)
def test_host_ports_are_one_or_a_range(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert parse_host_port(str(one)) == parse_host_port(f"{one}-{one}") == (one, 0)
    assert parse_host_port(f"{low}-{high}") == (low, 0 if low == high else high)


def test_no_host_port_is_any() -> None:
    assert parse_host_port("") == parse_host_port("0") == (0, 0)


@pytest.mark.parametrize(
    "text", ["a", "-1", "1-", "2-1", "0-5", "65536", "1-65536", " 80", "+80", "1_0", "80-90-95"]
)
def test_no_host_ports(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid port specification"):
        parse_host_port(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("80", (80, 80, "tcp")),
        ("80/udp", (80, 80, "udp")),
        ("8000-8080/sctp", (8000, 8080, "sctp")),
        ("0", (0, 0, "tcp")),
    ],
)
def test_ranges_of_filters(text: str, found: tuple[int, int, str]) -> None:
    assert parse_port_range(text) == found


@pytest.mark.parametrize("text", ["", "x", "80/", "80/icmp", "90-80", "80-", "65536"])
def test_no_ranges(text: str) -> None:
    with pytest.raises(InvalidArgument, match="is not a port or a range of ports"):
        parse_port_range(text)


@given(st.integers(1, 65000), st.integers(0, 500), st.integers(1, 65000), PROTOCOLS)
def test_published_ranges_map_one_to_one(first: int, more: int, host: int, protocol: str) -> None:
    got = parse_publish(f"127.0.0.1:{host}-{host + more}:{first}-{first + more}/{protocol.upper()}")
    assert got == [(f"{first + n}/{protocol}", "127.0.0.1", str(host + n)) for n in range(more + 1)]


@given(PORTS, st.integers(0, 20), PROTOCOLS)
def test_exposed_ranges_are_their_ports(first: int, more: int, protocol: str) -> None:
    last = min(first + more, 65535)
    assert parse_expose(f"{first}-{last}/{protocol}") == [f"{n}/{protocol}" for n in range(first, last + 1)]


@given(st.text("0189:-/tcpud.[]=", max_size=20) | st.text(max_size=20))
def test_any_text_is_a_port_or_refused(text: str) -> None:
    for parse in (parse_publish, parse_expose, parse_host_port, parse_port_range):
        with contextlib.suppress(InvalidArgument):
            parse(text)
    assert split_port(text)[0] >= 0
