"""Our own nftables table: address translation for networks and published ports. nft(8), netfilter.

The table is computed from data and loaded whole, in one transaction; ports are elements of two maps, so that
publishing one costs the same whether there are ten or ten thousand. Chains and tables of others are never
touched: where the host's own policy drops forwarded packets, it wins.

What the rules are for:

* a port published on 127.0.0.1 works from the host: such packets get the host's address on the network as source, and
  answers to them are marked, as an interface's own filter lets nothing else through to 127.0.0.0/8
  (``drivers.bridge.guard``). Here it is dropped once more, from wherever it comes;
* a container reaches its own, or a neighbour's, published port by the host's address (hairpin);
* what is new, from outside, and was not translated by a published port, does not enter a network.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from wherry.errors import InvalidArgument, Unavailable, sentence
from wherry.linux import nftables
from wherry.linux.nftables import Count, MapElement, Tables
from wherry.network.ports import ANY, PublishedPort

log = logging.getLogger(__name__)

INTERFACE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")
PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}
PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}
ANSWER_MARK = 0x77686572  # of a packet that netfilter has translated back to 127.0.0.0/8
BY_ADDRESS, BY_PORT = "published", "published_any"  # keyed by host address, protocol, port; by protocol, port
MAPS = {
    BY_ADDRESS: "ipv4_addr . inet_proto . inet_service",
    BY_PORT: "inet_proto . inet_service",
}


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """What the rules need to know of a network."""

    interface: (
        int  # of the host, that all its packets go through; by index, as somebody may call it otherwise
    )
    subnets: tuple[IPv4Network, ...]
    masquerade: bool = True
    between_containers: bool = True  # Docker's enable_icc
    loopback: bool = True  # the host's 127.0.0.0/8 can be translated to it


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain: where it hooks in ("" for one that others jump to), and its rules, in nft's language."""

    name: str
    hook: str
    rules: tuple[str, ...]


def table_name(interface: str) -> str:
    """The table of the daemon whose default network rests on this interface: several daemons may share a host."""
    return "wherry" if interface == "wherry0" else "wherry_" + re.sub(r"\W", "_", interface)


def check_interface_name(name: str) -> str:
    """InvalidArgument unless it can be a Linux interface's name (and stand in a rule)."""
    if not INTERFACE_NAME.fullmatch(name):
        raise InvalidArgument(f"invalid interface name {name!r}: up to 15 letters, digits, '_', '.' or '-'")
    return name


def chains(networks: Sequence[NetworkFacts]) -> tuple[Chain, ...]:
    """The whole policy, as data."""
    translate = (
        f"dnat ip to ip daddr . meta l4proto . th dport map @{BY_ADDRESS}",
        f"fib daddr type local dnat ip to meta l4proto . th dport map @{BY_PORT}",
    )
    jump = "meta l4proto { tcp, udp } jump published_ports"
    return (
        Chain("loopback_guard", "type filter hook prerouting priority raw", guard_rules(networks)),
        Chain("published_ports", "", translate),
        Chain(
            "from_outside", "type nat hook prerouting priority dstnat", (f"ip daddr != 127.0.0.0/8 {jump}",)
        ),
        Chain("answers", "type filter hook prerouting priority dstnat + 1", each(networks, answer_rules)),
        Chain("from_host", "type nat hook output priority -100", (jump,)),
        Chain("leaving", "type nat hook postrouting priority srcnat", each(networks, masquerade_rules)),
        Chain("forwarded", "type filter hook forward priority filter", each(networks, forward_rules)),
    )


def each(networks: Sequence[NetworkFacts], rules: Callable[[NetworkFacts], Iterable[str]]) -> tuple[str, ...]:
    """The rules of every network, one after the other."""
    return tuple(rule for network in networks for rule in rules(network))


def guard_rules(networks: Sequence[NetworkFacts]) -> tuple[str, ...]:
    forged = (f"iif {network.interface} ip saddr 127.0.0.0/8 drop" for network in networks)
    return ('iifname != "lo" ip daddr 127.0.0.0/8 drop', *forged)


