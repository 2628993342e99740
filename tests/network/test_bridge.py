"""Real packets between containers, their host, and a neighbour outside."""

from __future__ import annotations

import errno
import os
import resource
import socket
from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv4Network

import pytest

from tests.harness.waiting import eventually
from tests.network.lab import (
    HOST,
    NEIGHBOUR,
    Lab,
    interfaces,
    network_descriptors,
    open_bridge,
    open_stack,
    run,
    write_inside,
)
from wherry.errors import Internal, InvalidArgument, Unavailable
from wherry.linux import netns, sysctl
from wherry.network.driver import EndpointWish
from wherry.network.drivers.bridge.driver import BridgeDriver, plan_bridge
from wherry.network.endpoint import Endpoint
from wherry.network.firewall import NetworkFacts
from wherry.network.host import HostNetwork
from wherry.network.link import Link
from wherry.network.ports import PortWish, PublishedPort


@pytest.fixture
def web(bridge: BridgeDriver) -> Iterator[Endpoint]:
    """A container that serves."""
    yield from attached(bridge)


@pytest.fixture
def peer(bridge: BridgeDriver) -> Iterator[Endpoint]:
    """Another container."""
    yield from attached(bridge)


def attached(bridge: BridgeDriver) -> Iterator[Endpoint]:
    endpoint = bridge.make()
    yield endpoint
    bridge.release(endpoint.endpoint_id)


def tcp(host_port: int, host_ip: str = "", container_port: int = 80) -> PortWish:
    return PortWish("tcp", host_ip, host_port, container_port)


def listen(lab: Lab, web: Endpoint, port: int = 80) -> socket.socket:
    return lab.serve(web.netns_fd, "0.0.0.0", port)


def ip(endpoint: Endpoint) -> str:
    return str(endpoint.address.ip)


def test_containers_reach_each_other(lab: Lab, web: Endpoint, peer: Endpoint) -> None:
    assert lab.connect(peer.netns_fd, ip(web), 80, listen(lab, web)) == ip(peer)


def test_the_host_reaches_a_container_and_back(lab: Lab, bridge: BridgeDriver, web: Endpoint) -> None:
    assert lab.connect(lab.host, ip(web), 80, listen(lab, web)) == str(bridge.address.ip)
    server = lab.serve(lab.host, str(bridge.address.ip), 5000)
    assert lab.connect(web.netns_fd, str(bridge.address.ip), 5000, server) == ip(web)


def test_a_container_reaches_outside_as_the_host(lab: Lab, web: Endpoint) -> None:
    server = lab.serve(lab.outside, NEIGHBOUR, 443)
    assert lab.connect(web.netns_fd, NEIGHBOUR, 443, server) == HOST


def test_a_published_port_is_reached_from_everywhere(
    lab: Lab, bridge: BridgeDriver, ports: HostNetwork, web: Endpoint, peer: Endpoint
) -> None:
    ports.publish(web.address, [tcp(8080)])
    server = listen(lab, web)
    gateway = str(bridge.address.ip)
    assert lab.connect(lab.outside, HOST, 8080, server) == NEIGHBOUR
    assert lab.connect(lab.host, HOST, 8080, server) is not None
    assert lab.connect(lab.host, "127.0.0.1", 8080, server) == gateway
    assert lab.connect(peer.netns_fd, HOST, 8080, server) == gateway
    assert lab.connect(peer.netns_fd, gateway, 8080, server) == gateway


def test_a_container_reaches_its_own_published_port(
    lab: Lab, bridge: BridgeDriver, ports: HostNetwork, web: Endpoint
) -> None:
    ports.publish(web.address, [tcp(8080)])
    assert lab.connect(web.netns_fd, HOST, 8080, listen(lab, web)) == str(bridge.address.ip)


def test_a_port_published_on_loopback_is_the_hosts_alone(
    lab: Lab, bridge: BridgeDriver, ports: HostNetwork, web: Endpoint, peer: Endpoint
) -> None:
    ports.publish(web.address, [tcp(8080, "127.0.0.1")])
    server = listen(lab, web)
    assert lab.connect(lab.host, "127.0.0.1", 8080, server) == str(bridge.address.ip)
    assert lab.connect(lab.outside, HOST, 8080, server) is None
    assert lab.connect(peer.netns_fd, HOST, 8080, server) is None


