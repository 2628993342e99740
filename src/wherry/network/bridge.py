"""A bridge with all that hangs on it: its address, leases, ready endpoints, firewall and published ports.

Several daemons may share a host, each with a bridge of its own; two on one bridge are refused.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from wherry.errors import Unavailable
from wherry.linux import conntrack, sysctl
from wherry.network import firewall, ipam, link
from wherry.network.claim import claim_bridge
from wherry.network.firewall import Firewall, Forwarding
from wherry.network.ipam import Leases
from wherry.network.link import Link, Links
from wherry.network.pool import Endpoint, Pool
from wherry.network.ports import PortBinding, Ports, Reservation
from wherry.network.wiring import Wiring, disable_ipv6

GONE_SECONDS = 2.0
OPERATIONAL_SECONDS = 0.2
POLL_SECONDS = 0.004

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BridgePlan:
    """What is to be done to have the bridge. ``link`` is the one that is there already."""

    link: Link | None
    address: IPv4Interface
    remove: tuple[IPv4Interface, ...] = ()
    add: bool = True


def plan_bridge(
    found: Link | None,
    addresses: Sequence[IPv4Interface],
    routes: Iterable[IPv4Network],
    bip: IPv4Interface | None,
) -> BridgePlan:
    """Keep a bridge and its address where they are there; ``bip`` wins over what is."""
    if bip is None:
        if addresses:
            return BridgePlan(found, addresses[0], add=False)
        return BridgePlan(found, ipam.first_host(ipam.choose_subnet(routes)))
    others = tuple(address for address in addresses if address != bip)
    return BridgePlan(found, bip, remove=others, add=bip not in addresses)


class Bridge:
    """One bridge network. All of it may be called from any thread that is in the daemon's network namespace.

    ``before_create`` is called before a bridge is made, so that the caller can write down that it is ours.
    """

    def __init__(
        self,
        name: str,
        bip: IPv4Interface | None = None,
        *,
        pool_size: int = 8,
        before_create: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = firewall.check_interface_name(name)
        self._guard = claim_bridge(name)
        self._links = Links()
        plan = self._plan(bip)
        self.created = plan.link is None
        if self.created:
            before_create()
        self.address = plan.address
        self._index = self._apply(plan)
        self._leases = Leases(plan.address)
        self._firewall = Firewall(firewall.table_name(name), [firewall.Bridge(name, plan.address.network)])
        self.wiring = Wiring(self._links, self._index, self._leases)
        size = min(pool_size, self._leases.free // 2)
        self.pool = Pool(self.wiring.make, self.wiring.discard, size=size)
        self._ports = Ports()
        self._connections = conntrack.Connections()
        self._endpoints: dict[str, Endpoint] = {}
        self._published: dict[IPv4Address, list[Reservation]] = {}
        self._lock = threading.RLock()
        self._raise(prime=size > 0)

    def _plan(self, bip: IPv4Interface | None) -> BridgePlan:
        found = self._links.find(self.name)
        if found is not None and found.kind != "bridge":
            raise Unavailable(f"interface {self.name} is not a bridge: give --bridge another name")
        addresses = self._links.addresses(found.index) if found else []
        return plan_bridge(found, addresses, self._links.routes(), bip)

    def _apply(self, plan: BridgePlan) -> int:
        if plan.link is None:
            self._links.send(link.create_bridge(self.name, ipam.mac_of(plan.address.ip)))
        there = plan.link or self._links.find(self.name)
        if there is None:
            raise Unavailable(f"bridge {self.name} went away while it was set up")
        disable_ipv6(self.name)
        changes = [link.delete_address(there.index, address) for address in plan.remove]
        if plan.add:
            changes.append(link.add_address(there.index, plan.address))
        if changes:
            self._links.send(*changes)
        sysctl.ensure("net/ipv4/ip_forward", "1")
        sysctl.ensure(f"net/ipv4/conf/{self.name}/route_localnet", "1")
        return there.index

    def _raise(self, *, prime: bool) -> None:
        """Set the bridge up; with a first endpoint on it, where it has no port, so that it has a carrier at once.

        A bridge that gets its first port later drops what the host sends for up to a second: the kernel
        handles the news of a carrier that late (net/core/link_watch.c).
        """
        if prime and not any(port.master == self._index for port in self._links.all()):
            self._links.send(link.set_down(self._index))
            endpoint = self.wiring.make()
            self.pool.put(endpoint)
            self._wait_until_operational(endpoint.host_interface)
        self._links.send(link.set_up(self._index), link.settle(self._index))

    def _wait_until_operational(self, name: str) -> None:
        deadline = time.monotonic() + OPERATIONAL_SECONDS
        while time.monotonic() < deadline:
            port = self._links.find(name)
            if port is None or port.operational:
                return
            time.sleep(POLL_SECONDS / 4)

    # ------------------------------------------------------------ endpoints

    def start_pool(self) -> None:
        """Begin to make endpoints in advance, in the background."""
        self.pool.start()

    def make(self, mac: bytes) -> Endpoint:
        """An endpoint with a MAC of the caller's choice, made while it waits."""
        return self.wiring.make(mac)

    def own(self, endpoint: Endpoint) -> Endpoint:
        """Note that an endpoint is in use, so that it can be released."""
        with self._lock:
            self._endpoints[endpoint.endpoint_id] = endpoint
        return endpoint

    def adopt(self, endpoint: Endpoint, bindings: Iterable[PortBinding]) -> None:
        """Take over what an earlier daemon wired and published. Call ``reconcile`` after the last."""
        if not self._leases.claim(endpoint.address.ip):
            log.warning(
                "address %s of a running container is not free in %s", endpoint.address, self.address.network
            )
        self.own(endpoint)
        reservations = [self._ports.adopt(binding) for binding in bindings]
        for reservation in reservations:
            if reservation.holder is None:
                log.warning(
                    "port %s is published, and in use by another process", reservation.binding.where()
                )
        with self._lock:
            self._published.setdefault(endpoint.address.ip, []).extend(reservations)

    def reconcile(self, live: Iterable[Endpoint]) -> None:
        """Forget all endpoints but these, and have the firewall hold exactly their ports."""
        kept = {endpoint.endpoint_id for endpoint in live}
        with self._lock:
            for endpoint in [e for e in self._endpoints.values() if e.endpoint_id not in kept]:
                self.release(endpoint)
            stale = self._firewall.reconcile(self._forwardings())
        for forwarding in stale:
            log.info("removed port %s that no running container owns", forwarding)

    def _forwardings(self) -> list[Forwarding]:
        return [
            forwarding_of(ip, reservation.binding)
            for ip, reservations in self._published.items()
            for reservation in reservations
        ]

    def release(self, endpoint: Endpoint) -> None:
        """Give back an endpoint with its ports. One that was released already is fine."""
        with self._lock:
            if self._endpoints.pop(endpoint.endpoint_id, None) is None:
                return
            self.unpublish(endpoint.address.ip)
            self.wiring.discard(endpoint)

    # ------------------------------------------------------------ ports

    def publish(self, ip: IPv4Address, bindings: Sequence[PortBinding]) -> list[PortBinding]:
        """Publish ports of a container's address: all or none. The bindings with the real host ports."""
        if not bindings:
            return []
        reservations = self._ports.reserve(ip, bindings)
        try:
            self._firewall.publish([forwarding_of(ip, r.binding) for r in reservations])
        except BaseException:
            self._ports.release(reservations)
            raise
        with self._lock:
            self._published.setdefault(ip, []).extend(reservations)
        real = [reservation.binding for reservation in reservations]
        self._connections.forget(
            *(conntrack.forget_udp_to_port(b.host_port) for b in real if b.proto == "udp")
        )
        return real

    def unpublish(self, ip: IPv4Address) -> None:
        """Withdraw all ports of an address; that there are none is fine."""
        with self._lock:
            reservations = self._published.pop(ip, [])
        if reservations:
            self._firewall.unpublish([forwarding_of(ip, r.binding) for r in reservations])
            if any(r.binding.proto == "udp" for r in reservations):
                self._connections.forget(conntrack.forget_udp_answered_by(ip))
            self._ports.release(reservations)

    def ensure(self) -> bool:
        """Put the firewall's table back if it was lost or damaged; whether it was."""
        return self._firewall.ensure()

    # ------------------------------------------------------------ the end

    def close(self, *, remove: bool) -> None:
        """Let go. What running containers use stays; otherwise table and, with ``remove``, bridge are taken away."""
        self.pool.close()
        with self._lock:
            used = {endpoint.host_interface for endpoint in self._endpoints.values()}
            self._ports.release(r for reservations in self._published.values() for r in reservations)
            for endpoint in self._endpoints.values():
                self.wiring.discard(endpoint)
        self._wait_until_gone(used)
        if not used:
            self._firewall.remove()
            if remove:
                self._links.send(link.delete_link(self._index))
        for part in (self._firewall, self._connections, self.wiring, self._links, self._guard):
            part.close()

    def _wait_until_gone(self, used: set[str]) -> None:
        """Wait for the kernel to take down the endpoints that were let go."""
        deadline = time.monotonic() + GONE_SECONDS
        while time.monotonic() < deadline:
            if all(p.name in used for p in self._links.all() if p.master == self._index and p.kind == "veth"):
                return
            time.sleep(POLL_SECONDS)


def forwarding_of(ip: IPv4Address, binding: PortBinding) -> Forwarding:
    return Forwarding(
        binding.proto, IPv4Address(binding.host_ip), binding.host_port, ip, binding.container_port
    )
