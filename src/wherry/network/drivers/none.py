"""No network: a container on it has a namespace of its own, with nothing but lo."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future

from wherry.linux import netns
from wherry.linux.netlink import Netlink
from wherry.linux.rtnetlink import NetworkState
from wherry.network.driver import (
    PLAIN,
    Description,
    EndpointWish,
    Network,
    NetworkDriver,
    NetworkOptions,
    Recorder,
)
from wherry.network.endpoint import Attachment, Endpoint
from wherry.network.firewall import NetworkFacts
from wherry.network.link import LOOPBACK_INDEX, set_up
from wherry.network.pool import Pool

KIND = "null"
READY = 4  # at most, held ready: making one takes half a millisecond


class NoneDriver(NetworkDriver):
    """Namespaces with lo up, held ready. There is nothing on the host that belongs to them."""

    gives_endpoints = True
    gives_addresses = False

    def __init__(self, network: Network, options: NetworkOptions, record: Recorder) -> None:
        self.network = network
        self._home = netns.current()
        self._endpoints: dict[str, Endpoint] = {}
        self._lock = threading.Lock()
        self.pool = Pool(self._make, discard, self._own, size=min(options.pool_size, READY))

    def facts(self) -> NetworkFacts | None:
        return None

    def describe(self) -> Description:
        return Description()

    # ------------------------------------------------------------ endpoints

    def start(self) -> None:
        self.pool.start()

    def take(self, wish: EndpointWish = PLAIN) -> Endpoint | None:
        return self.pool.take()

    def refill(self) -> None:
        self.pool.refill()

    def order(self, wish: EndpointWish = PLAIN) -> Future[Endpoint]:
        return self.pool.order()

    def _make(self) -> Endpoint:
        fd, _ = netns.create(loopback_up, self._home)
        return Endpoint(self._attachment(), None, fd)

    def _attachment(self) -> Attachment:
        return Attachment(
            network=self.network.name, network_id=self.network.id, endpoint_id=os.urandom(32).hex()
        )

    def _own(self, endpoint: Endpoint) -> None:
        with self._lock:
            self._endpoints[endpoint.endpoint_id] = endpoint

    def adopt(self, attachment: Attachment) -> Endpoint:
        endpoint = Endpoint.adopted(attachment)
        self._own(endpoint)
        return endpoint

    def held(self, endpoint_id: str) -> Endpoint | None:
        return self._endpoints.get(endpoint_id)

    def release(self, endpoint_id: str) -> None:
        with self._lock:
            endpoint = self._endpoints.pop(endpoint_id, None)
        if endpoint is not None:
            discard(endpoint)

    def recognise(self, inside: NetworkState) -> Attachment | None:
        return self._attachment()

    def has(self, attachment: Attachment) -> bool:
        return attachment.endpoint_id in self._endpoints

    # ------------------------------------------------------------ the end

    @property
    def in_use(self) -> bool:
        return False

    def close(self, *, remove: bool) -> None:
        self.pool.close()
        with self._lock:
            for endpoint in self._endpoints.values():
                discard(endpoint)
            self._endpoints.clear()
        os.close(self._home)


def loopback_up() -> None:
    with Netlink() as socket:
        socket.request(set_up(LOOPBACK_INDEX))


def discard(endpoint: Endpoint) -> None:
    """The kernel takes the namespace down when its last process has gone."""
    if endpoint.netns_fd >= 0:
        os.close(endpoint.netns_fd)
