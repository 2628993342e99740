"""The namespaces that a container shares or is given, and its place on the network, from start to exit."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Interface

from wherry.engine.container import Container
from wherry.engine.events import EventBus
from wherry.engine.network import Networks
from wherry.engine.preparing import CONTAINER, joins
from wherry.engine.record import ContainerRecord
from wherry.engine.store import Store
from wherry.errors import Conflict, Internal, NotFound
from wherry.messages.container import EndpointSettings
from wherry.network.drivers.catalogue import DEFAULT_NETWORK
from wherry.network.endpoint import Attachment, Endpoint
from wherry.network.ports import PortWish, PublishedPort
from wherry.runtime.preparation import JoinContainer, NetworkEndpoint, PublishPort
from wherry.runtime.spec import JoinedNamespaces
from wherry.runtime.steps import Fd, Step

SLOTS = {"network": (Fd.NET, "net"), "pid": (Fd.PID, "pid"), "ipc": (Fd.IPC, "ipc")}
Lookup = Callable[[str], Container]


@dataclass(slots=True)
class Sandbox:
    """What a launch needs of the world around the container. ``fds`` that are in ``owned`` are closed after it."""

    fds: dict[Fd, int] = field(default_factory=dict)
    owned: list[int] = field(default_factory=list)
    joined: JoinedNamespaces = field(default_factory=JoinedNamespaces)
    files_of: str = ""  # id of the container whose /etc/hosts, hostname and resolv.conf are shared
    address: IPv4Address | None = None
    gateway: IPv4Address | None = None

    @classmethod
    def preview(cls, record: ContainerRecord, lookup: Lookup) -> Sandbox:
        """The same for a plan that is only looked at: nothing is opened, addresses are the lease's, if there is one."""
        sandbox, lease = cls(), record.attachment
        for step in joins(record):
            sandbox.note_joined(step.kind, f"of container {step.container}", id_of(step.container, lookup))
        if record.host_config.network_mode == DEFAULT_NETWORK:
            sandbox.joined = replace(sandbox.joined, network=DEFAULT_NETWORK)
        if lease is not None and lease.address:
            sandbox.address, sandbox.gateway = IPv4Interface(lease.address).ip, IPv4Address(lease.gateway)
        return sandbox

    def note_joined(self, kind: str, path: str, container_id: str) -> None:
        self.joined = replace(self.joined, **{kind: path})
        if kind == "network":
            self.files_of = container_id

    def close(self) -> None:
        for fd in self.owned:
            os.close(fd)
        self.owned.clear()


class Sandboxes:
    """Enters containers into networks and other containers' namespaces, and takes them out."""

    def __init__(self, store: Store, networks: Networks, events: EventBus) -> None:
        self._store = store
        self._networks = networks
        self._events = events

    async def enter(self, container: Container, steps: Iterable[Step], lookup: Lookup) -> Sandbox:
        """Execute the plan's preparation, as far as it is about namespaces and the network.

        Recorded before it is made; undone where it fails half-way.
        """
        sandbox = Sandbox()
        ports = [as_wish(step) for step in steps if isinstance(step, PublishPort)]
        try:
            record_attachment(container.record, self._networks)
            for step in steps:
                if isinstance(step, JoinContainer):
                    join(step, sandbox, lookup)
                elif isinstance(step, NetworkEndpoint):
                    await self._connect(container, sandbox, ports)
            self._store.put_container(container.record)
        except BaseException:
            sandbox.close()
            self.leave(container)
            raise
        return sandbox

    async def _connect(self, container: Container, sandbox: Sandbox, ports: Sequence[PortWish]) -> None:
        record = container.record
        endpoint = await self._networks.attach(DEFAULT_NETWORK, record.config.mac_address)
        container.endpoint = endpoint
        published = self._publish(record, endpoint, ports) if ports else ()
        lease = record.attachment = endpoint.attachment.publishing(published)
        record.networks[lease.network] = endpoint_settings(record.networks.get(lease.network), lease)
        sandbox.fds[Fd.NET] = endpoint.netns_fd
        sandbox.joined = replace(sandbox.joined, network=DEFAULT_NETWORK)
        sandbox.address, sandbox.gateway = endpoint.address.ip, endpoint.gateway
        self._tell("connect", record, lease.network)

    def _publish(
        self, record: ContainerRecord, endpoint: Endpoint, ports: Sequence[PortWish]
    ) -> Sequence[PublishedPort]:
        try:
            return self._networks.host.publish(endpoint.address, ports)
        except Internal as error:  # in the words that clients of Docker know
            raise Internal(
                "failed to set up container networking: driver failed programming external connectivity "
                f"on endpoint {record.name} ({endpoint.endpoint_id}): {error.message}"
            ) from error

    def leave(self, container: Container) -> None:
        """Give back address, ports and namespace. Idempotent."""
        record = container.record
        endpoint, container.endpoint = container.endpoint, None
        record.attachment = None
        if endpoint is not None:
            self._networks.release(endpoint.attachment)
            self._tell("disconnect", record, endpoint.network)
        for settings in record.networks.values():
            clear(settings)

    def readopt(self, container: Container) -> None:
        """After a restart of the daemon: take over the lease of a container that runs on."""
        lease = container.record.attachment
        if lease is not None and lease.address:
            container.endpoint = endpoint = self._networks.adopt(lease)
            self._networks.host.adopt(endpoint.address, lease.ports)

    def _tell(self, action: str, record: ContainerRecord, name: str) -> None:
        network = self._networks.find(name)
        attributes = {"container": record.id, "name": network.name, "type": network.driver}
        self._events.publish("network", action, network.id, attributes)


def id_of(ref: str, lookup: Lookup) -> str:
    """A container's id; what it was called, where it is gone by now."""
    try:
        return lookup(ref).id
    except NotFound:
        return ref


def join(step: JoinContainer, sandbox: Sandbox, lookup: Lookup) -> None:
    """Open another container's namespace; a shared network comes with the other's /etc/hosts and so on."""
    other = lookup(step.container)
    if not other.running:
        raise Conflict(f"cannot join {step.kind} of a non running container: {other.id}")
    slot, file = SLOTS[step.kind]
    path = f"/proc/{other.state.pid}/ns/{file}"
    sandbox.fds[slot] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    sandbox.owned.append(sandbox.fds[slot])
    sandbox.note_joined(step.kind, path, other.id)


def record_attachment(record: ContainerRecord, networks: Networks) -> None:
    """A mark that a start is under way, for the recovery after a crash; host and none have no address."""
    mode = record.host_config.network_mode
    joined = mode.startswith(CONTAINER) or networks.gives_endpoint(mode)
    network_id = "" if joined else networks.find(mode).id
    record.attachment = Attachment(network=mode, network_id=network_id)
    for settings in record.networks.values():
        settings.network_id = network_id


def endpoint_settings(asked: EndpointSettings | None, lease: Attachment) -> EndpointSettings:
    settings = asked or EndpointSettings()
    interface = IPv4Interface(lease.address)
    settings.network_id, settings.endpoint_id = lease.network_id, lease.endpoint_id
    settings.gateway, settings.mac_address = lease.gateway, lease.mac
    settings.ip_address, settings.ip_prefix_len = str(interface.ip), interface.network.prefixlen
    return settings


def clear(settings: EndpointSettings) -> None:
    settings.endpoint_id = settings.gateway = settings.ip_address = settings.mac_address = ""
    settings.ip_prefix_len = 0


def as_wish(step: PublishPort) -> PortWish:
    return PortWish(step.proto, step.host_ip, step.host_port, step.container_port, step.host_port_end)
