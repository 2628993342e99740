"""Our own nftables table: address translation for bridges and their published ports. nft(8), netfilter.

The table is computed from data and loaded whole, in one transaction; ports are elements of two maps, so that
publishing one costs the same whether there are ten or ten thousand. Chains and tables of others are never
touched: where the host's own policy drops forwarded packets, it wins.

What the rules are for:

* packets to 127.0.0.0/8 that come from elsewhere, and from a container with such a source, are dropped before
  anything else sees them (CVE-2020-8558): ``route_localnet`` on the bridge is safe only with that;
* a port published on 127.0.0.1 works from the host: such packets get the bridge's address as source;
* a container reaches its own, or a neighbour's, published port by the host's address (hairpin);
* what is new, from outside, and was not translated by a published port, does not enter a bridge.
"""

from __future__ import annotations

import errno
import hashlib
import re
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from wherry.errors import InvalidArgument, Unavailable
from wherry.linux import nftables
from wherry.linux.nftables import Count, MapElement, Tables

INTERFACE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")
ANY = IPv4Address(0)
PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}
PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}
BY_ADDRESS, BY_PORT = "published", "published_any"  # keyed by host address, protocol, port; by protocol, port
MAPS = {
    BY_ADDRESS: "ipv4_addr . inet_proto . inet_service",
    BY_PORT: "inet_proto . inet_service",
}


@dataclass(frozen=True, slots=True)
class Bridge:
    """What the rules need to know of a network."""

    name: str
    subnet: IPv4Network
    masquerade: bool = True
    between_containers: bool = True  # Docker's enable_icc


@dataclass(frozen=True, slots=True)
class Forwarding:
    """One published port: what arrives at the host's address and port goes to the container's."""

    proto: str
    host_ip: IPv4Address  # 0.0.0.0: any address of the host
    host_port: int
    container_ip: IPv4Address
    container_port: int


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain: where it hooks in ("" for one that others jump to), and its rules, in nft's language."""

    name: str
    hook: str
    rules: tuple[str, ...]


def table_name(bridge: str) -> str:
    """The table of the daemon whose default bridge is so called: several daemons may share a host."""
    return "wherry" if bridge == "wherry0" else "wherry_" + re.sub(r"\W", "_", bridge)


def check_interface_name(name: str) -> str:
    """InvalidArgument unless it can be a Linux interface's name (and stand in a rule)."""
    if not INTERFACE_NAME.fullmatch(name):
        raise InvalidArgument(f"invalid interface name {name!r}: up to 15 letters, digits, '_', '.' or '-'")
    return name


def chains(bridges: Sequence[Bridge]) -> tuple[Chain, ...]:
    """The whole policy, as data."""
    translate = (
        f"dnat ip to ip daddr . meta l4proto . th dport map @{BY_ADDRESS}",
        f"fib daddr type local dnat ip to meta l4proto . th dport map @{BY_PORT}",
    )
    jump = ("meta l4proto { tcp, udp } jump published_ports",)
    return (
        Chain("loopback_guard", "type filter hook prerouting priority raw", guard_rules(bridges)),
        Chain("published_ports", "", translate),
        Chain("from_outside", "type nat hook prerouting priority dstnat", jump),
        Chain("from_host", "type nat hook output priority -100", jump),
        Chain("leaving", "type nat hook postrouting priority srcnat", each(bridges, masquerade_rules)),
        Chain("forwarded", "type filter hook forward priority filter", each(bridges, forward_rules)),
    )


def each(bridges: Sequence[Bridge], rules: Callable[[Bridge], Iterable[str]]) -> tuple[str, ...]:
    return tuple(rule for bridge in bridges for rule in rules(bridge))


def guard_rules(bridges: Sequence[Bridge]) -> tuple[str, ...]:
    forged = (f'iifname "{bridge.name}" ip saddr 127.0.0.0/8 drop' for bridge in bridges)
    return ('iifname != "lo" ip daddr 127.0.0.0/8 drop', *forged)


def masquerade_rules(bridge: Bridge) -> Iterable[str]:
    if bridge.masquerade:
        yield f'ip saddr {bridge.subnet} oifname != "{bridge.name}" masquerade'
    yield f'ip saddr {bridge.subnet} oifname "{bridge.name}" ct status dnat masquerade'
    yield f'ip saddr 127.0.0.0/8 oifname "{bridge.name}" masquerade'


def forward_rules(bridge: Bridge) -> Iterable[str]:
    into = f'oifname "{bridge.name}"'
    yield f"{into} ct state established,related accept"
    yield f"{into} ct status dnat accept"
    if bridge.between_containers:
        yield f'{into} iifname "{bridge.name}" accept'
    yield f"{into} drop"


def render(table: str, bridges: Sequence[Bridge], published: Iterable[Forwarding]) -> str:
    """nft commands that put the table in place of whatever has its name, with its elements."""
    policy = chains(bridges)
    forwardings = list(published)
    lines = [f"add table ip {table}", f"delete table ip {table}", f"table ip {table} {{"]
    lines.append(f'comment "{fingerprint(bridges)}"')
    for name in MAPS:
        lines += render_map(name, [f for f in forwardings if map_of(f) == name])
    for chain in policy:
        lines += [
            f"chain {chain.name} {{",
            *([f"{chain.hook}; policy accept;"] if chain.hook else ()),
            *chain.rules,
            "}",
        ]
    return "\n".join([*lines, "}", ""])


