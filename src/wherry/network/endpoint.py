"""A container's place on one network: as it is recorded, and as it is held while somebody needs it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

import msgspec

from wherry.network.ports import PublishedPort


class Attachment(msgspec.Struct, kw_only=True, frozen=True):
    """What a container was given on a network, as the store keeps it, so that a restarted daemon can take it over.

    A network without addresses leaves all but names and ids empty.
    """

    network: str
    network_id: str
    endpoint_id: str = ""
    address: str = ""  # 172.17.0.2/16
    gateway: str = ""
    mac: str = ""
    interface: str = ""  # the host's end
    inside: str = ""  # what the interface is called in the container
    ports: tuple[PublishedPort, ...] = ()

    def publishing(self, ports: Iterable[PublishedPort]) -> Attachment:
        """The same with these ports published."""
        return msgspec.structs.replace(self, ports=tuple(ports))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An attachment that is held. In its network namespace lo and the interface are up, with address and routes.

    ``netns_fd`` belongs to the endpoint until it is released; it is -1 for one that was taken over from an
    earlier daemon. Nothing but this descriptor and the processes inside hold the namespace.
    """

    attachment: Attachment
    address: IPv4Interface | None  # the attachment's; None on a network without addresses
    netns_fd: int = -1

    @classmethod
    def adopted(cls, attachment: Attachment) -> Endpoint:
        """One that an earlier daemon made, of which only the record and the container's processes are left."""
        return cls(attachment, IPv4Interface(attachment.address) if attachment.address else None)

    @property
    def endpoint_id(self) -> str:
        return self.attachment.endpoint_id

    @property
    def network(self) -> str:
        """The network's name."""
        return self.attachment.network

    @property
    def gateway(self) -> IPv4Address:
        """The default route's next hop. ValueError on a network without addresses."""
        return IPv4Address(self.attachment.gateway)

    @property
    def mac(self) -> str:
        """The inner interface's MAC address, as ``02:42:ac:11:00:02``; empty where there is none."""
        return self.attachment.mac

    @property
    def host_interface(self) -> str:
        """The name of the host's end of the veth pair; empty where there is none."""
        return self.attachment.interface

    @property
    def inside(self) -> str:
        """What the interface is called in the container."""
        return self.attachment.inside
