"""Netlink messages, and the kernel's answers to them."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.network.lab import private_host, run
from wherry.linux.netlink import (
    BPF_DROP,
    BPF_KEEP,
    Flag,
    Message,
    Netlink,
    Protocol,
    Watch,
    attach_filter,
    attribute,
    each_attribute,
    nested,
    parse_attributes,
    split,
    text,
)
from wherry.network.drivers.bridge.messages import create_bridge
from wherry.network.link import Kind, Links, changes_of, delete_link, ifinfo, read_link, set_up

MAC = bytes.fromhex("024200000001")


@pytest.fixture
def links() -> Iterator[Links]:
    with private_host():
        made = Links()
        yield made
        made.close()


@given(st.lists(st.tuples(st.integers(1, 0x3FFF), st.binary(max_size=40))))
def test_attributes_are_read_as_they_were_written(pairs: list[tuple[int, bytes]]) -> None:
    data = b"".join(attribute(type, value) for type, value in pairs)
    assert len(data) % 4 == 0
    assert list(each_attribute(data)) == pairs
    assert parse_attributes(nested(7, data))[7] == data


@given(st.binary())
def test_any_bytes_are_read_to_an_end(data: bytes) -> None:
    list(each_attribute(data))
    list(split(data))


def test_a_batch_is_executed_in_order(links: Links) -> None:
    links.send(create_bridge("one", MAC), create_bridge("two", MAC))
    one, two = links.find("one"), links.find("two")
    assert one is not None and two is not None and one.kind == two.kind == "bridge"
    assert (one.mac, one.up) == (MAC, False)
    links.send(set_up(one.index), delete_link(two.index))
    assert links.find("two") is None
    again = links.find("one")
    assert again is not None and again.up
    assert {link.name for link in links.all()} == {"lo", "one"}
    links.send(delete_link(one.index))


def test_a_failure_says_what_it_was_about(links: Links) -> None:
    """The first that fails is raised, wherever it stands; what comes after it is done all the same."""
    links.send(create_bridge("one", MAC))
    with pytest.raises(FileExistsError) as raised:
        links.send(create_bridge("one", MAC), create_bridge("two", MAC))
    assert (raised.value.errno, raised.value.filename) == (errno.EEXIST, "one")
    with pytest.raises(OSError, match="No such device"):
        links.send(set_up(999))
    assert links.find("two") is not None
    run("ip link delete one; ip link delete two")


def test_the_kernels_own_sentence_is_passed_on(links: Links) -> None:
    strange = Message(16, ifinfo() + text(3, "x") + nested(18, text(1, "no-such-kind")), Flag.CREATE, "x")
    with pytest.raises(OSError, match=r"Unknown device type"):
        links.send(strange)


def test_answers_of_a_failed_batch_do_not_spoil_the_next(links: Links) -> None:
    for _ in range(3):
        with pytest.raises(OSError, match="No such device"):
            links.send(set_up(998), set_up(999))
    found = links.find("lo")
    assert found is not None and found.index == 1


def test_many_objects_are_dumped_whole(links: Links) -> None:
    links.send(*(create_bridge(f"b{number}", MAC) for number in range(60)))
    assert len(links.all()) == 61
    links.send(*(delete_link(link.index) for link in links.all() if link.kind == "bridge"))


def test_addresses_and_routes(links: Links) -> None:
    run("ip link add one type bridge && ip address add 10.1.2.3/24 dev one && ip link set one up")
    run("ip route add 10.9.0.0/16 via 10.1.2.4")
    one = links.find("one")
    assert one is not None
    assert [str(address) for address in links.addresses(one.index)] == ["10.1.2.3/24"]
    assert {str(network) for network in links.routes()} == {"10.1.2.0/24", "10.9.0.0/16"}
    links.send(delete_link(one.index))


def test_filtered_news(links: Links) -> None:
    """Of a link that goes, and of an address that is taken from it; of no other link, and not of what it is given."""
    run("ip link add one type bridge && ip link add other type bridge")
    one = links.find("one")
    assert one is not None
    everything, some = (Watch(Protocol.ROUTE, program, 1, 5) for program in (BPF_KEEP, changes_of(one.index)))
    with everything as all_news, some as some_news:
        run("ip address add 10.1.2.3/24 dev one && ip address add 10.1.3.3/24 dev other")
        assert (types(all_news), types(some_news)) == ([20], [])
        run("ip address delete 10.1.3.3/24 dev other && ip link delete other")
        assert (types(all_news), types(some_news)) == ([17, 21], [])
        run("ip address delete 10.1.2.3/24 dev one && ip link delete one")
        assert types(some_news) == [17, 21]


def types(news: Netlink) -> list[int]:
    found = []
    while (data := news.receive_now()) is not None:
        found += [type for type, *_ in split(data)]
    return sorted(set(found))


def test_a_filtered_socket_never_answers() -> None:
    with socket.socket() as server, socket.socket() as client:
        attach_filter(server, BPF_DROP)
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.connect(server.getsockname())


def test_answers_that_could_not_be_received_are_no_later_ones() -> None:
    """As where the kernel had no memory at that moment: the request was carried out, its answers are there still."""
    with private_host(), Netlink() as netlink:
        netlink.request(create_bridge("one", MAC))
        netlink._socket.sendall(netlink._encode([create_bridge("one", MAC)]))  # EEXIST, which nobody reads
        netlink.request(create_bridge("two", MAC))
        netlink._socket.sendall(netlink._encode([create_bridge("one", MAC)]))
        with pytest.raises(FileExistsError):  # its own
            netlink.request(create_bridge("two", MAC))
        netlink._socket.sendall(netlink._encode([create_bridge("one", MAC)]))
        found = [read_link(reply) for reply in netlink.dump(Message(Kind.GET_LINK, ifinfo(0)))]
        assert [link.name for link in found] == ["lo", "one", "two"]
        netlink.request(*(delete_link(link.index) for link in found[1:]))