def answer_rules(network: NetworkFacts) -> Iterable[str]:
    if network.loopback:
        answers = "ip daddr 127.0.0.0/8 ct direction reply ct status snat"
        yield f"iif {network.interface} {answers} meta mark set {ANSWER_MARK:#x}"


def masquerade_rules(network: NetworkFacts) -> Iterable[str]:
    interface = network.interface
    for subnet in network.subnets:
        if network.masquerade:
            yield f"ip saddr {subnet} oif != {interface} masquerade"
        yield f"ip saddr {subnet} oif {interface} ct status dnat masquerade"
    if network.loopback:
        yield f"ip saddr 127.0.0.0/8 oif {interface} masquerade"


def forward_rules(network: NetworkFacts) -> Iterable[str]:
    into = f"oif {network.interface}"
    yield f"{into} ct state established,related accept"
    yield f"{into} ct status dnat accept"
    if network.between_containers:
        yield f"{into} iif {network.interface} accept"
    yield f"{into} drop"


def render(table: str, networks: Sequence[NetworkFacts], published: Iterable[PublishedPort]) -> str:
    """nft commands that put the table in place of whatever has its name, with its elements."""
    policy = chains(networks)
    ports = list(published)
    lines = [f"add table ip {table}", f"delete table ip {table}", f"table ip {table} {{"]
    lines.append(f'comment "{fingerprint(networks)}"')
    for name in MAPS:
        lines += render_map(name, [port for port in ports if map_of(port) == name])
    for chain in policy:
        lines += [
            f"chain {chain.name} {{",
            *([f"{chain.hook}; policy accept;"] if chain.hook else ()),
            *chain.rules,
            "}",
        ]
    return "\n".join([*lines, "}", ""])


def render_map(name: str, ports: Sequence[PublishedPort]) -> list[str]:
    lines = [f"map {name} {{", f"type {MAPS[name]} : ipv4_addr . inet_service", "counter"]
    if ports:
        lines.append("elements = { " + ", ".join(render_element(port) for port in ports) + " }")
    return [*lines, "}"]


def render_element(port: PublishedPort) -> str:
    address = "" if port.host_ip == ANY else f"{port.host_ip} . "
    return f"{address}{port.proto} . {port.host_port} : {port.container_ip} . {port.container_port}"


def fingerprint(networks: Sequence[NetworkFacts]) -> str:
    """Names the policy in the table's comment, so that a table of another version is seen to be one."""
    return "wherry " + hashlib.sha256(repr(chains(networks)).encode()).hexdigest()[:16]


def map_of(port: PublishedPort) -> str:
    return BY_PORT if port.host_ip == ANY else BY_ADDRESS


def encode(port: PublishedPort) -> tuple[str, MapElement]:
    """The map and element of a published port, as the kernel has them."""
    address = b"" if port.host_ip == ANY else socket.inet_aton(port.host_ip)
    key = address + nftables.field(bytes((PROTOCOLS[port.proto],))) + encode_port(port.host_port)
    return map_of(port), MapElement(
        key, socket.inet_aton(port.container_ip) + encode_port(port.container_port)
    )


def encode_port(number: int) -> bytes:
    return nftables.field(number.to_bytes(2, "big"))


def decode(map_name: str, element: MapElement) -> PublishedPort:
    """A published port from the map's element, as the kernel has it."""
    host_ip, key = (
        (ANY, element.key) if map_name == BY_PORT else (socket.inet_ntoa(element.key[:4]), element.key[4:])
    )
    return PublishedPort(
        proto=PROTOCOL_NAMES.get(key[0], str(key[0])),
        host_ip=host_ip,
        host_port=int.from_bytes(key[4:6], "big"),
        container_port=int.from_bytes(element.value[4:6], "big"),
        container_ip=socket.inet_ntoa(element.value[:4]),
    )


def read_counts(tables: Tables, table: str) -> dict[PublishedPort, Count]:
    """What a table publishes, with each port's count. FileNotFoundError where there is no such table."""
    return {
        decode(name, element): count
        for name in MAPS
        for element, count in tables.elements(table, name).items()
    }


