"""Leases and subnets."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.errors import InvalidArgument, Unavailable
from wherry.network.ipam import Leases, choose_subnet, default_pools, mac_of, parse_bip
from wherry.values.macs import format_mac, station

GATEWAY = IPv4Interface("10.0.0.1/28")


@given(st.lists(st.integers(0, 20)))
def test_no_address_is_leased_twice(script: list[int]) -> None:
    """0 leases; any other number gives back the lease of that place, if there is one."""
    leases = Leases(GATEWAY)
    held: list[IPv4Address] = []
    for step in script:
        if step:
            if len(held) >= step:
                leases.free_address(held.pop(step - 1))
            continue
        try:
            address = leases.lease()
        except Unavailable:
            assert len(held) == 13
            continue
        assert address.network == GATEWAY.network
        assert address.ip not in (
            *held,
            GATEWAY.ip,
            *list(GATEWAY.network)[:: GATEWAY.network.num_addresses - 1],
        )
        held.append(address.ip)
    assert leases.free == 13 - len(held)


def test_a_freed_address_is_the_last_to_come_back() -> None:
    leases = Leases(GATEWAY)
    first = leases.lease()
    leases.free_address(first.ip)
    later = [leases.lease() for _ in range(13)]
    assert later[-1] == first


def test_claims() -> None:
    leases = Leases(GATEWAY)
    wanted = IPv4Address("10.0.0.2")
    assert leases.claim(wanted)
    assert not leases.claim(wanted)
    assert not leases.claim(GATEWAY.ip)
    assert not leases.claim(IPv4Address("10.9.9.9"))
    assert leases.lease().ip != wanted
    leases.free_address(GATEWAY.ip)
    assert GATEWAY.ip not in {leases.lease().ip for _ in range(leases.free)}


def test_subnets_are_chosen_past_what_is_in_use() -> None:
    assert choose_subnet([]) == IPv4Network("172.17.0.0/16")
    assert choose_subnet([IPv4Network("172.17.5.0/24"), IPv4Network("172.18.0.0/15")]) == IPv4Network(
        "172.20.0.0/16"
    )
    with pytest.raises(Unavailable, match="--bip"):
        choose_subnet(list(default_pools()))


@pytest.mark.parametrize(
    "text", ["", "10.0.0.1", "10.0.0.0/24", "10.0.0.255/24", "10.0.0.1/31", "x/24", "::1/64"]
)
def test_a_bad_bip_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="bridge address"):
        parse_bip(text)


def test_macs() -> None:
    assert format_mac(mac_of(IPv4Address("172.17.0.2"))) == "02:42:ac:11:00:02"
    assert station("02:42:AC:11:00:02") == station("02-42-ac-11-00-02") == mac_of(IPv4Address("172.17.0.2"))
    for bad in ("", "02:42", "zz:42:ac:11:00:02", "01:00:5e:00:00:01", "00:00:00:00:00:00"):
        with pytest.raises(InvalidArgument, match="MAC"):
            station(bad)
