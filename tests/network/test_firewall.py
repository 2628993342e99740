"""The table as data, and as the kernel has it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.waiting import eventually
from tests.network.lab import run
from wherry.errors import InvalidArgument, sentence
from wherry.linux import nftables
from wherry.network.firewall import (
    Firewall,
    NetworkFacts,
    chains,
    check_interface_name,
    decode,
    encode,
    fingerprint,
    render,
    table_name,
)
from wherry.network.ports import PublishedPort

BRIDGE = NetworkFacts(71, (IPv4Network("172.17.0.0/16"),))
OTHER = NetworkFacts(72, (IPv4Network("172.18.0.0/16"), IPv4Network("10.7.0.0/24")))
WEB = PublishedPort("tcp", "0.0.0.0", 8080, 80, "172.17.0.2")
DNS = PublishedPort("udp", "127.0.0.1", 53, 5353, "172.17.0.3")

PORT = st.integers(1, 65535)
ADDRESS = st.ip_addresses(v=4).map(str)
PUBLISHED = st.builds(PublishedPort, st.sampled_from(["tcp", "udp"]), ADDRESS, PORT, PORT, ADDRESS)


@pytest.fixture
def firewall(host: int) -> Iterator[Firewall]:
    made = Firewall("wherry", [BRIDGE])
    yield made
    made.remove()
    made.close()


@given(PUBLISHED)
def test_an_element_is_read_as_it_was_written(port: PublishedPort) -> None:
    assert decode(*encode(port)) == port


def test_elements_by_netlink_and_by_nft_are_the_same(firewall: Firewall) -> None:
    """What nft makes of the text, and what we send ourselves, must be the same to the kernel, and to nft."""
    nftables.load(render("wherry", [BRIDGE], [WEB, DNS]))
    by_text = firewall.counts()
    listed = run("nft list table ip wherry")
    nftables.load(render("wherry", [BRIDGE], []))
    firewall.publish([WEB, DNS])
    assert firewall.counts() == by_text
    assert run("nft list table ip wherry") == listed


def test_both_ways_of_loading_agree(firewall: Firewall) -> None:
    nftables.load(render("wherry", [BRIDGE], [WEB]))
    by_program = run("nft list table ip wherry")
    nftables.load_in_process(render("wherry", [BRIDGE], [WEB]))
    assert run("nft list table ip wherry") == by_program
    with pytest.raises(OSError, match="syntax error"):
        nftables.load("nonsense")
    with pytest.raises(OSError, match="syntax error"):
        nftables.load_in_process("nonsense")


def test_a_lost_table_is_restored_with_its_ports(firewall: Firewall) -> None:
    assert firewall.ensure()
    firewall.publish([WEB])
    assert not firewall.ensure()
    run("nft flush ruleset")
    assert firewall.ensure()
    assert set(firewall.counts()) == {WEB}


def test_publishing_into_a_lost_table_restores_it(firewall: Firewall) -> None:
    firewall.ensure()
    firewall.publish([WEB])
    run("nft delete table ip wherry")
    firewall.publish([DNS])
    assert set(firewall.counts()) == {WEB, DNS}
    run("nft delete table ip wherry")
    firewall.unpublish([DNS])
    assert firewall.ensure()
    assert set(firewall.counts()) == {WEB}


def test_a_damaged_or_foreign_table_is_replaced(firewall: Firewall) -> None:
    firewall.ensure()
    run("nft flush chain ip wherry forwarded")
    assert firewall.ensure()
    run("nft delete table ip wherry; nft add table ip wherry")
    assert firewall.ensure()
    assert firewall.intact()


def test_other_tables_are_left_alone(firewall: Firewall) -> None:
    run("nft add table ip filter; nft 'add chain ip filter FORWARD { type filter hook forward priority 0; }'")
    before = run("nft list table ip filter")
    firewall.ensure()
    firewall.publish([WEB])
    firewall.remove()
    assert run("nft list ruleset") == before
    run("nft delete table ip filter")


def test_reconcile_leaves_exactly_what_is_asked_for(firewall: Firewall) -> None:
    firewall.ensure()
    firewall.publish([WEB, DNS])
    assert firewall.reconcile([WEB]) == [DNS]
    assert set(firewall.counts()) == {WEB}
    firewall.unpublish([WEB, DNS])
    assert firewall.counts() == {}


def test_a_key_with_another_value_is_replaced(firewall: Firewall) -> None:
    firewall.ensure()
    firewall.publish([WEB])
    moved = PublishedPort("tcp", WEB.host_ip, WEB.host_port, 81, "172.17.0.9")
    firewall.publish([moved])
    assert set(firewall.counts()) == {moved}


def test_the_comment_follows_the_rules() -> None:
    other = NetworkFacts(71, BRIDGE.subnets, between_containers=False)
    assert fingerprint([BRIDGE]) == fingerprint([BRIDGE]) != fingerprint([other])
    assert len(chains([other])[-1].rules) == len(chains([BRIDGE])[-1].rules) - 1


@given(st.text(max_size=20))
def test_a_name_that_passes_can_stand_in_a_rule(name: str) -> None:
    try:
        check_interface_name(name)
    except InvalidArgument:
        return
    assert re.fullmatch(r"[\w.-]{1,15}", name, re.ASCII)


def test_table_names() -> None:
    assert table_name("wherry0") == "wherry"
    assert table_name("br-one.2") == "wherry_br_one_2"


def test_one_port_is_asked_for_by_key_and_value(firewall: Firewall) -> None:
    assert not firewall.has(WEB)  # there is no table yet
    firewall.ensure()
    firewall.publish([WEB, DNS])
    assert firewall.has(WEB) and firewall.has(DNS)
    assert not firewall.has(PublishedPort("tcp", WEB.host_ip, WEB.host_port, 80, "172.17.0.9"))
    firewall.unpublish([WEB])
    assert not firewall.has(WEB)


def test_rules_are_made_for_each_network_and_subnet() -> None:
    alone, both = chains([BRIDGE]), chains([BRIDGE, OTHER])
    for one, two in zip(alone, both, strict=True):
        assert two.rules[: len(one.rules)] == one.rules
        assert all("72" in rule for rule in two.rules[len(one.rules) :])
    leaving = next(chain for chain in both if chain.name == "leaving")
    assert sum("masquerade" in rule and "saddr 10.7.0.0/24" in rule for rule in leaving.rules) == 2


def test_other_rules_are_loaded_by_the_next_look(firewall: Firewall) -> None:
    firewall.ensure()
    firewall.publish([WEB])
    firewall.set_networks([BRIDGE, OTHER])
    assert not firewall.intact()
    assert firewall.ensure()
    assert "oif 72 drop" in run("nft list table ip wherry")
    assert set(firewall.counts()) == {WEB}


def test_a_machine_without_nftables_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nftables, "LIBRARY", "libnothing.so.1")
    with pytest.raises(OSError) as failure:
        nftables.load_in_process("list tables")
    said = sentence(failure.value)
    assert said == "neither nft nor libnothing.so.1 is installed (both are in Debian's package nftables)"


def test_thousands_of_ports_at_once(firewall: Firewall) -> None:
    """More than one message to the kernel can hold; and some of them are not there any more."""
    ports = [PublishedPort("tcp", "0.0.0.0", number, 80, "172.17.0.2") for number in range(1, 3001)]
    ports += [PublishedPort("udp", "127.0.0.1", number, 80, "172.17.0.2") for number in range(1, 3001)]
    firewall.ensure()
    firewall.publish(ports)
    assert eventually(lambda: firewall.counts().keys() == set(ports))  # a list of what grows can lack some
    firewall.unpublish(ports[500:600])
    firewall.unpublish(ports[:1000])
    assert eventually(lambda: firewall.counts().keys() == set(ports[1000:]))
    assert set(firewall.reconcile(ports[:1])) <= set(ports[1000:])
    assert firewall.reconcile(ports[:1]) == []
    assert eventually(lambda: firewall.counts().keys() == {ports[0]})


def test_of_thousands_of_ports_one_is_taken_by_another_address(firewall: Firewall) -> None:
    """What an earlier engine left under the same key makes way."""
    ports = [PublishedPort("tcp", "0.0.0.0", number, 80, "172.17.0.2") for number in range(1, 1001)]
    firewall.ensure()
    nftables.load("add element ip wherry published_any { tcp . 900 : 172.17.0.9 . 81 }")
    firewall.publish(ports)
    assert eventually(lambda: firewall.counts().keys() == set(ports))