def test_a_port_published_on_one_address(
    lab: Lab, bridge: BridgeDriver, ports: HostNetwork, web: Endpoint
) -> None:
    ports.publish(web.address, [tcp(8080, HOST)])
    server = listen(lab, web)
    assert lab.connect(lab.outside, HOST, 8080, server) == NEIGHBOUR
    assert lab.connect(lab.host, "127.0.0.1", 8080, server) is None


def test_udp_is_published(lab: Lab, bridge: BridgeDriver, ports: HostNetwork, web: Endpoint) -> None:
    ports.publish(web.address, [PortWish("udp", "", 5353, 53)])
    server = lab.socket_in(web.netns_fd, socket.SOCK_DGRAM)
    server.bind(("0.0.0.0", 53))
    assert lab.ask(lab.outside, HOST, 5353, server) == NEIGHBOUR
    assert lab.ask(lab.host, "127.0.0.1", 5353, server) == str(bridge.address.ip)


def test_a_udp_client_follows_the_port_to_another_container(
    lab: Lab, bridge: BridgeDriver, ports: HostNetwork, web: Endpoint, peer: Endpoint
) -> None:
    """One socket that keeps sending: before there is a container, to the first, and to its successor."""
    servers = {}
    for endpoint in (web, peer):
        servers[endpoint] = lab.socket_in(endpoint.netns_fd, socket.SOCK_DGRAM)
        servers[endpoint].bind(("0.0.0.0", 53))
    other = lab.socket_in(lab.outside, socket.SOCK_DGRAM)
    client = lab.socket_in(lab.outside, socket.SOCK_DGRAM)
    client.sendto(b"anybody?", (HOST, 5353))
    for endpoint in (web, peer):
        ports.publish(endpoint.address, [PortWish("udp", "", 5353, 53)])
        for sender in (client, other):
            sender.sendto(b"hello", (HOST, 5353))
            assert servers[endpoint].recvfrom(16)[0] == b"hello"
        ports.withdraw(endpoint.address)


def test_outside_does_not_reach_what_is_not_published(
    lab: Lab, bridge: BridgeDriver, ports: HostNetwork, web: Endpoint
) -> None:
    """Nor a published port by the container's own address. Without our rules both are open: the test can fail."""
    ports.publish(web.address, [tcp(8080)])
    published, private = listen(lab, web), listen(lab, web, 81)
    assert lab.connect(lab.outside, ip(web), 81, private) is None
    assert lab.connect(lab.outside, ip(web), 80, published) is None
    run("nft flush chain ip wherry forwarded")
    assert lab.connect(lab.outside, ip(web), 81, private) == NEIGHBOUR
    assert ports.put_back()
    assert lab.connect(lab.outside, ip(web), 81, private) is None


def send_loopback_out(place: int, gateway: str, device: str) -> None:
    """Make a namespace send packets for 127.0.0.1 over the cable, as an attacker would."""
    write_inside(place, f"net/ipv4/conf/{device}/route_localnet", "1")
    with netns.inside(place):
        run("ip address delete 127.0.0.1/8 dev lo")
        run(f"ip route add 127.0.0.0/8 via {gateway}")


def test_a_neighbour_does_not_reach_the_hosts_loopback(
    lab: Lab, bridge: BridgeDriver, ports: HostNetwork, web: Endpoint
) -> None:
    """moby 45610: a port published on 127.0.0.1, asked for by a host on the same link."""
    ports.publish(web.address, [tcp(8080, "127.0.0.1")])
    server = listen(lab, web)
    send_loopback_out(lab.outside, HOST, "far")
    assert lab.connect(lab.outside, "127.0.0.1", 8080, server) is None
    run("nft flush chain ip wherry loopback_guard")
    assert lab.connect(lab.outside, "127.0.0.1", 8080, server) is None
    run("nft add rule ip wherry from_outside meta l4proto tcp jump published_ports")
    assert lab.connect(lab.outside, "127.0.0.1", 8080, server) == NEIGHBOUR


def test_a_container_does_not_reach_the_hosts_loopback(lab: Lab, bridge: BridgeDriver, web: Endpoint) -> None:
    """CVE-2020-8558: a service on the host's 127.0.0.1, and a container that may change its routes."""
    server = lab.serve(lab.host, "127.0.0.1", 6379)
    send_loopback_out(web.netns_fd, str(bridge.address.ip), "eth0")
    assert lab.connect(web.netns_fd, "127.0.0.1", 6379, server) is None
    run("nft flush chain ip wherry loopback_guard")
    assert lab.connect(web.netns_fd, "127.0.0.1", 6379, server) is None
    run("tc qdisc delete dev wherry0 clsact")
    assert lab.connect(web.netns_fd, "127.0.0.1", 6379, server) == ip(web)


