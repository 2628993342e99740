"""A bridge with all that hangs on it: its address, leases, and ready endpoints.

Several daemons may share a host, each with bridges of its own; two on one bridge are refused.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, ip_interface

from wherry.errors import Unavailable
from wherry.linux import sysctl
from wherry.linux.rtnetlink import NetworkState
from wherry.network import ipam, link
from wherry.network.driver import (
    PLAIN,
    Description,
    EndpointWish,
    Network,
    NetworkDriver,
    NetworkOptions,
    Recorder,
    Subnet,
)
from wherry.network.drivers.bridge import DEFAULT_NETWORK
from wherry.network.drivers.bridge.claim import claim_bridge
from wherry.network.drivers.bridge.guard import close_loopback, open_loopback
from wherry.network.drivers.bridge.messages import create_bridge
from wherry.network.drivers.bridge.upkeep import Footing, put_back
from wherry.network.drivers.bridge.wiring import Wiring, set_ipv6
from wherry.network.endpoint import Attachment, Endpoint
from wherry.network.firewall import NetworkFacts, check_interface_name
from wherry.network.ipam import Leases
from wherry.network.link import Link, Links
from wherry.network.pool import Pool
from wherry.network.ports import ANY

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
    wished: IPv4Interface | None,
) -> BridgePlan:
    """Keep a bridge and its address where they are there; a wished address wins over what is."""
    if wished is None:
        if addresses:
            return BridgePlan(found, addresses[0], add=False)
        return BridgePlan(found, ipam.first_host(ipam.choose_subnet(routes)))
    others = tuple(address for address in addresses if address != wished)
    return BridgePlan(found, wished, remove=others, add=wished not in addresses)


class BridgeDriver(NetworkDriver):
    """One bridge. All of it may be called from any thread that is in the daemon's network namespace."""

    gives_endpoints = True

    def __init__(self, network: Network, options: NetworkOptions, record: Recorder) -> None:
        self.network = network
        self.interface = check_interface_name(options.interface)
        self._options = options
        with ExitStack() as opened:
            opened.callback(claim_bridge(self.interface).close)
            self._links = Links()
            opened.callback(self._links.close)
            plan = self._plan(options.address)
            self.created = plan.link is None
            self._foreign = not self.created and not options.ours
            made = opened.enter_context(ExitStack())  # what goes again where something after it fails
            if self.created:
                record(self.interface)
                made.callback(self._delete_bridge)
            self.address = plan.address
            self._index = self._apply(plan)
            self._leases = Leases(plan.address)
            self.wiring = Wiring(network, self._links, self._index, self._leases, options.mtu)
            opened.callback(self.wiring.close)
            size = min(options.pool_size, self._leases.free // 2)
            self.pool = Pool(self.wiring.make, self.wiring.discard, self._own, size=size)
            opened.callback(self.pool.close)
            self._raise(prime=size > 0)
            self.changes = link.watch(self._index)
            opened.callback(self.changes.close)
            made.pop_all()
            self._opened = opened.pop_all()
        self._record = record
        self._makers: ThreadPoolExecutor | None = None
        self._endpoints: dict[str, Endpoint] = {}
        self._lock = threading.RLock()

    def _plan(self, wished: IPv4Interface | None) -> BridgePlan:
        found = self._links.find(self.interface)
        if found is not None and found.kind != "bridge":
            raise Unavailable(f"interface {self.interface} is not a bridge: choose another --bridge")
        addresses = self._links.addresses(found.index) if found else []
        return plan_bridge(found, addresses, self._links.routes(), wished)

    def _apply(self, plan: BridgePlan) -> int:
        if plan.link is None:
            mac = ipam.mac_of(plan.address.ip)
            self._links.send(create_bridge(self.interface, mac, self._options.mtu))
        there = plan.link or self._links.find(self.interface)
        if there is None:
            raise Unavailable(f"bridge {self.interface} went away while it was set up")
        set_ipv6(self.interface, disabled=True)
        changes = [link.delete_address(there.index, address) for address in plan.remove]
        if plan.add:
            changes.append(link.add_address(there.index, plan.address))
        if changes:
            self._links.send(*changes)
        sysctl.ensure("net/ipv4/ip_forward", "1")
        self._loopback = open_loopback(self._links, self.interface, there.index)
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

    def put_back(self) -> Sequence[str]:
        mac = ipam.mac_of(self.address.ip)
        footing = Footing(self._index, self.interface, self.address, mac, self._options.mtu)
        found = self._links.at(self._index)
        if found is None:
            self._record(self.interface)
            self._foreign = False
        with self._lock:
            endpoints = (*self._endpoints.values(), *self.pool.stock())
        ports = [endpoint.host_interface for endpoint in endpoints]
        missing, self._loopback = put_back(self._links, footing, found, ports)
        return missing

    def _wait_until_operational(self, name: str) -> None:
        deadline = time.monotonic() + OPERATIONAL_SECONDS
        while time.monotonic() < deadline:
            port = self._links.find(name)
            if port is None or port.operational:
                return
            time.sleep(POLL_SECONDS / 4)

    def facts(self) -> NetworkFacts:
        return NetworkFacts(
            self._index,
            (self.address.network,),
            masquerade=self._options.masquerade,
            between_containers=self._options.between_containers,
            loopback=self._loopback,
        )

    def describe(self) -> Description:
        return Description((Subnet(self.address.network, self.address.ip),), self._docker_options())

    def _docker_options(self) -> dict[str, str]:
        values = {
            "bridge.default_bridge": in_words(self.network.name == DEFAULT_NETWORK),
            "bridge.enable_icc": in_words(self._options.between_containers),
            "bridge.enable_ip_masquerade": in_words(self._options.masquerade),
            "bridge.host_binding_ipv4": ANY,
            "bridge.name": self.interface,
            "driver.mtu": str(self._options.mtu),
        }
        return {f"com.docker.network.{name}": value for name, value in values.items()}

    # ------------------------------------------------------------ endpoints

    def start(self) -> None:
        self.pool.start()

    def take(self, wish: EndpointWish = PLAIN) -> Endpoint | None:
        return self.pool.take() if is_plain(wish) else None

    def refill(self) -> None:
        self.pool.refill()

    def order(self, wish: EndpointWish = PLAIN) -> Future[Endpoint]:
        if is_plain(wish):
            return self.pool.order()
        if self._makers is None:
            self._makers = ThreadPoolExecutor(1, "endpoint")
        return self._makers.submit(self.make, wish)

    def make(self, wish: EndpointWish = PLAIN) -> Endpoint:
        """An endpoint, made while the caller waits."""
        return self._own(self.wiring.make(wish))

    def _own(self, endpoint: Endpoint) -> Endpoint:
        """Note that an endpoint is in use, so that it can be released."""
        with self._lock:
            self._endpoints[endpoint.endpoint_id] = endpoint
        return endpoint

    def adopt(self, attachment: Attachment) -> Endpoint:
        endpoint = Endpoint.adopted(attachment)
        if not self._leases.claim(IPv4Interface(attachment.address).ip):
            log.warning(
                "address %s of a running container is not free in %s", endpoint.address, self.address.network
            )
        return self._own(endpoint)

    def held(self, endpoint_id: str) -> Endpoint | None:
        return self._endpoints.get(endpoint_id)

    def release(self, endpoint_id: str) -> None:
        with self._lock:
            endpoint = self._endpoints.pop(endpoint_id, None)
        if endpoint is not None:
            self.wiring.discard(endpoint)

    def recognise(self, inside: NetworkState) -> Attachment | None:
        """By the host's end of a veth, which no container can plug in, and the first address that we may have given."""
        ends = {end.index: end.name for end in self._links.all() if end.master == self._index}
        for ours in (i for i in inside.interfaces if i.kind == "veth" and i.peer in ends):
            for address in (a.address for a in inside.addresses if a.index == ours.index):
                if ip_interface(address).network == self.address.network:
                    return Attachment(
                        network=self.network.name,
                        network_id=self.network.id,
                        endpoint_id=os.urandom(32).hex(),
                        address=address,
                        gateway=str(self.address.ip),
                        mac=ours.mac,
                        interface=ends[ours.peer],
                        inside=ours.name,
                    )
        return None

    def has(self, attachment: Attachment) -> bool:
        end = self._links.find(attachment.interface)
        return end is not None and end.master == self._index

    # ------------------------------------------------------------ the end

    @property
    def in_use(self) -> bool:
        return bool(self._endpoints)

    def close(self, *, remove: bool) -> None:
        self.pool.close()
        if self._makers is not None:
            self._makers.shutdown(cancel_futures=True)
        with self._lock:
            used = {endpoint.host_interface for endpoint in self._endpoints.values()}
            for endpoint in self._endpoints.values():
                self.wiring.discard(endpoint)
        self._wait_until_gone(used)
        if remove and not used:
            if self._foreign:
                close_loopback(self._links, self.interface, self._index)
            else:
                self._delete_bridge()
        self._opened.close()

    def _delete_bridge(self) -> None:
        there = self._links.find(self.interface)
        if there is not None:
            self._links.send(link.delete_link(there.index))

    def _wait_until_gone(self, used: set[str]) -> None:
        """Wait for the kernel to take down the endpoints that were let go."""
        deadline = time.monotonic() + GONE_SECONDS
        while time.monotonic() < deadline:
            if all(p.name in used for p in self._links.all() if p.master == self._index and p.kind == "veth"):
                return
            time.sleep(POLL_SECONDS)


def is_plain(wish: EndpointWish) -> bool:
    """Whether any endpoint out of the pool will do."""
    return wish is PLAIN or wish == PLAIN


def in_words(flag: bool) -> str:
    return "true" if flag else "false"
