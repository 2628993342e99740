"""Tracked connections, as the kernel has them."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import closing
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from tests.network.lab import private_host, run
from wherry.linux.conntrack import Connections, forget_udp_answered_by, forget_udp_to_port


@pytest.fixture
def tracked() -> Iterator[Connections]:
    """Of a namespace in which connections are tracked."""
    with private_host():
        run("nft 'add table ip t; add chain ip t c { type filter hook output priority 0; }'")
        run("nft add rule ip t c ct state new accept")
        with closing(Connections()) as connections:
            yield connections
        run("nft flush ruleset")


def send(address: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"hello", (address, port))


def flows() -> set[tuple[str, int]]:
    """Where to, as first asked for."""
    lines = Path("/proc/thread-self/net/nf_conntrack").read_text().splitlines()
    found = (re.search(r"udp .*? dst=(\S+) sport=\d+ dport=(\d+)", line) for line in lines)
    return {(flow[1], int(flow[2])) for flow in found if flow}


def test_flows_are_forgotten_wherever_one_stands_among_those_that_there_are_not(tracked: Connections) -> None:
    for address, port in (("127.0.0.1", 7001), ("127.0.0.2", 7001), ("127.0.0.2", 7002), ("127.0.0.3", 7003)):
        send(address, port)
    assert tracked.forget() and len(flows()) == 4
    assert tracked.forget(*map(forget_udp_to_port, (6999, 7001, 7000, 7003)))
    assert flows() == {("127.0.0.2", 7002)}
    assert tracked.forget(*(forget_udp_answered_by(IPv4Address(ip)) for ip in ("127.0.0.9", "127.0.0.2")))
    assert flows() == set()
