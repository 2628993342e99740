"""What is remembered of a container."""

from __future__ import annotations

import msgspec
from msgspec import field

from wherry.messages.container import Config, EndpointSettings, HostConfig, MountPoint, State


class Status:
    """States of a container, as the API spells them."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


class PublishedPort(msgspec.Struct, frozen=True):
    """A port as it was really published."""

    proto: str
    host_ip: str
    host_port: int
    container_port: int


class Attachment(msgspec.Struct, kw_only=True):
    """A container's lease on its network, kept so that a restarted daemon can take it over."""

    network: str
    network_id: str
    endpoint_id: str
    address: str = ""  # 172.17.0.2/16
    gateway: str = ""
    mac: str = ""
    interface: str = ""  # host end of the veth
    ports: list[PublishedPort] = field(default_factory=list)


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
