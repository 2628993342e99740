"""What the host takes from a bridge, whatever others do to the firewall and to settings: ports published on its
loopback work, and nothing else comes there; there is no IPv6."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from ipaddress import IPv4Interface

import pytest

from tests.harness.waiting import eventually
from tests.network.lab import Lab, open_bridge, run
from tests.network.test_bridge import ip, listen, tcp
from wherry.errors import InvalidArgument
from wherry.linux import netns, sysctl
from wherry.network.drivers.bridge import guard
from wherry.network.drivers.bridge.driver import BridgeDriver
from wherry.network.endpoint import Endpoint
from wherry.network.firewall import ANSWER_MARK
from wherry.network.host import HostNetwork
from wherry.network.ports import PortWish

PORT = 5555
SO_MARK = 36
BRIDGED = "net/bridge/bridge-nf-call-iptables"
TAG = b"\x81\x00\x00\x00"  # VLAN 0
PROVIDER_TAG = b"\x88\xa8\x00\x00"


@pytest.fixture
def web(bridge: BridgeDriver) -> Iterator[Endpoint]:
    endpoint = bridge.make()
    yield endpoint
    bridge.release(endpoint.endpoint_id)


def datagram(source: str, destination: str) -> bytes:
    """An IPv4 packet with a UDP datagram to PORT."""
    payload = b"from " + source.encode()
    udp = struct.pack("!HHHH", 4444, PORT, 8 + len(payload), 0) + payload
    head = bytearray(
        struct.pack(
            "!BBHHHBBH4s4s",
            0x45,
            0,
            20 + len(udp),
            0,
            0,
            64,
            17,
            0,
            *map(socket.inet_aton, (source, destination)),
        )
    )
    words = sum(struct.unpack("!10H", head))
    head[10:12] = (0xFFFF - (words % 0xFFFF or 0xFFFF)).to_bytes(2, "big")
    return bytes(head) + udp


@pytest.fixture
def send(lab: Lab, bridge: BridgeDriver, web: Endpoint) -> Callable[..., None]:
    """Send a packet from the container to the bridge, as CAP_NET_RAW allows it."""
    bridge_mac = bytes.fromhex(run("ip -br link show wherry0").split()[2].replace(":", ""))

    def send(source: str, destination: str, tags: bytes = b"") -> None:
        with netns.inside(web.netns_fd):
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        with closing(raw):
            raw.bind(("eth0", 0))
            raw.setsockopt(socket.SOL_SOCKET, SO_MARK, ANSWER_MARK)  # nobody will see it on the other side
            own = raw.getsockname()[4]
            raw.send(bridge_mac + own + tags + b"\x08\x00" + datagram(source, destination))

    return send


def heard(server: socket.socket) -> list[bytes]:
    found = []
    try:
        while True:
            found.append(server.recv(100))
    except TimeoutError:
        return found


@pytest.mark.parametrize("tags", [b"", TAG, TAG * 2, PROVIDER_TAG + TAG, TAG * 3], ids=bytes.hex)
@pytest.mark.parametrize("bridged", ["0", "1"], ids=["", "br_netfilter"])
def test_nothing_comes_to_it_without_a_firewall(
    lab: Lab, web: Endpoint, send: Callable[..., None], tags: bytes, bridged: str
) -> None:
    """CVE-2020-8558, while nobody puts the table back that somebody has flushed."""
    sysctl.write(BRIDGED, bridged)
    local, everywhere = (lab.socket_in(lab.host, socket.SOCK_DGRAM) for _ in range(2))
    local.bind(("127.0.0.1", PORT))
    everywhere.bind(("172.17.0.1", PORT))
    run("nft flush ruleset")
    for source in (ip(web), "172.31.255.9", "127.0.0.1", "127.0.0.2"):
        send(source, "127.0.0.1", tags)
    send("127.0.0.2", "172.17.0.1", tags)
    send(ip(web), "172.17.0.1")
    assert heard(everywhere) == [b"from " + ip(web).encode()], (
        "if nothing at all is heard, this shows nothing"
    )
    assert heard(local) == []


@pytest.mark.parametrize("bridged", ["0", "1"], ids=["", "br_netfilter"])
def test_published_ports_work_on_it(lab: Lab, ports: HostNetwork, web: Endpoint, bridged: str) -> None:
    """Also where the bridge's packets go through netfilter before they leave the bridge."""
    sysctl.write(BRIDGED, bridged)
    ports.publish(
        web.address,
        [tcp(8080), PortWish("tcp", "127.0.0.1", 8081, 80), PortWish("udp", "127.0.0.1", 8082, 80)],
    )
    server, answerer = listen(lab, web), lab.socket_in(web.netns_fd, socket.SOCK_DGRAM)
    answerer.bind((ip(web), 80))
    assert lab.connect(lab.host, "127.0.0.1", 8080, server) == "172.17.0.1"
    assert lab.connect(lab.host, "127.0.0.1", 8081, server) == "172.17.0.1"
    assert lab.ask(lab.host, "127.0.0.1", 8082, answerer) == "172.17.0.1"
    assert lab.connect(lab.outside, "192.0.2.1", 8081, server) is None


