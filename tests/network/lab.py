"""A small network to test in: a host (a namespace of its own), its neighbour outside, and containers' namespaces.

A socket belongs to the namespace that it was made in, so one process can speak from all of them.
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Interface
from pathlib import Path

from tests.harness.waiting import eventually
from wherry.linux import netns, sysctl
from wherry.network.driver import Network, NetworkOptions, Recorder
from wherry.network.drivers.bridge.driver import BridgeDriver
from wherry.network.firewall import table_name
from wherry.network.host import HostNetwork
from wherry.network.link import Links, set_up

HOST = "192.0.2.1"
NEIGHBOUR = "192.0.2.2"
PATIENCE = 0.4  # seconds until a silent connection counts as dropped


def run(command: str) -> str:
    """Run a command in the namespace of this thread."""
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def interfaces() -> set[str]:
    links = Links()
    try:
        return {link.name for link in links.all()}
    finally:
        links.close()


def network_descriptors() -> int:
    """How many descriptors of network namespaces this process holds."""
    names = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            names.append(os.readlink(f"/proc/self/fd/{fd}"))
        except OSError:
            continue
    return sum(name.startswith("net:") for name in names)


def write_inside(fd: int, key: str, value: str) -> None:
    with netns.inside(fd):
        sysctl.write(key, value)


@dataclass
class Lab:
    """The namespace of the test's thread is the host's."""

    host: int
    outside: int
    _open: list[socket.socket] = field(default_factory=list)

    def socket_in(self, place: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
        with netns.inside(place):
            made = socket.socket(socket.AF_INET, kind)
        made.settimeout(PATIENCE)
        self._open.append(made)
        return made

    def serve(self, place: int, address: str, port: int) -> socket.socket:
        server = self.socket_in(place)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        server.listen()
        return server

    def connect(self, place: int, address: str, port: int, server: socket.socket) -> str | None:
        """Have a client connect and speak; the client's address as the server saw it, or None."""
        client = self.socket_in(place)
        try:
            client.connect((address, port))
            connection, (seen, _) = server.accept()
        except OSError:
            return None
        finally:
            self._open.remove(client)
        with client, connection:
            connection.settimeout(PATIENCE)
            client.sendall(b"ping")
            assert connection.recv(16) == b"ping"
            connection.sendall(b"pong")
            assert client.recv(16) == b"pong"
        return str(seen)

    def ask(self, place: int, address: str, port: int, server: socket.socket) -> str | None:
        """The same with one datagram each way."""
        client = self.socket_in(place, socket.SOCK_DGRAM)
        try:
            client.connect((address, port))
            client.send(b"ping")
            data, seen = server.recvfrom(16)
            server.sendto(data, seen)
            assert client.recv(16) == b"ping"
            return str(seen[0])
        except OSError:
            return None

    def close(self) -> None:
        while self._open:
            self._open.pop().close()


def open_bridge(
    interface: str,
    address: str = "",
    *,
    name: str = "bridge",
    pool_size: int = 8,
    ours: bool = True,
    record: Recorder = lambda interface: None,
) -> BridgeDriver:
    network = Network(name, "bridge", "f00d", "2024-01-01T00:00:00Z")
    wished = IPv4Interface(address) if address else None
    return BridgeDriver(network, NetworkOptions(interface, wished, ours=ours, pool_size=pool_size), record)


@dataclass
class Stack:
    """A daemon's network: a bridge, and the host's part of it."""

    bridge: BridgeDriver
    ports: HostNetwork

    def close(self) -> None:
        """As a daemon does when it ends: what is in use stays."""
        in_use = self.bridge.in_use
        self.bridge.close(remove=True)
        self.ports.close(remove=not in_use)


def open_stack(interface: str = "wherry0", *, pool_size: int = 1) -> Stack:
    """Not reconciled as yet."""
    bridge, ports = open_bridge(interface, pool_size=pool_size), HostNetwork(table_name(interface))
    ports.add_network("bridge", bridge.facts())
    return Stack(bridge, ports)


def raise_loopback() -> None:
    links = Links()
    links.send(set_up(1))
    links.close()


@contextmanager
def private_host() -> Iterator[int]:
    """Put the calling thread into a new network namespace; nothing may be left in it at the end."""
    home, threads, held = netns.current(), threading.active_count(), network_descriptors() + 1
    netns.leave_for_new()
    host = netns.current()
    try:
        raise_loopback()
        yield host
        assert eventually(lambda: interfaces() == {"lo"}), interfaces()
        assert run("nft list ruleset") == ""
        assert network_descriptors() == held
        assert threading.active_count() == threads
    finally:
        netns.enter(home)
        os.close(host)
        os.close(home)


@contextmanager
def neighbourhood() -> Iterator[Lab]:
    """A host with a neighbour that knows the way to containers, as one on the same cable could."""
    with private_host() as host:
        outside, _ = netns.create(raise_loopback, host)
        run(f"ip link add cable type veth peer name far netns /proc/{os.getpid()}/fd/{outside}")
        run(f"ip address add {HOST}/24 dev cable && ip link set cable up")
        with netns.inside(outside):
            run(
                f"ip address add {NEIGHBOUR}/24 dev far && ip link set far up && ip route add default via {HOST}"
            )
        assert eventually(lambda: "state UP" in run("ip link show dev cable"))
        lab = Lab(host, outside)
        try:
            yield lab
        finally:
            lab.close()
            run("ip link delete cable")
            os.close(outside)


def repository() -> Path:
    return Path(__file__).parents[2]


def let_go(bridge: BridgeDriver) -> None:
    """Release all endpoints that are in use, so that the bridge may be removed."""
    for endpoint_id in list(bridge._endpoints):
        bridge.release(endpoint_id)
