"""A step of the engine's, and what it needs to be done.

Engine steps are steps like the launcher's, with a cause and words for a reader, so that a plan says everything that
will be on the host for a container, whoever puts it there. They have no wire form: the launcher never sees them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from ipaddress import IPv4Interface
from typing import ClassVar, Self

from wherry.engine.events import EventBus
from wherry.engine.network import Networks
from wherry.engine.store import Store
from wherry.runtime.cgroups import Cgroups
from wherry.runtime.steps import Arg, Fd, Side, Step
from wherry.snapshot.overlay import OverlayStore


class Moment(IntEnum):
    """The moments of a container's life at which steps are done and undone."""

    CREATE = 1
    START = 2
    EXIT = 3
    REMOVAL = 4


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A container that others share namespaces with. ``pid`` is of its first process, 0 where it does not run.

    ``files_of`` is the id of the container whose hosts, hostname and resolv.conf are also its own, and whose names: its
    own id, unless it shares another's network itself. ``memory_of`` and ``ipc_mode`` are in the same way those of the
    one whose /dev/shm it has. ``of_host``: the kinds of namespaces that are the host's.
    """

    id: str
    name: str
    pid: int
    status: str
    ipc_mode: str
    memory_of: str
    files_of: str = ""
    hostname: str = ""
    domainname: str = ""
    of_host: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Host:
    """The doors to all that a step may touch. ``neighbour`` finds another container by name or id; NotFound."""

    store: Store
    snapshots: OverlayStore
    cgroups: Cgroups
    networks: Networks
    events: EventBus
    neighbour: Callable[[str], Neighbour]


@dataclass(slots=True)
class Launch:
    """What a launch gathers on its way: descriptors for the launcher, and where the container is on the network.

    ``name`` is the container's, for words. The descriptors in ``owned`` are closed once the launcher has its copies.
    ``left`` is what could not be undone after a failure.
    """

    name: str = ""
    fds: dict[Fd, int] = field(default_factory=dict)
    owned: list[int] = field(default_factory=list)
    left: list[EngineStep] = field(default_factory=list)
    endpoint_id: str = ""
    address: IPv4Interface | None = None

    def close(self) -> None:
        """Close what the launcher has its own copies of by now. Closed already is fine."""
        for descriptor in self.owned:
            os.close(descriptor)
        self.owned.clear()


@dataclass(frozen=True, slots=True)
class EngineStep(Step):
    """One thing that the engine does. A kind that only tells of something overrides nothing but ``describe``."""

    code, side = 0, Side.ENGINE
    done_at: ClassVar[Moment] = Moment.START
    undone_at: ClassVar[Moment] = Moment.EXIT
    compared: ClassVar[bool] = False  # drift compares it in detail, so that a look is not all
    together: ClassVar[bool] = False  # undone with its neighbours of this kind: see ``undo_together``

    def args(self) -> Sequence[Arg]:
        raise TypeError(f"{self.name} is the engine's own step and never reaches the launcher")

    async def do(self, host: Host, launch: Launch) -> Self:
        """Do it. The step as it was done: what was open when it was planned is filled in.

        A WherryError or OSError says why it cannot be done; ``undo`` then takes back what there is of it.
        """
        return self

    def undo(self, host: Host) -> None:
        """Take it back. Fine where it was done only half, or never, or is undone already."""

    @classmethod
    def undo_together(cls, steps: Sequence[Self], host: Host) -> None:
        """Undo several of this kind, in less time than one after the other."""
        for step in steps:
            step.undo(host)

    def look(self, host: Host) -> bool:
        """Whether it is there, by the kernel's or the store's word."""
        return True

    def adopt(self, host: Host) -> None:
        """After a restart of the daemon: take over what is there, for a container that runs on."""