def test_a_bridge_that_is_called_otherwise_is_as_shut_as_before(
    lab: Lab, bridge: BridgeDriver, ports: HostNetwork, web: Endpoint
) -> None:
    ports.publish(web.address, [tcp(8080)])
    run("ip link set wherry0 down && ip link set wherry0 name other && ip link set other up")
    assert eventually(lambda: "state UP" in run("ip link show dev other"))
    server = listen(lab, web)
    assert lab.connect(lab.outside, ip(web), 80, server) is None
    assert lab.connect(lab.outside, HOST, 8080, server) == NEIGHBOUR
    run("ip link set other down && ip link set other name wherry0")


def test_an_unpublished_port_is_closed_again(
    lab: Lab, bridge: BridgeDriver, ports: HostNetwork, web: Endpoint
) -> None:
    ports.publish(web.address, [tcp(8080)])
    server = listen(lab, web)
    ports.withdraw(web.address)
    ports.withdraw(web.address)
    assert lab.connect(lab.host, "127.0.0.1", 8080, server) is None
    own = lab.serve(lab.host, "0.0.0.0", 8080)
    assert lab.connect(lab.outside, HOST, 8080, own) == NEIGHBOUR


def test_neither_end_speaks_ipv6(lab: Lab, web: Endpoint) -> None:
    assert sysctl.read(f"net/ipv6/conf/{web.host_interface}/disable_ipv6") == "1"
    with netns.inside(web.netns_fd):
        assert "inet6" not in run("ip address show dev eth0")
        assert "inet6 ::1" in run("ip address show dev lo")
        assert sysctl.read("net/ipv6/conf/default/disable_ipv6") == "0"


def test_the_bridge_keeps_its_mac(lab: Lab, bridge: BridgeDriver, web: Endpoint, peer: Endpoint) -> None:
    assert "02:42:ac:11:00:01" in run("ip link show dev wherry0")
    assert web.mac == "02:42:ac:11:00:03"
    with netns.inside(web.netns_fd):
        assert web.mac in run("ip link show dev eth0")


def test_a_mac_of_choice(lab: Lab, bridge: BridgeDriver) -> None:
    endpoint = bridge.make(EndpointWish(mac=bytes.fromhex("0a0000000001")))
    with netns.inside(endpoint.netns_fd):
        assert "0a:00:00:00:00:01" in run("ip link show dev eth0")
    bridge.release(endpoint.endpoint_id)


