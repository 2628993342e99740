"""What is remembered of a container: what was wished, which is frozen, and what is the case, which stands apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from wherry.messages.base import ZERO_TIME
from wherry.messages.container import Config, EndpointSettings, HostConfig, MountPoint
from wherry.network.endpoint import Attachment
from wherry.network.ports import PublishedPort


class Phase(StrEnum):
    """Where a container is in its life; ``engine/lifecycle.py`` has the moves between them."""

    CREATED = "created"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"  # it runs, and has been asked to end
    RESTARTING = "restarting"  # it is to end, and to be started again
    EXITED = "exited"
    REMOVING = "removing"
    DEAD = "dead"  # it could not be removed whole
    GONE = "gone"


class Failure(StrEnum):
    """What the error in a container's state tells of."""

    NONE = ""  # also in rows of versions that kept the error alone
    START = "start"  # there was no process
    LOST = "lost"  # how it ended is not known
    MONITOR = "monitor"  # its monitor came to grief; how it ended is known


class ContainerRecord(msgspec.Struct, kw_only=True, frozen=True):
    """What was wished, completed by image and defaults. A rename replaces it; nothing else changes it."""

    id: str
    name: str  # without the slash
    created: str  # RFC 3339, nanoseconds
    path: str
    args: list[str]
    config: Config
    host_config: HostConfig
    image: str  # image id: sha256:…
    networks: dict[str, EndpointSettings] = msgspec.field(default_factory=dict)  # as asked for, by name
    mounts: list[MountPoint] = msgspec.field(default_factory=list)
    platform: str = "linux"
    recursive_read_only: bool = True  # read-only binds; not where a client of before API 1.44 asked

    @property
    def argv(self) -> tuple[str, ...]:
        """The command with its arguments."""
        return (self.path, *self.args)


class Asked(msgspec.Struct, frozen=True, omit_defaults=True):
    """That a run was asked to end: by which verb, with which signal, and after how many seconds it was killed."""

    by: str
    signal: int
    killed_after: int | None = None


def lost(id: str, name: str) -> ContainerRecord:
    """What stands for a container whose record cannot be read."""
    nobody = "sha256:" + 64 * "0"
    return ContainerRecord(
        id=id, name=name, created=ZERO_TIME, path="", args=[], config=Config(image=nobody),
        host_config=HostConfig(network_mode="none"), image=nobody,
    )  # fmt: skip


class ContainerState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is the case, as far as it outlives a reboot. Times are RFC 3339."""

    phase: Phase = Phase.CREATED
    pid: int = 0  # of its first process, on the host
    exit_code: int = 0
    error: str = ""
    failure: Failure = Failure.NONE
    oom_killed: bool = False
    asked: Asked | None = None  # of the last run
    started_at: str = ZERO_TIME
    finished_at: str = ZERO_TIME
    restart_count: int = 0
    networks: dict[str, str] = msgspec.field(default_factory=dict)  # ids by name, as of its last start
    unjournaled: list[Attachment] = msgspec.field(default_factory=list)  # of a version that wrote no journal


@dataclass(frozen=True, slots=True)
class ContainerView:
    """A container for who looks at it. What is the case goes on changing in the event loop's thread."""

    record: ContainerRecord
    state: ContainerState = field(default_factory=ContainerState)
    attachments: Mapping[str, Attachment] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def running(self) -> bool:
        """Whether it has a process."""
        return self.state.pid != 0

    @property
    def status(self) -> str:
        """The API's word for its phase; it has none for what passes in a moment."""
        match self.state.phase:
            case Phase.STARTING:
                return Phase.CREATED if self.state.started_at == ZERO_TIME else Phase.EXITED
            case Phase.STOPPING | Phase.RESTARTING:
                return Phase.RUNNING
            case Phase.REMOVING if self.running:  # until it is killed
                return Phase.RUNNING
            case Phase.GONE:
                return Phase.REMOVING
        return self.state.phase

    @property
    def ports(self) -> list[PublishedPort]:
        """What is published of it, on all its networks."""
        return [port for attachment in self.attachments.values() for port in attachment.ports]

    def copied(self) -> ContainerView:
        """As it is now, for another thread."""
        return ContainerView(self.record, msgspec.structs.replace(self.state), self.attachments)
