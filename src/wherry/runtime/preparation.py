"""The steps of a plan that the engine does itself, before the launcher begins. They have no wire form.

They are steps like the others, with a cause and words for a reader, so that a plan says everything that
will be on the host for a container, whoever puts it there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wherry.runtime.steps import Arg, Heading, Side, Step

FROM_POOL = "from the pool, at start"


@dataclass(frozen=True, slots=True)
class Preparation(Step):
    """A step of the engine's."""

    code, side = 0, Side.ENGINE

    def args(self) -> Sequence[Arg]:
        raise TypeError(f"{self.name} is the engine's own step and never reaches the launcher")


@dataclass(frozen=True, slots=True)
class WriteRecord(Preparation):
    """Keep the container's record in the store."""

    name, heading = "record", Heading.PROCESS
    database: str

    def describe(self) -> str:
        return f"record the container in {self.database}"


@dataclass(frozen=True, slots=True)
class WritableLayer(Preparation):
    """Make the directories that take what the container writes."""

    name, heading = "writable-layer", Heading.LAYERS
    upper: str
    work: str

    def describe(self) -> str:
        return f"writable layer {self.upper}"


@dataclass(frozen=True, slots=True)
class RuntimeDirectory(Preparation):
    """Make the directory for the monitor's socket, the exit file and the generated /etc files."""

    name, heading = "runtime-directory", Heading.FILESYSTEMS
    path: str
    socket: str

    def describe(self) -> str:
        return f"make directory {self.path}, with the monitor's socket"


@dataclass(frozen=True, slots=True)
class ParentCgroup(Preparation):
    """Have the cgroup that the container's own is made in; one that is there is fine. The daemon's outlives it."""

    name, heading = "parent-cgroup", Heading.LIMITS
    path: str  # the same below every controller

    def describe(self) -> str:
        return f"have the cgroup /{self.path}, below which the container's own is made"


@dataclass(frozen=True, slots=True)
class JoinContainer(Preparation):
    """Open a namespace of another container, to be joined."""

    name, heading = "open-namespace", Heading.NAMESPACES
    identity = "kind"
    kind: str  # network, pid, ipc
    container: str  # name or id, as asked

    def describe(self) -> str:
        return f"open the {self.kind} namespace of container {self.container}"


@dataclass(frozen=True, slots=True)
class NetworkEndpoint(Preparation):
    """Take a wired network namespace: an interface, plugged into one of the host's, with address and default route.

    Addresses are "" until the start, as they come from the pool.
    """

    name, heading = "endpoint", Heading.NETWORK
    network: str
    plugged_into: str
    inside: str  # the interface's name in the namespace
    address: str = ""
    gateway: str = ""
    mac: str = ""
    interface: str = ""  # its other end, on the host

    def describe(self) -> str:
        where = f"{self.inside}, plugged into {self.plugged_into}" + (
            f" as {self.interface}" if self.interface else ""
        )
        return f"network namespace with {where}, address {self.address or FROM_POOL}"


@dataclass(frozen=True, slots=True)
class PublishPort(Preparation):
    """Put an element into the firewall's map of published ports. ``host_port`` 0: any free one."""

    name, heading = "publish-port", Heading.NETWORK
    identity = "container_port"
    proto: str
    host_ip: str
    host_port: int
    host_port_end: int
    container_port: int

    def describe(self) -> str:
        port = str(self.host_port) if self.host_port else "a free port"
        last = f"-{self.host_port_end}" if self.host_port_end else ""
        return f"publish {self.host_ip}:{port}{last} as {self.container_port}/{self.proto}"


@dataclass(frozen=True, slots=True)
class LeftOut(Preparation):
    """A protection that a container usually has and this one does not: nothing is done, which is worth saying."""

    name, heading = "left-out", Heading.RIGHTS
    identity = "what"
    what: str

    def describe(self) -> str:
        return f"leave out {self.what}"


@dataclass(frozen=True, slots=True)
class ShareWithHost(Preparation):
    """A namespace that is not made: the container is in the host's."""

    name, heading = "share-with-host", Heading.NAMESPACES
    identity = "kind"
    kind: str

    def describe(self) -> str:
        return f"share the host's {self.kind} namespace"
