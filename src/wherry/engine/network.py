"""Networks, as the API knows them: names, ids, what inspect and list tell; and attaching containers to them.

``start`` opens the networks; ``adopt`` takes over each running container's attachment; ``reconcile`` ends the
taking over and begins to hold endpoints ready. ``attach`` may be called from then on. Each network is a driver's
(``network.driver``); what there is once for all, firewall and published ports, is ``Networks.host``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial

from wherry.engine.config import EngineConfig
from wherry.engine.filters import Filters
from wherry.engine.network_watch import NetworkWatch
from wherry.engine.store import Store
from wherry.engine.store.networks import NetworkRecord
from wherry.errors import Denied, InvalidArgument, NotFound, Unavailable, sentence
from wherry.linux import rtnetlink
from wherry.messages.network import EndpointResource, Ipam, NetworkResource, SubnetConfig
from wherry.network.driver import PLAIN, EndpointWish, Network, NetworkDriver, NetworkOptions
from wherry.network.drivers.catalogue import DEFAULT_NETWORK, DRIVERS, NO_NETWORK, PREDEFINED
from wherry.network.endpoint import Attachment, Endpoint
from wherry.network.firewall import table_name
from wherry.network.host import HostNetwork
from wherry.network.ipam import parse_bip
from wherry.values.macs import station
from wherry.values.times import now

NETWORK_FILTERS = frozenset(["dangling", "driver", "id", "label", "name", "scope", "type"])
NOT_RUNNING = "the network is not up: the engine is starting or stopping"


class Networks:
    """The networks of one engine. Called from the event loop's thread; only what may take long is async."""

    def __init__(self, config: EngineConfig, store: Store) -> None:
        self._config, self._store = config, store
        self._networks = {name: self._predefined(name, driver) for name, driver in PREDEFINED.items()}
        self._drivers: dict[str, NetworkDriver] = {}
        self._host: HostNetwork | None = None
        self._watches: list[NetworkWatch] = []

    def _predefined(self, name: str, driver: str) -> Network:
        """As it is remembered from the first time on."""
        record = self._store.networks.get(name)
        if record is None:
            record = NetworkRecord(id=os.urandom(32).hex(), name=name, driver=driver, created=now())
            self._store.networks.delete(name)  # one that cannot be read is made anew
            self._store.networks.add(record)
        return Network(record.name, record.driver, record.id, record.created)

    # ------------------------------------------------------------ lifecycle

    async def start(self) -> None:
        """Open the host's part and all networks, and watch over what they have of the host.

        InvalidArgument for a bad --bip or --bridge; Unavailable where the host cannot have it.
        """
        self._host = await asyncio.to_thread(HostNetwork, table_name(self._config.bridge))
        try:
            for network in self._networks.values():
                await self._open(network)
        except BaseException:
            await self._close(remove=False)
            raise
        self._watches = [NetworkWatch("the firewall", self._host.changes, self._host.put_back)]
        for name, driver in self._drivers.items():
            if driver.changes is not None:
                put_back = partial(put_back_on, self._host, driver)
                self._watches.append(NetworkWatch(f"network {name}", driver.changes, put_back))

    async def _open(self, network: Network) -> None:
        options = self._options(network)
        driver = self._drivers[network.name] = await asyncio.to_thread(self._opened, network, options)
        tell(self.host, driver)

    def _opened(self, network: Network, options: NetworkOptions) -> NetworkDriver:
        record = partial(self._store.settings.set, made_setting(network))
        try:
            return DRIVERS[network.driver](network, options, record)
        except OSError as error:
            raise Unavailable(f"cannot set up network {network.name}: {sentence(error)}") from None

    def _options(self, network: Network) -> NetworkOptions:
        """Those of the default network are the daemon's; of no other is anything wished yet."""
        config = self._config
        if network.name != DEFAULT_NETWORK:
            return NetworkOptions(pool_size=config.pool_size)
        address = parse_bip(config.bip) if config.bip else None
        ours = self._store.settings.get(made_setting(network)) == config.bridge
        return NetworkOptions(config.bridge, address, ours=ours, pool_size=config.pool_size)

    async def reconcile(self) -> None:
        """End the taking over: ports of whatever was not adopted are withdrawn. Pools begin to fill."""
        await asyncio.to_thread(self.host.reconcile)
        for driver in self._drivers.values():
            driver.start()

    async def stop(self) -> None:
        """Let go. Networks, table and ports stay as long as containers use them."""
        watches, self._watches = self._watches, []
        for watch in watches:
            await watch.stop()
        await self._close(remove=True)

    async def _close(self, *, remove: bool) -> None:
        drivers, self._drivers = self._drivers, {}
        host, self._host = self._host, None
        in_use = any(driver.in_use for driver in drivers.values())
        for driver in drivers.values():
            await asyncio.to_thread(driver.close, remove=remove)
        if host is not None:
            await asyncio.to_thread(host.close, remove=remove and not in_use)

    # ------------------------------------------------------------ attaching

    @property
    def host(self) -> HostNetwork:
        """The host's part: published ports and the firewall. Unavailable before the start and after the stop."""
        if self._host is None:
            raise Unavailable(NOT_RUNNING)
        return self._host

    async def attach(self, network: str = DEFAULT_NETWORK, mac: str = "") -> Endpoint:
        """An endpoint on a network, by its name: a ready one, or one that is made now. It is the caller's to release.

        NotFound; InvalidArgument for a bad MAC; Unavailable where no address is free; OSError where the kernel
        refuses.
        """
        driver = self._driver(network)
        wish = EndpointWish(mac=station(mac)) if mac else PLAIN
        endpoint = driver.take(wish)
        asyncio.get_running_loop().call_soon(
            driver.refill
        )  # when the start has nothing left to do but to wait
        return endpoint or await self._ordered(driver, wish)

    async def _ordered(self, driver: NetworkDriver, wish: EndpointWish) -> Endpoint:
        order = driver.order(wish)
        try:
            return await asyncio.wrap_future(order)
        except asyncio.CancelledError:
            order.cancel()
            order.add_done_callback(
                partial(give_back, driver)
            )  # it is being made, or came in the same moment
            raise

    def adopt(self, attachment: Attachment) -> Endpoint:
        """Take over a running container's place on a network from an earlier daemon; its ports apart."""
        return self._driver(attachment.network).adopt(attachment)

    def recognise(self, name: str, pid: int) -> list[Attachment]:
        """The place on a network that a process has, with its ports, by the kernel's word: for want of a journal."""
        descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            lease = self._driver(name).recognise(rtnetlink.read_inside(descriptor))
        finally:
            os.close(descriptor)
        if lease is None:
            return []
        ip = lease.address.partition("/")[0]
        return [lease.publishing(port for port in self.host.counts() if ip and port.container_ip == ip)]

    def release(self, attachment: Attachment) -> bool:
        """Give back a place on a network: namespace, address and what is published there; whether we held it.

        The ports go first: no address is given to another while a port still leads to it.
        """
        driver = self._drivers.get(attachment.network)
        endpoint = driver.held(attachment.endpoint_id) if driver is not None else None
        if driver is None or endpoint is None:
            return False
        if endpoint.address is not None:
            self.host.withdraw(endpoint.address)
        driver.release(attachment.endpoint_id)
        return True

    def has(self, attachment: Attachment) -> bool:
        """Whether the host's end of an endpoint is there, by the kernel's word."""
        driver = self._drivers.get(attachment.network)
        return driver is not None and driver.has(attachment)

    def driver(self, name: str) -> NetworkDriver | None:
        """The network of that name; None where there is none. Unavailable before the start and after the stop."""
        return self._driver(name) if name in self._networks else None

    def name_of(self, ref: str) -> str:
        """The name of a network that is asked for by name, id or beginning of an id; as asked where there is none."""
        try:
            return self.find(ref).name
        except NotFound:
            return ref

    def _driver(self, name: str) -> NetworkDriver:
        if name in self._drivers:
            return self._drivers[name]
        raise Unavailable(NOT_RUNNING) if name in self._networks else NotFound(f"network {name} not found")

    # ------------------------------------------------------------ for the API

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

    def remove(self, ref: str) -> None:
        """Denied: all there are, are predefined. NotFound for one that there is not."""
        raise Denied(f"{self.find(ref).name} is a pre-defined network and cannot be removed")

    def list(self, filters: Filters) -> Sequence[NetworkResource]:
        """``GET /networks``. InvalidArgument for an unknown filter."""
        return self._resources(select(self._networks.values(), filters))

    async def list_in_thread(self, filters: Filters) -> Sequence[NetworkResource]:
        """The same, for filters that take time."""
        return self._resources(await asyncio.to_thread(select, tuple(self._networks.values()), filters))

    def _resources(self, networks: Iterable[Network]) -> Sequence[NetworkResource]:
        return [self._resource(network, {}) for network in networks]

    def _resource(self, network: Network, containers: Mapping[str, EndpointResource]) -> NetworkResource:
        description = self._driver(network.name).describe()
        subnets = [
            SubnetConfig(subnet=str(subnet.network), gateway=str(subnet.gateway))
            for subnet in description.subnets
        ]
        return NetworkResource(
            name=network.name,
            id=network.id,
            created=network.created,
            driver=network.driver,
            ipam=Ipam(config=subnets or None),
            containers=dict(containers),
            options=description.options,
        )


