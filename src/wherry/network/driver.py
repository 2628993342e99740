"""What one network can do, whatever kind it is. Each kind is a driver, in ``drivers``.

A driver object is an open network: making it prepares what it needs of the host, ``close`` lets go. It owns the link,
the addresses, and ready-made endpoints. Firewall and published ports are the host's (``network.host``): the driver
only tells the facts that rules are made of. Everything may be called from any thread that is in the daemon's network
namespace.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import ClassVar, Protocol

from wherry.errors import Internal
from wherry.linux.rtnetlink import NetworkState
from wherry.network.endpoint import Attachment, Endpoint
from wherry.network.firewall import NetworkFacts

DEFAULT_MTU = 1500
FIRST_INSIDE = "eth0"  # what a container's first interface is called, as Docker does

Recorder = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Network:
    """Which network it is."""

    name: str
    driver: str  # as the API calls it
    id: str
    created: str  # RFC 3339


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """What is wished of a network. A driver takes from it what concerns its kind."""

    interface: str = ""  # of the host, that the network rests on
    address: IPv4Interface | None = (
        None  # the host's own on the network; None: what is there, or a free subnet
    )
    mtu: int = DEFAULT_MTU
    ours: bool = True  # where the interface is there already: an earlier engine made it, nobody else
    pool_size: int = 8  # endpoints to hold ready
    masquerade: bool = True
    between_containers: bool = True  # Docker's enable_icc


@dataclass(frozen=True, slots=True)
class EndpointWish:
    """What is wished of an endpoint beyond being on the network. One without wishes can come from a pool."""

    mac: bytes = b""
    inside: str = FIRST_INSIDE  # what the interface is to be called


PLAIN = EndpointWish()


@dataclass(frozen=True, slots=True)
class Subnet:
    """A range of addresses, and who leads out of it."""

    network: IPv4Network
    gateway: IPv4Address


@dataclass(frozen=True, slots=True)
class Description:
    """What ``inspect`` tells of a network."""

    subnets: tuple[Subnet, ...] = ()
    options: dict[str, str] = field(default_factory=dict)  # under Docker's names


class Watched(Protocol):
    """Something whose descriptor is readable when somebody has changed it."""

    def fileno(self) -> int: ...

    def drain(self) -> None:
        """Throw away what is waiting."""


class NetworkDriver(ABC):
    """One open network."""

    gives_endpoints: ClassVar[bool]  # False: a container on it has the host's namespace, and no more
    gives_addresses: ClassVar[bool] = True  # False: an endpoint is a namespace with lo, and no more
    network: Network
    interface: str = ""  # of the host, that the network rests on
    changes: Watched | None = None  # of what it has of the host, by whomever: then ``put_back`` is due

    @abstractmethod
    def __init__(self, network: Network, options: NetworkOptions, record: Recorder) -> None:
        """Have the network.

        ``record`` is called with an interface's name before that is made, so that the caller can write down that it
        is ours. InvalidArgument for a bad option; Unavailable where the host cannot have the network. Then nothing
        is left of it.
        """

    @abstractmethod
    def facts(self) -> NetworkFacts | None:
        """What the firewall has to know; None where it has nothing to do with this network."""

    @abstractmethod
    def describe(self) -> Description:
        """What ``inspect`` tells."""

    def put_back(self) -> Sequence[str]:
        """Have again what somebody took; what was missing, in words. OSError where that cannot be done.

        The facts may be others then.
        """
        return ()

    # ------------------------------------------------------------ endpoints

    @abstractmethod
    def start(self) -> None:
        """Begin to hold endpoints ready, in the background. Called once, after the last ``adopt``."""

    @abstractmethod
    def take(self, wish: EndpointWish = PLAIN) -> Endpoint | None:
        """An endpoint that is ready, at once; None where it has to be made."""

    def refill(self) -> None:
        """Have what was taken made again; called when nothing waits for the taker any more."""
        return

    @abstractmethod
    def order(self, wish: EndpointWish = PLAIN) -> Future[Endpoint]:
        """An endpoint that will be made. It is the caller's from the moment that the future has it.

        Unavailable where the network does not run; the future may hold Unavailable (no address is free), Conflict
        (not the wished one) or OSError (the kernel refuses). A cancelled future costs nothing.
        """

    @abstractmethod
    def adopt(self, attachment: Attachment) -> Endpoint:
        """Take over an endpoint that an earlier daemon made. Before ``start``."""

    @abstractmethod
    def held(self, endpoint_id: str) -> Endpoint | None:
        """An endpoint that somebody has; None where nobody has it, or not any more."""

    @abstractmethod
    def release(self, endpoint_id: str) -> None:
        """Take an endpoint back: namespace and address. That nobody has it is fine."""

    @abstractmethod
    def has(self, attachment: Attachment) -> bool:
        """Whether the host's end of an endpoint is there and plugged in, by the kernel's word; of one that has no end
        on the host, whether somebody has it."""

    @abstractmethod
    def recognise(self, inside: NetworkState) -> Attachment | None:
        """An earlier daemon's endpoint, by what its namespace holds; None where nothing there is of this network."""

    # ------------------------------------------------------------ the end

    @property
    @abstractmethod
    def in_use(self) -> bool:
        """Whether any endpoint is held by somebody."""

    @abstractmethod
    def close(self, *, remove: bool) -> None:
        """Let go. What running containers use stays; ``remove``: otherwise what was made for it is taken away."""


class WithoutEndpoints(NetworkDriver):
    """A network that a container is on by its namespace alone: nothing to make, nothing to give back."""

    gives_endpoints = False

    def __init__(self, network: Network, options: NetworkOptions, record: Recorder) -> None:
        self.network = network

    def facts(self) -> NetworkFacts | None:
        return None

    def describe(self) -> Description:
        return Description()

    def start(self) -> None:
        return

    def take(self, wish: EndpointWish = PLAIN) -> Endpoint | None:
        return None

    def order(self, wish: EndpointWish = PLAIN) -> Future[Endpoint]:
        raise Internal(f"network {self.network.name} gives no endpoints")

    def adopt(self, attachment: Attachment) -> Endpoint:
        raise Internal(f"network {self.network.name} gives no endpoints")

    def held(self, endpoint_id: str) -> Endpoint | None:
        return None

    def release(self, endpoint_id: str) -> None:
        return

    def recognise(self, inside: NetworkState) -> Attachment | None:
        return None

    def has(self, attachment: Attachment) -> bool:
        return False

    @property
    def in_use(self) -> bool:
        return False

    def close(self, *, remove: bool) -> None:
        return
