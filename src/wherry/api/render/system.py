"""``/version`` and ``/info``. Engine API, SystemVersion and SystemInfo."""

from __future__ import annotations

import platform

import msgspec
from msgspec import field

from wherry.api.call import MAX_VERSION, MIN_VERSION, Version, show_version
from wherry.engine.system import ENGINE_VERSION, RUNTIME, STORAGE_DRIVER, HostFacts, SystemInfo
from wherry.messages.base import Model
from wherry.network.drivers.catalogue import DRIVERS
from wherry.values.times import now

# ---------------------------------------------------------------- version


class PlatformName(Model, kw_only=True):
    name: str


class Component(Model, kw_only=True):
    name: str
    version: str
    details: dict[str, str]


class VersionInfo(Model, kw_only=True):
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


def version_info(host: HostFacts) -> VersionInfo:
    """What ``docker version`` prints as the server. There is no Go here: its field says which Python it is."""
    api, least = show_version(MAX_VERSION), show_version(MIN_VERSION)
    python = f"python{platform.python_version()}"
    engine = Component(
        name="Engine",
        version=ENGINE_VERSION,
        details={
            "ApiVersion": api,
            "Arch": host.go_architecture,
            "BuildTime": "",
            "Experimental": "false",
            "GitCommit": "",
            "GoVersion": python,
            "KernelVersion": host.kernel,
            "MinAPIVersion": least,
            "Os": "linux",
        },
    )
    launcher = Component(name="wherry-launcher", version=ENGINE_VERSION, details={"GitCommit": ""})
    return VersionInfo(
        platform=PlatformName(name="Wherry"),
        components=[engine, launcher],
        version=ENGINE_VERSION,
        api_version=api,
        min_api_version=least,
        go_version=python,
        arch=host.go_architecture,
        kernel_version=host.kernel,
    )


# ---------------------------------------------------------------- info


class Plugins(Model, kw_only=True):
    volume: list[str]
    network: list[str]
    authorization: list[str] | None
    log: list[str]


class IndexConfig(Model, kw_only=True):
    mirrors: list[str]
    name: str
    official: bool
    secure: bool


class RegistryConfig(Model, kw_only=True):
    index_configs: dict[str, IndexConfig]
    insecure_registry_cidrs: list[str] = field(name="InsecureRegistryCIDRs")
    mirrors: list[str] | None


class Runtime(msgspec.Struct):
    path: str


class Swarm(Model, kw_only=True):
    node_id: str = field(default="", name="NodeID")
    node_addr: str = ""
    local_node_state: str = "inactive"
    control_available: bool = False
    error: str = ""
    remote_managers: None = None


class Commit(Model, kw_only=True):
    id: str = field(default="", name="ID")


class FirewallBackend(Model, kw_only=True):
    driver: str


class Info(Model, kw_only=True):
    id: str = field(name="ID")
    containers: int
    containers_running: int
    containers_paused: int
    containers_stopped: int
    images: int
    driver: str = STORAGE_DRIVER
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
    server_version: str = ENGINE_VERSION
    runtimes: dict[str, Runtime]
    default_runtime: str = RUNTIME
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


def render_info(info: SystemInfo, listeners: int, version: Version) -> Info:
    """``docker info``. Containers outlive the daemon, so live restore is always on."""
    counts, host, limits = info.counts, info.host, info.limits
    result = Info(
        id=info.id,
        containers=counts.containers,
        containers_running=counts.running,
        containers_paused=counts.paused,
        containers_stopped=counts.stopped,
        images=counts.images,
        driver_status=[("Backing Filesystem", info.backing_filesystem)],
        plugins=Plugins(volume=[], network=list(DRIVERS), authorization=None, log=["json-file", "none"]),
        memory_limit=limits.memory,
        swap_limit=limits.swap,
        cpu_cfs_period=limits.cpu_quota,
        cpu_cfs_quota=limits.cpu_quota,
        cpu_shares=limits.cpu_shares,
        cpu_set=limits.cpu_set,
        pids_limit=limits.pids,
        ipv4_forwarding=host.ipv4_forwarding,
        n_fd=info.open_files,
        oom_kill_disable=limits.oom_kill_disable,
        system_time=now(),
        logging_driver=info.log_driver,
        cgroup_version=str(info.cgroup_version),
        n_events_listener=listeners,
        kernel_version=host.kernel,
        operating_system=host.operating_system,
        os_version=host.os_version,
        architecture=host.architecture,
        registry_config=registry_config(),
        ncpu=host.cpus,
        mem_total=host.memory,
        docker_root_dir=str(info.data_root),
        name=host.name,
        runtimes={RUNTIME: Runtime(path="wherry-launcher")},
        security_options=security_options(info.cgroup_version),
        firewall_backend=FirewallBackend(driver="nftables"),
        warnings=info.warnings or None,
    )
    if version < (1, 50):
        result.bridge_nf_iptables = result.bridge_nf_ip6tables = False
    return result


def registry_config() -> RegistryConfig:
    hub = IndexConfig(mirrors=[], name="docker.io", official=True, secure=True)
    return RegistryConfig(
        index_configs={"docker.io": hub}, insecure_registry_cidrs=["::1/128", "127.0.0.0/8"], mirrors=None
    )


def security_options(cgroup_version: int) -> list[str]:
    return ["name=seccomp,profile=builtin", *(["name=cgroupns"] if cgroup_version == 2 else [])]
