"""Reading a network namespace that was made for the purpose."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from wherry.linux import netns, rtnetlink
from wherry.linux.netlink import Netlink

SETUP = """
ip link set lo up
ip link add br0 address 02:00:00:00:00:01 type bridge && ip link set br0 up
ip link add out type veth peer name in && ip link set out master br0 up && ip link set in up
ip addr add 10.1.0.2/24 dev in && ip addr add 10.1.0.3/24 dev in
ip route add default via 10.1.0.1 && ip route add 10.9.0.0/16 dev in && ip route add blackhole 10.8.0.0/16
ip route add 10.7.0.0/16 dev in table 77
"""


@pytest.fixture(scope="module")
def namespace() -> Iterator[int]:
    home = netns.current()
    fd, _ = netns.create(lambda: subprocess.run(["sh", "-ec", SETUP], check=True), home)
    yield fd
    os.close(fd)
    os.close(home)


def test_interfaces(namespace: int) -> None:
    state = rtnetlink.read_inside(namespace)
    found = {interface.name: interface for interface in state.interfaces}
    lo, bridge, outer, inner = (found[name] for name in ("lo", "br0", "out", "in"))
    assert lo.loopback and lo.up and not inner.loopback
    assert (bridge.kind, bridge.mac) == ("bridge", "02:00:00:00:00:01")
    assert (outer.kind, outer.master, outer.peer, inner.peer) == (
        "veth",
        bridge.index,
        inner.index,
        outer.index,
    )
    assert state.name_of(bridge.index) == "br0" and state.name_of(999) == ""


def test_addresses(namespace: int) -> None:
    state = rtnetlink.read_inside(namespace)
    found = {(state.name_of(a.index), a.address) for a in state.addresses if not a.link_local}
    assert found - {("lo", "::1/128")} == {
        ("lo", "127.0.0.1/8"),
        ("in", "10.1.0.2/24"),
        ("in", "10.1.0.3/24"),
    }


def test_routes_of_every_table_but_the_local_one(namespace: int) -> None:
    state = rtnetlink.read_inside(namespace)
    found = {(r.destination, r.gateway, r.by_kernel) for r in state.routes if ":" not in r.destination}
    assert found == {
        ("default", "10.1.0.1", False),
        ("10.1.0.0/24", "", True),
        ("10.9.0.0/16", "", False),
        ("10.7.0.0/16", "", False),
    }


def test_one_interface(namespace: int) -> None:
    with netns.inside(namespace):
        socket = Netlink()
    with socket:
        names = {i.index: i.name for i in rtnetlink.interfaces(socket, statistics=False)}
        assert {index: found.name for index in names if (found := rtnetlink.find(socket, index))} == names
        assert rtnetlink.find(socket, 999) is None


def test_the_thread_is_back_where_it_was(namespace: int) -> None:
    before = os.readlink("/proc/thread-self/ns/net")
    rtnetlink.read_inside(namespace)
    assert os.readlink("/proc/thread-self/ns/net") == before