class TestClashes:
    """The texts are dockerd 28.5.2's; it names the address that holds the port, not the one that wants it."""

    @pytest.mark.parametrize(
        ("held", "wanted", "named"),
        [("", "", "0.0.0.0"), ("", "127.0.0.1", "0.0.0.0"), ("127.0.0.1", "", "127.0.0.1")],
    )
    def test_with_another_container(
        self,
        bridge: BridgeDriver,
        ports: HostNetwork,
        web: Endpoint,
        peer: Endpoint,
        held: str,
        wanted: str,
        named: str,
    ) -> None:
        ports.publish(web.address, [tcp(8080, held)])
        with pytest.raises(Internal) as raised:
            ports.publish(peer.address, [tcp(8080, wanted)])
        assert raised.value.message == f"Bind for {named}:8080 failed: port is already allocated"
        assert ports.publish(peer.address, [PortWish("udp", "", 8080, 80)])

    def test_on_two_addresses_there_is_none(
        self, bridge: BridgeDriver, ports: HostNetwork, web: Endpoint, peer: Endpoint
    ) -> None:
        ports.publish(web.address, [tcp(8080, "127.0.0.1")])
        assert ports.publish(peer.address, [tcp(8080, HOST)])

    def test_with_a_process(self, lab: Lab, bridge: BridgeDriver, ports: HostNetwork, web: Endpoint) -> None:
        lab.serve(lab.host, "127.0.0.1", 8080)
        with pytest.raises(Internal) as raised:
            ports.publish(web.address, [tcp(8080)])
        text = f"failed to bind host port for 0.0.0.0:8080:{ip(web)}:80/tcp: address already in use"
        assert raised.value.message == text

    def test_with_an_address_of_nobody(self, bridge: BridgeDriver, ports: HostNetwork, web: Endpoint) -> None:
        with pytest.raises(Internal, match=r": cannot assign requested address$"):
            ports.publish(web.address, [tcp(8080, "203.0.113.9")])

    def test_all_or_nothing(
        self, lab: Lab, bridge: BridgeDriver, ports: HostNetwork, web: Endpoint, peer: Endpoint
    ) -> None:
        ports.publish(web.address, [tcp(8081)])
        with pytest.raises(Internal):
            ports.publish(peer.address, [tcp(8080), tcp(8081)])
        assert ports.publish(web.address, [tcp(8080)])[0].host_port == 8080

    def test_a_process_cannot_take_a_published_port(
        self, lab: Lab, bridge: BridgeDriver, ports: HostNetwork, web: Endpoint
    ) -> None:
        ports.publish(web.address, [tcp(8080), PortWish("udp", "", 8080, 80)])
        with pytest.raises(OSError, match="in use"):
            lab.serve(lab.host, "0.0.0.0", 8080)
        with pytest.raises(OSError, match="in use"):
            lab.socket_in(lab.host, socket.SOCK_DGRAM).bind(("127.0.0.1", 8080))

    def test_sctp_and_ipv6_are_refused(self, bridge: BridgeDriver, ports: HostNetwork, web: Endpoint) -> None:
        with pytest.raises(InvalidArgument, match="only tcp and udp"):
            ports.publish(web.address, [PortWish("sctp", "", 1, 1)])
        with pytest.raises(InvalidArgument, match="not an IPv4 address"):
            ports.publish(web.address, [tcp(8080, "::1")])


class TestFreePorts:
    def test_come_from_the_kernels_range(
        self, bridge: BridgeDriver, ports: HostNetwork, web: Endpoint
    ) -> None:
        sysctl.write("net/ipv4/ip_local_port_range", "40000 40002")
        numbers = [ports.publish(web.address, [tcp(0)])[0].host_port for _ in range(3)]
        assert sorted(numbers) == [40000, 40001, 40002]
        with pytest.raises(Internal, match="all ports are allocated"):
            ports.publish(web.address, [tcp(0)])

    def test_skip_what_processes_hold(
        self, lab: Lab, bridge: BridgeDriver, ports: HostNetwork, web: Endpoint
    ) -> None:
        sysctl.write("net/ipv4/ip_local_port_range", "40000 40001")
        lab.serve(lab.host, "0.0.0.0", 40000)
        assert ports.publish(web.address, [tcp(0)]) == (PublishedPort("tcp", "0.0.0.0", 40001, 80, ip(web)),)

    def test_of_a_range(self, bridge: BridgeDriver, ports: HostNetwork, web: Endpoint) -> None:
        wanted = PortWish("tcp", "", 7000, 80, host_port_end=7001)
        assert [ports.publish(web.address, [wanted])[0].host_port for _ in range(2)] == [7000, 7001]
        with pytest.raises(Internal, match="all ports are allocated"):
            ports.publish(web.address, [wanted])


class TestDaemonRestart:
    """A second daemon's network takes over what a first one left, which ended with its endpoint in use."""

    def test_ports_stay_and_are_held_again(self, lab: Lab) -> None:
        first = open_stack()
        first.ports.reconcile()
        web = first.bridge.make()
        published = first.ports.publish(web.address, [tcp(8080)])
        held = os.dup(web.netns_fd)  # as the container's processes do
        first.close()
        server = lab.serve(held, "0.0.0.0", 80)
        assert lab.connect(lab.outside, HOST, 8080, server) == NEIGHBOUR

        second = open_stack()
        assert not second.bridge.created
        web = second.bridge.adopt(web.attachment)
        second.ports.adopt(web.address, published)
        second.ports.reconcile()
        assert lab.connect(lab.outside, HOST, 8080, server) == NEIGHBOUR
        with pytest.raises(OSError, match="in use"):
            lab.serve(lab.host, "0.0.0.0", 8080)
        other = second.bridge.make()
        assert other.address != web.address
        with pytest.raises(Internal, match="already allocated"):
            second.ports.publish(other.address, [tcp(8080)])
        second.bridge.release(other.endpoint_id)
        second.ports.unpublish(published)
        second.ports.unpublish(published)
        second.bridge.release(web.endpoint_id)
        second.bridge.release(web.endpoint_id)
        assert lab.connect(lab.host, "127.0.0.1", 8080, server) is None
        server.close()
        os.close(held)
        second.close()

    def test_ports_stay_when_the_tables_change_before_they_are_taken_over(self, lab: Lab) -> None:
        first = open_stack()
        first.ports.reconcile()
        web = first.bridge.make()
        first.ports.publish(web.address, [tcp(8080)])
        first.close()
        second = open_stack()
        second.ports.add_network("front", NetworkFacts(77, ()))
        assert not second.ports.put_back()
        assert "8080" in run("nft list table ip wherry")
        second.ports.reconcile()
        second.close()

    def test_what_nobody_owns_is_withdrawn(self, lab: Lab) -> None:
        first = open_stack()
        first.ports.reconcile()
        web = first.bridge.make()
        first.ports.publish(web.address, [tcp(8080)])
        first.close()
        assert "8080" in run("nft list table ip wherry")
        second = open_stack()
        second.ports.reconcile()
        assert "8080" not in run("nft list table ip wherry")
        second.close()