class Firewall:
    """The table of one daemon, in the network namespace that the thread was in when this was made.

    Safe to call from several threads. What is published is kept here too, and put back with the table. The table is
    made by the first ``ensure`` or ``reconcile``.
    """

    def __init__(self, table: str, networks: Iterable[NetworkFacts] = ()) -> None:
        self.table = table
        self._published: set[PublishedPort] = set()
        self._tables = Tables()
        self.changes = nftables.watch(table, self._tables.port)  # by others
        self._lock = threading.RLock()
        self.set_networks(networks)

    def close(self) -> None:
        """Let go of the kernel's sockets. The rules stay."""
        self._tables.close()
        self.changes.close()

    def set_networks(self, networks: Iterable[NetworkFacts]) -> None:
        """Have the rules for these networks from the next ``ensure`` on."""
        with self._lock:
            self._networks = tuple(networks)
            self._rules = sum(len(chain.rules) for chain in chains(self._networks))
            self._fingerprint = fingerprint(self._networks).encode()

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
                nftables.load(render(self.table, self._networks, sorted(self._published, key=repr)))
            except OSError as error:
                raise Unavailable(
                    f"cannot load the firewall's table {self.table}: {sentence(error)}"
                ) from None
            return True

    def reconcile(self, published: Iterable[PublishedPort]) -> list[PublishedPort]:
        """Make the table hold exactly these ports; those that it held beside them, which are gone now."""
        with self._lock:
            self._published = set(published)
            if self.ensure():
                return []
            _, stale = self._level()
            return sorted(stale, key=repr)

    def put_back(self) -> list[str]:
        """Have the table whole, with exactly the ports that are published; what was wrong, in words."""
        with self._lock:
            if self.ensure():
                return ["the table"]
            missing, stale = self._level()
            return [
                *([f"ports that were gone ({len(missing)})"] if missing else ()),
                *([f"no ports that are not ours ({len(stale)})"] if stale else ()),
            ]

    def _level(self) -> tuple[set[PublishedPort], set[PublishedPort]]:
        """Have exactly the ports that are published; which were missing, and which too many.

        The kernel's list of a map that has just grown can lack some: it is asked for those one by one.
        """
        present = set(self.counts())
        missing = {port for port in self._published - present if not self.has(port)}
        stale = present - self._published
        self._tables.delete(self.table, [encode(port) for port in stale])
        self._add([encode(port) for port in missing])
        return missing, stale

    def publish(self, ports: Sequence[PublishedPort]) -> None:
        """Translate these ports from now on: all or, on an error, none."""
        with self._lock:
            self._published.update(ports)
            try:
                self._add([encode(port) for port in ports])
            except BaseException:
                self._published.difference_update(ports)
                self._withdraw_unsure(ports)
                raise

    def _withdraw_unsure(self, ports: Sequence[PublishedPort]) -> None:
        """What failed may have been done, and only the kernel's answer been lost."""
        try:
            self._tables.delete(self.table, [encode(port) for port in ports])
        except OSError as error:
            log.warning("cannot withdraw ports that may be published: %s", error)

    def _add(self, elements: Sequence[tuple[str, MapElement]]) -> None:
        try:
            self._tables.add(self.table, elements)
        except FileNotFoundError:
            self.ensure()
        except OSError as error:
            if error.errno not in (errno.EBUSY, errno.EEXIST):
                raise
            self._tables.replace(self.table, elements)

    def unpublish(self, ports: Sequence[PublishedPort]) -> None:
        """Translate them no more; ports that are not published are fine."""
        with self._lock:
            self._published.difference_update(ports)
            self._tables.delete(self.table, [encode(port) for port in ports])

    def has(self, port: PublishedPort) -> bool:
        """Whether the kernel translates this port, to this container."""
        map_name, element = encode(port)
        return self._tables.value(self.table, map_name, element.key) == element.value

    def counts(self) -> dict[PublishedPort, Count]:
        """What is published according to the kernel, with the connections (first packets) that each port got."""
        return read_counts(self._tables, self.table)

    def remove(self) -> None:
        """Take the whole table away."""
        with self._lock:
            self._tables.delete_table(self.table)