def render_map(name: str, forwardings: Sequence[Forwarding]) -> list[str]:
    lines = [f"map {name} {{", f"type {MAPS[name]} : ipv4_addr . inet_service", "counter"]
    if forwardings:
        lines.append("elements = { " + ", ".join(render_element(f) for f in forwardings) + " }")
    return [*lines, "}"]


def render_element(f: Forwarding) -> str:
    address = "" if f.host_ip == ANY else f"{f.host_ip} . "
    return f"{address}{f.proto} . {f.host_port} : {f.container_ip} . {f.container_port}"


def fingerprint(bridges: Sequence[Bridge]) -> str:
    """Names the policy in the table's comment, so that a table of another version is seen to be one."""
    return "wherry " + hashlib.sha256(repr(chains(bridges)).encode()).hexdigest()[:16]


def map_of(f: Forwarding) -> str:
    return BY_PORT if f.host_ip == ANY else BY_ADDRESS


def encode(f: Forwarding) -> tuple[str, MapElement]:
    """The map and element of a published port, as the kernel has them."""
    address = b"" if f.host_ip == ANY else f.host_ip.packed
    key = (
        address
        + nftables.field(bytes((PROTOCOLS[f.proto],)))
        + nftables.field(f.host_port.to_bytes(2, "big"))
    )
    return map_of(f), MapElement(
        key, f.container_ip.packed + nftables.field(f.container_port.to_bytes(2, "big"))
    )


def decode(map_name: str, element: MapElement) -> Forwarding:
    host_ip, key = (
        (ANY, element.key) if map_name == BY_PORT else (IPv4Address(element.key[:4]), element.key[4:])
    )
    return Forwarding(
        proto=PROTOCOL_NAMES.get(key[0], str(key[0])),
        host_ip=host_ip,
        host_port=int.from_bytes(key[4:6], "big"),
        container_ip=IPv4Address(element.value[:4]),
        container_port=int.from_bytes(element.value[4:6], "big"),
    )


class Firewall:
    """The table of one daemon, in the network namespace that the thread was in when this was made.

    Safe to call from several threads. What is published is kept here too, and put back with the table.
    """

    def __init__(self, table: str, bridges: Sequence[Bridge]) -> None:
        self.table = table
        self._bridges = tuple(bridges)
        self._rules = sum(len(chain.rules) for chain in chains(bridges))
        self._fingerprint = fingerprint(bridges).encode()
        self._published: set[Forwarding] = set()
        self._tables = Tables()
        self._lock = threading.RLock()

    def close(self) -> None:
        self._tables.close()

    def intact(self) -> bool:
        """Whether the table is there, of this version, with all its rules."""
        comment = self._tables.comment(self.table)
        if comment is None or self._fingerprint not in comment:
            return False
        return self._tables.count_rules(self.table) == self._rules

    def ensure(self) -> bool:
        """Build the table anew, with what is published, unless it is intact; whether it had to be.

        Unavailable where that cannot be done.
        """
        with self._lock:
            if self.intact():
                return False
            try:
                nftables.load(render(self.table, self._bridges, sorted(self._published, key=repr)))
            except OSError as error:
                raise Unavailable(f"cannot load the firewall's table {self.table}: {error}") from None
            return True

    def reconcile(self, published: Iterable[Forwarding]) -> list[Forwarding]:
        """Make the table hold exactly these ports; those that it held beside them, which are gone now."""
        with self._lock:
            self._published = set(published)
            if self.ensure():
                return []
            present = set(self.counts())
            stale = present - self._published
            self._tables.delete(self.table, [encode(f) for f in stale])
            self._add([encode(f) for f in self._published - present])
            return sorted(stale, key=repr)

    def publish(self, forwardings: Sequence[Forwarding]) -> None:
        """Translate these ports from now on: all or, on an error, none."""
        with self._lock:
            self._published.update(forwardings)
            try:
                self._add([encode(f) for f in forwardings])
            except BaseException:
                self._published.difference_update(forwardings)
                raise

    def _add(self, elements: Sequence[tuple[str, MapElement]]) -> None:
        try:
            self._tables.add(self.table, elements)
        except FileNotFoundError:
            self.ensure()
        except OSError as error:
            if error.errno not in (errno.EBUSY, errno.EEXIST):
                raise
            self._tables.replace(self.table, elements)

    def unpublish(self, forwardings: Sequence[Forwarding]) -> None:
        """Translate them no more; ports that are not published are fine."""
        with self._lock:
            self._published.difference_update(forwardings)
            self._tables.delete(self.table, [encode(f) for f in forwardings])

    def counts(self) -> dict[Forwarding, Count]:
        """What is published according to the kernel, with the connections (first packets) that each port got."""
        return {
            decode(name, element): count
            for name in MAPS
            for element, count in self._tables.elements(self.table, name).items()
        }

    def remove(self) -> None:
        """Take the whole table away."""
        with self._lock:
            self._tables.delete_table(self.table)
