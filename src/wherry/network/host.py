"""What there is once for a host, whatever networks it has: one firewall table, published ports, tracked connections.

The table's rules are computed from the facts of all networks, so that it holds for each what it is told of all; a
published port is one element of a map, whichever network its container is on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Interface

import msgspec

from wherry.errors import InvalidArgument
from wherry.linux import conntrack
from wherry.linux.nftables import Count
from wherry.network.firewall import Firewall, NetworkFacts
from wherry.network.ports import Ports, PortWish, PublishedPort, Reservation

log = logging.getLogger(__name__)


class HostNetwork:
    """One daemon's share of the host's network, in the network namespace that the thread was in when this was made.

    Networks are added before or after ``reconcile``, which makes the table. An endpoint's address stands for the
    endpoint: no two have the same. Safe to call from several threads.
    """

    def __init__(self, table: str) -> None:
        self._firewall = Firewall(table)
        self.changes = self._firewall.changes  # of the host's tables, by others: then ``put_back`` is due
        self._connections = conntrack.Connections()
        self._ports = Ports()
        self._networks: dict[str, NetworkFacts] = {}
        self._published: dict[str, dict[PublishedPort, Reservation]] = {}  # by the container's address
        self._reconciled = False
        self._lock = threading.RLock()

    # ------------------------------------------------------------ networks

    def add_network(self, name: str, facts: NetworkFacts) -> None:
        """Have rules for a network, or other ones. Unavailable where the table cannot be loaded."""
        with self._lock:
            self._networks[name] = facts
            self._networks_changed()

    def remove_network(self, name: str) -> None:
        """Have no rules for a network any more; that there are none is fine."""
        with self._lock:
            if self._networks.pop(name, None) is not None:
                self._networks_changed()

    def _networks_changed(self) -> None:
        self._firewall.set_networks(self._networks.values())
        if self._reconciled:
            self._firewall.ensure()

    # ------------------------------------------------------------ ports

    def publish(self, address: IPv4Interface, wishes: Sequence[PortWish]) -> tuple[PublishedPort, ...]:
        """Publish ports of an endpoint's address, all or none: as they came to be published.

        Internal, in Docker's words, where a port is taken; InvalidArgument for what cannot be published.
        """
        if not wishes:
            return ()
        ip = str(address.ip)
        self._check_loopback(address, wishes)
        reservations = self._ports.reserve(ip, wishes)
        ports = tuple(reservation.port for reservation in reservations)
        try:
            self._firewall.publish(ports)
        except BaseException:
            self._ports.release(reservations)
            raise
        with self._lock:
            self._published.setdefault(ip, {}).update(zip(ports, reservations, strict=True))
        self._connections.forget(
            *(conntrack.forget_udp_to_port(port.host_port) for port in ports if port.proto == "udp")
        )
        return ports

    def _check_loopback(self, address: IPv4Interface, wishes: Iterable[PortWish]) -> None:
        own = next((facts for facts in self._networks.values() if address.network in facts.subnets), None)
        for wish in wishes:
            if own is not None and not own.loopback and wish.host_ip.startswith("127."):
                raise InvalidArgument(
                    f"cannot publish on {wish.host_ip}: this kernel has no filter (clsact, cls_bpf) that could keep "
                    "containers off the rest of the host's loopback; publish on another address"
                )

    def unpublish(self, ports: Iterable[PublishedPort]) -> None:
        """Withdraw published ports; those that are not ours, or not any more, are left alone."""
        with self._lock:
            self._withdraw([port for port in ports if port in self._published.get(port.container_ip, ())])

    def withdraw(self, address: IPv4Interface) -> None:
        """Withdraw all ports of an endpoint's address; that there are none is fine."""
        with self._lock:
            self._withdraw(list(self._published.get(str(address.ip), ())))

    def _withdraw(self, ports: Sequence[PublishedPort]) -> None:
        """The kernel first: what it would not withdraw is still ours, and can be tried again."""
        if not ports:
            return
        self._firewall.unpublish(ports)
        for ip in {port.container_ip for port in ports if port.proto == "udp"}:
            self._connections.forget(conntrack.forget_udp_answered_by(IPv4Address(ip)))
        self._ports.release([self._published[port.container_ip].pop(port) for port in ports])
        for ip in {port.container_ip for port in ports}:
            if not self._published[ip]:
                del self._published[ip]

    def has(self, port: PublishedPort) -> bool:
        """Whether a port is published, by the kernel's word. Asks for one element, however many there are."""
        return self._firewall.has(port)

    def counts(self) -> dict[PublishedPort, Count]:
        """All that is published, by the kernel's word, with what it counted. FileNotFoundError without the table."""
        return self._firewall.counts()

    # ------------------------------------------------------------ after a restart of the daemon

    def adopt(self, address: IPv4Interface, ports: Iterable[PublishedPort]) -> None:
        """Take over what an earlier daemon published for an endpoint. Call ``reconcile`` after the last."""
        ip = str(address.ip)
        with self._lock:
            held = self._published.setdefault(ip, {})
            for port in ports:
                port = msgspec.structs.replace(port, container_ip=ip)
                reservation = held[port] = self._ports.adopt(port)
                if reservation.holder is None:
                    log.warning(
                        "port %s:%s is published, and in use by another process", port.host_ip, port.host_port
                    )

    def reconcile(self) -> None:
        """Have the table, with exactly the ports that we hold; what an earlier daemon left beside them goes."""
        with self._lock:
            stale = self._firewall.reconcile(port for held in self._published.values() for port in held)
            self._reconciled = True
        for port in stale:
            log.info("removed port %s that no running container owns", port)

    def put_back(self) -> Sequence[str]:
        """Have table and ports again where they were lost or damaged; what was, in words.

        Unavailable where that cannot be done. Before ``reconcile`` they are an earlier daemon's, and not looked at.
        """
        with self._lock:
            return self._firewall.put_back() if self._reconciled else ()

    # ------------------------------------------------------------ the end

    def close(self, *, remove: bool) -> None:
        """Let go of the ports, which stay published, or with ``remove`` take the whole table away."""
        with self._lock:
            self._ports.release(r for held in self._published.values() for r in held.values())
            self._published.clear()
        if remove:
            self._firewall.remove()
        for part in (self._firewall, self._connections):
            part.close()
