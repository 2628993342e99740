"""A container's places on networks, and its published ports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Interface
from typing import Any, Self

from wherry.engine.preparation.step import EngineStep, Host, Launch
from wherry.engine.preparation.storage import HIDDEN
from wherry.errors import Internal, NotFound
from wherry.network.endpoint import Attachment
from wherry.network.ports import PortWish, PublishedPort
from wherry.runtime.steps import Fd, Heading

FROM_POOL = "its address is assigned at the start"


@dataclass(frozen=True, slots=True)
class NetworkEndpoint(EngineStep):
    """Take a wired network namespace: an interface, plugged into one of the host's, with address and default route.

    Addresses are "" until it is done, as they come from the pool.
    """

    name, heading = "endpoint", Heading.NETWORK
    identity = "network"
    compared = True
    network: str
    plugged_into: str  # the host's interface that the network rests on
    inside: str  # what the container calls its own
    address: str = ""
    gateway: str = ""
    mac: str = ""
    interface: str = ""  # its other end, on the host
    network_id: str = field(default="", metadata=HIDDEN)
    endpoint_id: str = field(default="", metadata=HIDDEN)
    container: str = field(default="", metadata=HIDDEN)  # whose it is, by id

    def describe(self) -> str:
        if not self.inside:
            return "take a network namespace from the pool, with nothing but lo"
        there = f" by {self.interface}" if self.interface else ""
        where = f"{self.inside} plugged into {self.plugged_into}{there}"
        address = f", and address {self.address}" if self.address else f"; {FROM_POOL}"
        return f"take a network namespace from the pool, with {where}{address}"

    async def do(self, host: Host, launch: Launch) -> Self:
        endpoint = await host.networks.attach(self.network, self.mac)
        launch.fds[Fd.NET] = endpoint.netns_fd
        launch.endpoint_id, launch.address = endpoint.endpoint_id, endpoint.address
        self._tell("connect", host)
        return self._leased(endpoint.attachment)

    def _leased(self, lease: Attachment) -> Self:
        return replace(
            self,
            inside=lease.inside or self.inside,
            address=lease.address,
            gateway=lease.gateway,
            mac=lease.mac,
            interface=lease.interface,
            network_id=lease.network_id,
            endpoint_id=lease.endpoint_id,
        )

    def given(self, lease: Attachment) -> tuple[EngineStep, ...]:
        """The step as it was done, and those of the ports that were published on it."""
        ports = (
            PublishPort(p.proto, p.host_ip, p.host_port, 0, p.container_port, lease.address)
            for p in lease.ports
        )
        return (self._leased(lease), *ports)

    def undo(self, host: Host) -> None:
        if host.networks.release(self.attachment()):
            self._tell("disconnect", host)

    def look(self, host: Host) -> bool:
        return bool(self.endpoint_id) and host.networks.has(self.attachment())

    def adopt(self, host: Host) -> None:
        host.networks.adopt(self.attachment())

    def _tell(self, action: str, host: Host) -> None:
        network = host.networks.find(self.network)
        attributes = {"container": self.container, "name": network.name, "type": network.driver}
        host.events.publish("network", action, network.id, attributes)

    def attachment(self) -> Attachment:
        """The lease, without its ports."""
        return Attachment(
            network=self.network,
            network_id=self.network_id,
            endpoint_id=self.endpoint_id,
            address=self.address,
            gateway=self.gateway,
            mac=self.mac,
            interface=self.interface,
            inside=self.inside,
        )


@dataclass(frozen=True, slots=True)
class MissingNetwork(EngineStep):
    """A network that was asked for and does not exist: create takes it, and the start fails, as with Docker."""

    name, heading = "missing-network", Heading.NETWORK
    network: str

    def describe(self) -> str:
        return f"be on the network {self.network}, which does not exist: the start will fail"

    async def do(self, host: Host, launch: Launch) -> Self:
        raise NotFound(f"failed to set up container networking: network {self.network} not found")


@dataclass(frozen=True, slots=True)
class PublishPort(EngineStep):
    """Put an element into the firewall's map of published ports. ``host_port`` 0: any free one."""

    name, heading = "publish-port", Heading.NETWORK
    compared = together = True
    proto: str
    host_ip: str
    host_port: int
    host_port_end: int
    container_port: int
    address: str = field(default="", metadata=HIDDEN)  # of the container, with its prefix, once it is done

    @classmethod
    def identify(cls, arguments: Mapping[str, Any]) -> str:
        """By the container's side and the host's address: one port may be published on several."""
        return f"{arguments['container_port']}/{arguments['proto']} {arguments['host_ip']}"

    def describe(self) -> str:
        last = f"-{self.host_port_end}" if self.host_port_end else ""
        port = (
            f"{self.host_ip}:{self.host_port}{last}" if self.host_port else f"a free port of {self.host_ip}"
        )
        return f"publish {self.container_port}/{self.proto} on {port}"

    async def do(self, host: Host, launch: Launch) -> Self:
        if launch.address is None:
            raise Internal(f"port {self.container_port} cannot be published: the container has no address")
        try:
            (port,) = host.networks.host.publish(launch.address, [self.wish()])
        except Internal as error:  # in the words that clients of Docker know
            raise Internal(
                "failed to set up container networking: driver failed programming external connectivity "
                f"on endpoint {launch.name} ({launch.endpoint_id}): {error.message}"
            ) from error
        address = str(launch.address)
        return replace(self, host_ip=port.host_ip, host_port=port.host_port, host_port_end=0, address=address)

    def undo(self, host: Host) -> None:
        self.undo_together([self], host)

    @classmethod
    def undo_together(cls, steps: Sequence[Self], host: Host) -> None:
        done = [step.published() for step in steps if step.address]
        if done:
            host.networks.host.unpublish(done)

    def look(self, host: Host) -> bool:
        return bool(self.address) and host.networks.host.has(self.published())

    def adopt(self, host: Host) -> None:
        host.networks.host.adopt(IPv4Interface(self.address), [self.published()])

    def wish(self) -> PortWish:
        """What the step asks of the network's ports."""
        return PortWish(self.proto, self.host_ip, self.host_port, self.container_port, self.host_port_end)

    def published(self) -> PublishedPort:
        """As it is on the host."""
        ip = self.address.partition("/")[0]
        return PublishedPort(self.proto, self.host_ip, self.host_port, self.container_port, ip)


def as_given(steps: Iterable[EngineStep], leases: Iterable[Attachment]) -> tuple[EngineStep, ...]:
    """Steps as they were done, where only their outcome is known."""
    by_name = {lease.network: lease for lease in leases}
    done: list[EngineStep] = []
    for step in steps:
        if isinstance(step, NetworkEndpoint) and step.network in by_name:
            done += step.given(by_name[step.network])
        elif not isinstance(step, PublishPort):
            done.append(step)
    return tuple(done)


def attachments_of(steps: Iterable[EngineStep]) -> dict[str, Attachment]:
    """Where a container is, by the network's name; its ports belong to the address that they lead to."""
    ports: dict[str, list[PublishedPort]] = {}
    endpoints = []
    for step in steps:
        if isinstance(step, PublishPort):
            ports.setdefault(step.address, []).append(step.published())
        elif isinstance(step, NetworkEndpoint):
            endpoints.append(step)
    return {e.network: e.attachment().publishing(ports.get(e.address, ())) for e in endpoints}