def tell(host: HostNetwork, driver: NetworkDriver) -> None:
    """Have the host's rules for a network, as it is now."""
    facts = driver.facts()
    if facts is not None:
        host.add_network(driver.network.name, facts)


def put_back_on(host: HostNetwork, driver: NetworkDriver) -> Sequence[str]:
    """Have again what somebody took from a network; what was missing, in words."""
    missing = driver.put_back()
    tell(host, driver)
    return missing


def give_back(driver: NetworkDriver, order: Future[Endpoint]) -> None:
    """Release what was ordered, where it came."""
    if not order.cancelled() and order.exception() is None:
        driver.release(order.result().endpoint_id)


def made_setting(network: Network) -> str:
    """The setting that keeps which interface of the host we made for a network, and so may delete."""
    return f"network.{network.name}.interface"


def check_new(name: str, driver: str) -> None:
    """Denied for a network that there is only one of, InvalidArgument for one without a name: in Docker's words."""
    if name in PREDEFINED or name == "default":
        raise Denied(f"operation is not permitted on predefined {name} network")
    if driver in (PREDEFINED["host"], PREDEFINED[NO_NETWORK]):
        raise Denied(f'only one instance of "{driver}" network is allowed')
    if not name:
        raise InvalidArgument("invalid name: name is empty")


def select(networks: Iterable[Network], filters: Filters) -> list[Network]:
    """Predefined networks are never dangling, and have no labels. InvalidArgument for an unknown filter."""
    filters.check(NETWORK_FILTERS)
    types = filters.get("type")
    if any(kind not in ("builtin", "custom") for kind in types):
        raise InvalidArgument(f"invalid filter: 'type'='{types[0]}'")
    names = filters.patterns("name")
    return [
        network
        for network in networks
        if names.found_in(network.name)
        and filters.prefixes("id", network.id)
        and filters.exact("driver", network.driver)
        and filters.exact("scope", "local")
        and filters.exact("type", "builtin")
        and filters.labels("label", {})
        and not filters.flag("dangling")
    ]
