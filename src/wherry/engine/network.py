"""Networks, as the API knows them: the predefined ``bridge``, ``host`` and ``none``; and attaching to the bridge.

``start`` prepares the bridge; ``adopt`` takes over each running container's attachment; ``reconcile`` ends the
taking over and begins to fill the pool. ``attach`` may be called from then on.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from msgspec import field

from wherry.engine.config import EngineConfig
from wherry.engine.filters import Filters
from wherry.engine.record import Attachment, PublishedPort
from wherry.engine.store import Store
from wherry.errors import InvalidArgument, NotFound, Unavailable, WherryError
from wherry.linux.nftables import Watch
from wherry.messages.base import Model
from wherry.network.bridge import Bridge
from wherry.network.ipam import parse_bip, parse_mac
from wherry.network.pool import Endpoint
from wherry.network.ports import PortBinding
from wherry.values.times import now

PREDEFINED = {"bridge": "bridge", "host": "host", "none": "null"}  # name and driver
NETWORK_FILTERS = frozenset(["dangling", "driver", "id", "label", "name", "scope", "type"])
BRIDGE_SETTING = "network.bridge.interface"  # the bridge that we made, and so may delete
MTU = 1500

log = logging.getLogger(__name__)


class SubnetConfig(Model):
    subnet: str = ""
    gateway: str = ""


class Ipam(Model):
    driver: str = "default"
    options: dict[str, str] | None = None
    config: list[SubnetConfig] | None = None


class ConfigReference(Model):
    network: str = ""


class EndpointResource(Model):
    """A container on a network, in ``GET /networks/{id}``."""

    name: str
    endpoint_id: str = field(name="EndpointID")
    mac_address: str
    ipv4_address: str = field(name="IPv4Address")
    ipv6_address: str = field(default="", name="IPv6Address")


class NetworkResource(Model):
    """``GET /networks/{id}``. Engine API, Network."""

    name: str
    id: str
    created: str
    scope: str = "local"
    driver: str = ""
    enable_ipv4: bool = field(default=True, name="EnableIPv4")
    enable_ipv6: bool = field(default=False, name="EnableIPv6")
    ipam: Ipam = field(default_factory=Ipam, name="IPAM")
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_from: ConfigReference = field(default_factory=ConfigReference)
    config_only: bool = False
    containers: dict[str, EndpointResource] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Network:
    name: str
    driver: str
    id: str
    created: str


class Networks:
    """The networks of one engine. Called from the event loop's thread; only what may take long is async."""

    def __init__(self, config: EngineConfig, store: Store) -> None:
        self._config, self._store = config, store
        self._networks = {name: self._predefined(name, driver) for name, driver in PREDEFINED.items()}
        self._bridge: Bridge | None = None
        self._watch: Watch | None = None
        self._repair: asyncio.Task[None] | None = None

    def _predefined(self, name: str, driver: str) -> Network:
        id = self._remembered(f"network.{name}.id", os.urandom(32).hex())
        return Network(name, driver, id, self._remembered(f"network.{name}.created", now()))

    def _remembered(self, key: str, value: str) -> str:
        """The setting's value, which is this one from the first time on."""
        known = self._store.get_setting(key)
        if known is None:
            self._store.set_setting(key, value)
        return known or value

    # ------------------------------------------------------------ lifecycle

    async def start(self) -> None:
        """Have the default bridge, and watch over its table.

        InvalidArgument for a bad --bip or --bridge; Unavailable where the host cannot have it.
        """
        bip = parse_bip(self._config.bip) if self._config.bip else None
        self._bridge = await asyncio.to_thread(self._open_bridge, bip)
        self._watch = Watch()
        asyncio.get_running_loop().add_reader(self._watch.fileno(), self._tables_changed)

    def _open_bridge(self, bip: IPv4Interface | None) -> Bridge:
        name = self._config.bridge
        try:
            return Bridge(
                name,
                bip,
                pool_size=self._config.pool_size,
                before_create=lambda: self._store.set_setting(BRIDGE_SETTING, name),
            )
        except OSError as error:
            raise Unavailable(f"cannot set up bridge {name}: {error}") from None

    def adopt(self, attachment: Attachment) -> Endpoint:
        """Take over a running container's attachment from an earlier daemon: its address and its ports."""
        endpoint = Endpoint(
            netns_fd=-1,
            address=IPv4Interface(attachment.address),
            gateway=IPv4Address(attachment.gateway),
            mac=attachment.mac,
            host_interface=attachment.interface,
            endpoint_id=attachment.endpoint_id,
            sandbox_id=attachment.endpoint_id,
        )
        self._default().adopt(endpoint, [binding_of(port) for port in attachment.ports])
        return endpoint

    async def reconcile(self, live: Iterable[Endpoint] = ()) -> None:
        """End the taking over: ports that none of these endpoints owns are withdrawn. The pool begins to fill."""
        bridge = self._default()
        await asyncio.to_thread(bridge.reconcile, list(live))
        bridge.start_pool()

    async def stop(self) -> None:
        """Let go. Bridge, table and ports stay as long as containers use them."""
        if self._watch is not None:
            asyncio.get_running_loop().remove_reader(self._watch.fileno())
            self._watch.close()
        if self._repair is not None:
            await asyncio.gather(self._repair, return_exceptions=True)
        if self._bridge is not None:
            ours = self._store.get_setting(BRIDGE_SETTING) == self._bridge.name
            await asyncio.to_thread(self._bridge.close, remove=ours)
        self._bridge = self._watch = None

    def _default(self) -> Bridge:
        if self._bridge is None:
            raise Unavailable("the network is not running: the engine starts or stops")
        return self._bridge

    def _tables_changed(self) -> None:
        """Somebody changed nftables; see that our table is whole. At most one check at a time, and one after it."""
        if self._watch is not None:
            self._watch.drain()
        if self._repair is None or self._repair.done():
            self._repair = asyncio.create_task(self._check_table())

    async def _check_table(self) -> None:
        try:
            if await asyncio.to_thread(self._default().ensure):
                log.warning("the firewall's table was lost or damaged; it is restored")
        except (OSError, WherryError) as error:
            log.error("cannot restore the firewall's table: %s", error)

    # ------------------------------------------------------------ attaching

    @property
    def gateway(self) -> IPv4Address:
        """The host's address on the default bridge: what ``host-gateway`` means."""
        return self._default().address.ip

    @property
    def bridge_id(self) -> str:
        return self._networks["bridge"].id

    async def attach(self, mac_address: str = "") -> Endpoint:
        """A wired network namespace on the default bridge: a ready one, or the next that is made.

        Unavailable where no address is free; OSError where the kernel refuses.
        """
        bridge = self._default()
        if mac_address:
            return bridge.own(await asyncio.to_thread(bridge.make, parse_mac(mac_address)))
        return bridge.own(bridge.pool.take() or await self._ordered(bridge))

    async def _ordered(self, bridge: Bridge) -> Endpoint:
        order = bridge.pool.order()
        try:
            return await asyncio.wrap_future(order)
        except asyncio.CancelledError:
            if not order.cancel() and order.exception() is None:  # it came in the same moment
                bridge.release(bridge.own(order.result()))
            raise

    def publish(self, address: IPv4Interface, bindings: Sequence[PortBinding]) -> list[PortBinding]:
        """Publish ports of an endpoint's address: all or none. The bindings with the host ports that they got.

        Internal, in Docker's words, where a port is taken; InvalidArgument for what cannot be published.
        """
        return self._default().publish(address.ip, bindings)

    def unpublish(self, address: IPv4Interface) -> None:
        """Withdraw all ports of an endpoint's address; that there are none is fine."""
        self._default().unpublish(address.ip)

    def release(self, endpoint: Endpoint) -> None:
        """Give back an endpoint: namespace, address and ports. One that was released already is fine."""
        if self._bridge is not None:
            self._bridge.release(endpoint)

    def attachment(self, endpoint: Endpoint, bindings: Iterable[PortBinding] = ()) -> Attachment:
        """What the store keeps of an endpoint, for ``adopt``."""
        return Attachment(
            network="bridge",
            network_id=self.bridge_id,
            endpoint_id=endpoint.endpoint_id,
            address=str(endpoint.address),
            gateway=str(endpoint.gateway),
            mac=endpoint.mac,
            interface=endpoint.host_interface,
            ports=[PublishedPort(b.proto, b.host_ip, b.host_port, b.container_port) for b in bindings],
        )

    # ------------------------------------------------------------ for the API

    def list(self, filters: Filters) -> list[NetworkResource]:
        """``GET /networks``. InvalidArgument for an unknown filter."""
        filters.check(NETWORK_FILTERS)
        return [
            self._resource(network, {}) for network in self._networks.values() if selected(network, filters)
        ]

    def inspect(self, ref: str, containers: Mapping[str, EndpointResource] | None = None) -> NetworkResource:
        """``GET /networks/{id}``. NotFound, in Docker's words."""
        return self._resource(self.find(ref), containers or {})

    def find(self, ref: str) -> Network:
        """A network by name, id or beginning of an id. NotFound; InvalidArgument where several begin so."""
        if ref in self._networks:
            return self._networks[ref]
        found = [network for network in self._networks.values() if ref and network.id.startswith(ref)]
        if len(found) > 1:
            raise InvalidArgument(
                f"network {ref} is ambiguous ({len(found)} matches found based on ID prefix)"
            )
        if not found:
            raise NotFound(f"network {ref} not found")
        return found[0]

    def _resource(self, network: Network, containers: Mapping[str, EndpointResource]) -> NetworkResource:
        on_bridge = network.name == "bridge"
        return NetworkResource(
            name=network.name,
            id=network.id,
            created=network.created,
            driver=network.driver,
            ipam=Ipam(config=[self._subnet()]) if on_bridge else Ipam(),
            containers=dict(containers),
            options=bridge_options(self._config.bridge) if on_bridge else {},
        )

    def _subnet(self) -> SubnetConfig:
        address = self._default().address
        return SubnetConfig(subnet=str(address.network), gateway=str(address.ip))


def binding_of(port: PublishedPort) -> PortBinding:
    return PortBinding(port.proto, port.host_ip, port.host_port, port.container_port)


def bridge_options(interface: str) -> dict[str, str]:
    """The default bridge's options, under Docker's names."""
    prefix = "com.docker.network."
    values: dict[str, Any] = {
        "bridge.default_bridge": "true",
        "bridge.enable_icc": "true",
        "bridge.enable_ip_masquerade": "true",
        "bridge.host_binding_ipv4": "0.0.0.0",
        "bridge.name": interface,
        "driver.mtu": MTU,
    }
    return {prefix + name: str(value) for name, value in values.items()}


def selected(network: Network, filters: Filters) -> bool:
    """Predefined networks are never dangling, and have no labels."""
    types = filters.get("type")
    if any(kind not in ("builtin", "custom") for kind in types):
        raise InvalidArgument(f"invalid filter: 'type'='{types[0]}'")
    return (
        filters.matches("name", network.name)
        and filters.prefixes("id", network.id)
        and filters.exact("driver", network.driver)
        and filters.exact("scope", "local")
        and filters.exact("type", "builtin")
        and filters.labels("label", {})
        and not filters.flag("dangling")
    )