def test_two_engines_side_by_side(lab: Lab, bridge: BridgeDriver, ports: HostNetwork, web: Endpoint) -> None:
    with pytest.raises(Unavailable, match="another engine uses it"):
        open_bridge("wherry0")
    second = open_stack("other")
    second.ports.reconcile()
    assert second.bridge.address.network != bridge.address.network
    neighbour = second.bridge.make()
    server = listen(lab, web)
    assert lab.connect(neighbour.netns_fd, ip(web), 80, server) is None
    ports.publish(web.address, [tcp(8080)])
    assert lab.connect(neighbour.netns_fd, HOST, 8080, server) is not None
    second.bridge.release(neighbour.endpoint_id)
    second.close()
    assert lab.connect(lab.outside, HOST, 8080, server) == NEIGHBOUR


class TestTwoNetworksOfOneDaemon:
    """One table for both, whenever the second comes and goes."""

    @pytest.fixture
    def other(self, bridge: BridgeDriver, ports: HostNetwork) -> Iterator[BridgeDriver]:
        made = open_bridge("front0", name="front", pool_size=1)
        ports.add_network("front", made.facts())
        yield made
        ports.remove_network("front")
        made.close(remove=True)

    def test_are_apart(self, lab: Lab, web: Endpoint, other: BridgeDriver) -> None:
        stranger = other.make()
        assert stranger.network == "front"
        server = listen(lab, web)
        assert lab.connect(stranger.netns_fd, ip(web), 80, server) is None
        assert lab.connect(web.netns_fd, ip(stranger), 80, listen(lab, stranger)) is None
        lab.close()
        other.release(stranger.endpoint_id)

    def test_reach_each_other_by_published_ports(
        self, lab: Lab, ports: HostNetwork, web: Endpoint, other: BridgeDriver
    ) -> None:
        stranger = other.make()
        ports.publish(web.address, [tcp(8080)])
        ports.publish(stranger.address, [tcp(8081)])
        server, strange = listen(lab, web), listen(lab, stranger)
        assert lab.connect(stranger.netns_fd, HOST, 8080, server) is not None
        assert lab.connect(web.netns_fd, HOST, 8081, strange) is not None
        assert lab.connect(lab.outside, HOST, 8081, strange) == NEIGHBOUR
        tables = run("nft list tables").splitlines()
        assert [table for table in tables if "_has_" not in table] == ["table ip wherry"]
        lab.close()
        ports.withdraw(stranger.address)
        other.release(stranger.endpoint_id)

    def test_a_port_is_published_once(self, ports: HostNetwork, web: Endpoint, other: BridgeDriver) -> None:
        stranger = other.make()
        ports.publish(web.address, [tcp(8080)])
        with pytest.raises(Internal, match="already allocated"):
            ports.publish(stranger.address, [tcp(8080)])
        other.release(stranger.endpoint_id)

    def test_ports_outlast_a_network_that_goes(
        self, lab: Lab, bridge: BridgeDriver, ports: HostNetwork, web: Endpoint
    ) -> None:
        ports.publish(web.address, [tcp(8080)])
        second = open_bridge("front0", name="front", pool_size=1)
        ports.add_network("front", second.facts())
        assert "front0" in run("nft list table ip wherry")
        ports.remove_network("front")
        second.close(remove=True)
        assert "front0" not in run("nft list table ip wherry")
        assert lab.connect(lab.outside, HOST, 8080, listen(lab, web)) == NEIGHBOUR