def test_ipv6_that_somebody_switches_on_is_not_heard(lab: Lab, web: Endpoint) -> None:
    """As ``sysctl net.ipv6.conf.all.disable_ipv6=0`` does for all interfaces: none gets on a link with the host."""
    for place, interface, address in ((lab.host, "wherry0", "fd00::1"), (web.netns_fd, "eth0", "fd00::2")):
        with netns.inside(place):
            sysctl.write("net/ipv6/conf/all/disable_ipv6", "0")
            run(f"ip -6 address add {address}/64 dev {interface} nodad")
    with netns.inside(lab.host):
        server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with netns.inside(web.netns_fd):
        client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with closing(server), closing(client):
        server.settimeout(0.4)
        server.bind(("fd00::1", PORT))
        client.sendto(b"hello", ("fd00::1", PORT))
        assert heard(server) == []
        run("tc qdisc delete dev wherry0 clsact")
        assert eventually(lambda: bool(client.sendto(b"hello", ("fd00::1", PORT)) and heard(server)))


def test_an_older_engines_bridge_is_shut(host: int) -> None:
    """It has ``route_localnet`` and no filter; then the filter was there, and somebody took it away."""
    run("ip link add wherry0 type bridge && ip address add 172.17.0.1/16 dev wherry0")
    sysctl.write("net/ipv4/conf/wherry0/route_localnet", "1")
    made = open_bridge("wherry0", pool_size=1)
    shown = run("tc filter show dev wherry0 ingress")
    assert "direct-action" in shown
    made.close(remove=False)
    again = open_bridge("wherry0", pool_size=1)
    assert run("tc filter show dev wherry0 ingress") == shown
    again.close(remove=True)


def test_where_it_cannot_be_shut_it_is_not_opened(host: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel without the filter: what was open before is not, either, and no port is published on 127.0.0.1."""
    monkeypatch.setattr(guard, "CLSACT_KIND", "nosuch")
    run("ip link add wherry0 type bridge && ip address add 172.17.0.1/16 dev wherry0")
    sysctl.write("net/ipv4/conf/wherry0/route_localnet", "1")
    bridge, ports = open_bridge("wherry0", pool_size=1), HostNetwork("wherry")
    assert sysctl.read("net/ipv4/conf/wherry0/route_localnet") == "0"
    ports.add_network("bridge", bridge.facts())
    ports.reconcile()
    with pytest.raises(InvalidArgument, match=r"127\.0\.0\.1.*this kernel"):
        ports.publish(IPv4Interface("172.17.0.9/16"), [tcp(8081, "127.0.0.1")])
    [published] = ports.publish(IPv4Interface("172.17.0.9/16"), [tcp(8081)])
    ports.unpublish([published])
    bridge.close(remove=True)
    ports.close(remove=True)
