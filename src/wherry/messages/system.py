"""The engine and its host. Engine API, SystemVersion and SystemInfo."""

from __future__ import annotations

import msgspec
from msgspec import field

from wherry.messages.base import Model


class PlatformName(Model, kw_only=True):
    """Who serves."""

    name: str


class Component(Model, kw_only=True):
    """A part of the engine, with its version."""

    name: str
    version: str
    details: dict[str, str]


class VersionInfo(Model, kw_only=True):
    """``GET /version``."""

    platform: PlatformName
    components: list[Component]
    version: str
    api_version: str
    min_api_version: str = field(name="MinAPIVersion")
    git_commit: str = ""
    go_version: str = ""
    os: str = "linux"
    arch: str
    kernel_version: str
    build_time: str = ""


class Plugins(Model, kw_only=True):
    """Kinds of drivers that are there."""

    volume: list[str]
    network: list[str]
    authorization: list[str] | None
    log: list[str]


class IndexConfig(Model, kw_only=True):
    """What is known of a registry."""

    mirrors: list[str]
    name: str
    official: bool
    secure: bool


class RegistryConfig(Model, kw_only=True):
    """The registries."""

    index_configs: dict[str, IndexConfig]
    insecure_registry_cidrs: list[str] = field(name="InsecureRegistryCIDRs")
    mirrors: list[str] | None


class Runtime(msgspec.Struct):
    """What runs containers."""

    path: str


class Swarm(Model, kw_only=True):
    """There is none."""

    node_id: str = field(default="", name="NodeID")
    node_addr: str = ""
    local_node_state: str = "inactive"
    control_available: bool = False
    error: str = ""
    remote_managers: None = None


class Commit(Model, kw_only=True):
    """Versions of what Docker consists of; empty here."""

    id: str = field(default="", name="ID")


class FirewallBackend(Model, kw_only=True):
    """What ports are published with."""

    driver: str


class Info(Model, kw_only=True):
    """``GET /info``."""

    id: str = field(name="ID")
    containers: int
    containers_running: int
    containers_paused: int
    containers_stopped: int
    images: int
    driver: str
    driver_status: list[tuple[str, str]]
    plugins: Plugins
    memory_limit: bool
    swap_limit: bool
    kernel_memory_tcp: bool = field(default=False, name="KernelMemoryTCP")
    cpu_cfs_period: bool
    cpu_cfs_quota: bool
    cpu_shares: bool = field(name="CPUShares")
    cpu_set: bool = field(name="CPUSet")
    pids_limit: bool
    ipv4_forwarding: bool = field(name="IPv4Forwarding")
    bridge_nf_iptables: bool | msgspec.UnsetType = field(default=msgspec.UNSET, name="BridgeNfIptables")
    bridge_nf_ip6tables: bool | msgspec.UnsetType = field(default=msgspec.UNSET, name="BridgeNfIp6tables")
    debug: bool = False
    n_fd: int = field(name="NFd")
    oom_kill_disable: bool
    n_goroutines: int = field(default=0, name="NGoroutines")
    system_time: str
    logging_driver: str
    cgroup_driver: str = "cgroupfs"
    cgroup_version: str
    n_events_listener: int = field(name="NEventsListener")
    kernel_version: str
    operating_system: str
    os_version: str = field(name="OSVersion")
    os_type: str = field(default="linux", name="OSType")
    architecture: str
    index_server_address: str = "https://index.docker.io/v1/"
    registry_config: RegistryConfig
    ncpu: int = field(name="NCPU")
    mem_total: int
    generic_resources: None = None
    docker_root_dir: str
    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""
    name: str
    labels: list[str] = field(default_factory=list)
    experimental_build: bool = False
    server_version: str
    runtimes: dict[str, Runtime]
    default_runtime: str
    swarm: Swarm = field(default_factory=Swarm)
    live_restore_enabled: bool = True
    isolation: str = ""
    init_binary: str = "wherry-launcher"
    containerd_commit: Commit = field(default_factory=Commit)
    runc_commit: Commit = field(default_factory=Commit)
    init_commit: Commit = field(default_factory=Commit)
    security_options: list[str]
    firewall_backend: FirewallBackend
    cdi_spec_dirs: list[str] = field(default_factory=list, name="CDISpecDirs")
    warnings: list[str] | None