def test_some_of_an_endpoints_ports_are_withdrawn(lab: Lab, ports: HostNetwork, web: Endpoint) -> None:
    first, second = ports.publish(web.address, [tcp(8080), tcp(8081)])
    ports.unpublish([first])
    assert set(ports.counts()) == {second}
    assert (ports.has(first), ports.has(second)) == (False, True)
    lab.serve(lab.host, "0.0.0.0", 8080)


def test_a_stale_undo_leaves_the_next_owners_port(
    bridge: BridgeDriver, ports: HostNetwork, web: Endpoint, peer: Endpoint
) -> None:
    """The host's port is the map's key: who withdraws twice must not withdraw what another has by now."""
    published = ports.publish(web.address, [tcp(8080)])
    ports.unpublish(published)
    [again] = ports.publish(peer.address, [tcp(8080)])
    ports.unpublish(published)
    assert set(ports.counts()) == {again}


def test_a_record_is_enough_to_release(bridge: BridgeDriver) -> None:
    """Whoever has only what was recorded gives back all of it, the descriptor too: the host fixture counts them."""
    endpoint = bridge.make()
    assert bridge.has(endpoint.attachment)
    assert bridge.held(endpoint.endpoint_id) is endpoint
    bridge.release(endpoint.attachment.endpoint_id)
    assert bridge.held(endpoint.endpoint_id) is None
    assert eventually(lambda: not bridge.has(endpoint.attachment))


def test_an_interface_called_otherwise(bridge: BridgeDriver) -> None:
    endpoint = bridge.make(EndpointWish(inside="eth1"))
    assert endpoint.inside == "eth1"
    with netns.inside(endpoint.netns_fd):
        assert interfaces() == {"lo", "eth1"}
    bridge.release(endpoint.endpoint_id)


def test_an_existing_bridge_is_used_and_left(host: int) -> None:
    run("ip link add mine type bridge && ip address add 10.99.0.1/24 dev mine")
    made = open_bridge("mine", pool_size=1, ours=False)
    assert (made.created, str(made.address)) == (False, "10.99.0.1/24")
    made.close(remove=True)
    assert "mine" in interfaces()
    assert run("tc filter show dev mine ingress") == ""
    assert sysctl.read("net/ipv4/conf/mine/route_localnet") == "0"
    run("ip link delete mine")


def test_an_interface_of_another_kind_is_refused(host: int) -> None:
    run("ip link add odd type veth peer name even")
    with pytest.raises(Unavailable, match="not a bridge"):
        open_bridge("odd")
    run("ip link delete odd")


def test_what_cannot_be_had_whole_leaves_nothing(host: int) -> None:
    """However many descriptors there are before there are none: no bridge, no endpoint and no descriptor stays."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held, failures, made = network_descriptors(), 0, None
    while made is None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (failures + 3, hard))
        try:
            made = open_bridge("wherry0", pool_size=1)
        except OSError as error:
            failures += 1
            assert error.errno == errno.EMFILE
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if made is None:
            assert eventually(lambda: interfaces() == {"lo"}), interfaces()
            assert network_descriptors() == held
    assert failures > 5
    made.close(remove=True)


BIP = IPv4Interface("10.1.0.1/24")
LINK = Link(3, "wherry0", True, True, b"", 0, "bridge")


def test_the_plan_avoids_the_hosts_networks() -> None:
    assert str(plan_bridge(None, [], [], None).address) == "172.17.0.1/16"
    taken = [IPv4Network("172.16.0.0/12"), IPv4Network("192.168.3.0/24"), IPv4Network("0.0.0.0/0")]
    assert str(plan_bridge(None, [], taken, None).address) == "192.168.16.1/20"


def test_the_plan_keeps_or_replaces_an_address() -> None:
    there = IPv4Interface("172.18.0.1/16")
    kept = plan_bridge(LINK, [there], [], None)
    assert (kept.address, kept.add, kept.remove) == (there, False, ())
    changed = plan_bridge(LINK, [there], [], BIP)
    assert (changed.address, changed.add, changed.remove) == (BIP, True, (there,))
    same = plan_bridge(LINK, [BIP], [], BIP)
    assert (same.add, same.remove) == (False, ())
