"""What is remembered of a container."""

from __future__ import annotations

import msgspec
from msgspec import field

from wherry.messages.container import Config, EndpointSettings, HostConfig, MountPoint, State
from wherry.network.endpoint import Attachment


class Status:
    """States of a container, as the API spells them."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


class ContainerRecord(msgspec.Struct, kw_only=True):
    """All that the store keeps of a container."""

    id: str
    name: str  # without the slash
    created: str  # RFC 3339, nanoseconds
    path: str
    args: list[str]
    config: Config
    host_config: HostConfig
    image: str  # image id: sha256:…
    networks: dict[str, EndpointSettings] = field(default_factory=dict)
    mounts: list[MountPoint] = field(default_factory=list)
    state: State = field(default_factory=State)
    restart_count: int = 0
    attachment: Attachment | None = None
    platform: str = "linux"
