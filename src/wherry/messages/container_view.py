"""What is answered about containers. Engine API, ContainerSummary, ContainerInspectResponse and others."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType, field

from wherry.messages.base import GraphDriver, Model
from wherry.messages.container import EndpointSettings, PortBinding, State


class Port(msgspec.Struct, omit_defaults=True, rename="pascal"):
    """A port in ``ps``."""

    ip: str = field(default="", name="IP")
    private_port: int = 0
    public_port: int = 0
    type: str = ""


class SummaryHostConfig(Model, kw_only=True):
    """What ``ps`` shows of the HostConfig."""

    network_mode: str
    annotations: dict[str, str] | UnsetType = UNSET


class SummaryNetworks(Model, kw_only=True):
    """The networks in ``ps``."""

    networks: dict[str, EndpointSettings]


class ContainerSummary(Model, kw_only=True):
    """``GET /containers/json``, one container."""

    id: str
    names: list[str]
    image: str
    image_id: str = field(name="ImageID")
    command: str
    created: int
    ports: list[Port]
    size_rw: int | UnsetType = UNSET
    size_root_fs: int | UnsetType = UNSET
    labels: dict[str, str]
    state: str
    status: str
    host_config: SummaryHostConfig
    network_settings: SummaryNetworks
    mounts: list[dict[str, Any]]


class NetworkSettings(Model, kw_only=True):
    """The networks in ``inspect``; at the top those of the default one, for old clients."""

    bridge: str = ""
    sandbox_id: str = field(default="", name="SandboxID")
    sandbox_key: str = ""
    ports: dict[str, list[PortBinding] | None] = field(default_factory=dict)
    hairpin_mode: bool = False
    link_local_ipv6_address: str = field(default="", name="LinkLocalIPv6Address")
    link_local_ipv6_prefix_len: int = field(default=0, name="LinkLocalIPv6PrefixLen")
    secondary_ip_addresses: None = field(default=None, name="SecondaryIPAddresses")
    secondary_ipv6_addresses: None = field(default=None, name="SecondaryIPv6Addresses")
    endpoint_id: str = field(default="", name="EndpointID")
    gateway: str = ""
    global_ipv6_address: str = field(default="", name="GlobalIPv6Address")
    global_ipv6_prefix_len: int = field(default=0, name="GlobalIPv6PrefixLen")
    ip_address: str = field(default="", name="IPAddress")
    ip_prefix_len: int = field(default=0, name="IPPrefixLen")
    ipv6_gateway: str = field(default="", name="IPv6Gateway")
    mac_address: str = ""
    networks: dict[str, EndpointSettings] = field(default_factory=dict)


class ContainerInspect(Model, kw_only=True):
    """``GET /containers/{id}/json``."""

    id: str
    created: str
    path: str
    args: list[str]
    state: State
    image: str
    resolv_conf_path: str
    hostname_path: str
    hosts_path: str
    log_path: str
    name: str
    restart_count: int
    driver: str = "overlay2"
    platform: str = "linux"
    mount_label: str = ""
    process_label: str = ""
    app_armor_profile: str = ""
    exec_ids: list[str] | None = field(default=None, name="ExecIDs")
    host_config: dict[str, Any]
    graph_driver: GraphDriver
    size_rw: int | UnsetType = UNSET
    size_root_fs: int | UnsetType = UNSET
    mounts: list[dict[str, Any]]
    config: dict[str, Any]
    network_settings: NetworkSettings


class CreatedAnswer(Model, kw_only=True):
    """``POST /containers/create``."""

    id: str
    warnings: list[str]


class TopAnswer(Model, kw_only=True):
    """``GET /containers/{id}/top``."""

    processes: list[list[str]]
    titles: list[str]


class WaitError(Model, kw_only=True):
    """Why a wait ended without an exit code."""

    message: str


class WaitAnswer(Model, kw_only=True):
    """``POST /containers/{id}/wait``."""

    status_code: int
    error: WaitError | UnsetType = UNSET
