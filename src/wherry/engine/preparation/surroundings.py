"""What a plan's second part takes from its first: the namespaces that are joined, the address. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

from wherry.engine.preparation.namespaces import JoinContainer
from wherry.engine.preparation.networks import NetworkEndpoint
from wherry.engine.preparation.shared_memory import SharedMemory
from wherry.engine.preparation.step import EngineStep
from wherry.runtime.spec import JoinedNamespaces


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a container will be. ``files_of``: id of the container whose hosts, hostname and resolv.conf it shares, and
    whose names; ``shm``: a directory on the host to be its /dev/shm, where that is shared."""

    joined: JoinedNamespaces = JoinedNamespaces()
    files_of: str = ""
    address: IPv4Address | None = None
    shm: str = ""
    hostname: str = ""
    domainname: str = ""

    @classmethod
    def of(cls, steps: Iterable[EngineStep]) -> Surroundings:
        """By steps as they were done, or as they are planned: then without an address."""
        paths: dict[str, str] = {}
        files_of = shm = hostname = domainname = ""
        address: IPv4Address | None = None
        for step in steps:
            if isinstance(step, JoinContainer):
                paths[step.kind] = step.path or f"container {step.container}"
                if step.kind == "network":
                    files_of = step.files_of or step.id or step.container
                    hostname, domainname = step.hostname, step.domainname
                shm = step.shm or shm
            elif isinstance(step, SharedMemory):
                shm = step.path
            elif isinstance(step, NetworkEndpoint):
                paths["network"] = step.network
                if step.address and address is None:
                    address = IPv4Interface(step.address).ip
        return cls(JoinedNamespaces(**paths), files_of, address, shm, hostname, domainname)
