"""What a container is asked to be, and how it is shown. Engine API, Container."""

from __future__ import annotations

from msgspec import field

from wherry.messages.base import ZERO_TIME, Int, Model, Nothing, Request, Uint, Uint16, Uint32


class HealthConfig(Request, frozen=True, omit_defaults=True):
    """How a container is asked whether it is well. Engine API, HealthConfig; times in nanoseconds."""

    test: list[str] | None = None
    interval: Int = 0
    timeout: Int = 0
    start_period: Int = 0
    start_interval: Int = 0
    retries: Int = 0


class Config(Request, frozen=True):
    """Container ``Config``: what runs. Engine API, ContainerConfig."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: dict[str, Nothing] | None = None
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: list[str] | None = None
    cmd: list[str] | str | None = None
    healthcheck: HealthConfig | None = None
    args_escaped: bool = False
    image: str = ""
    volumes: dict[str, Nothing] | None = None
    working_dir: str = ""
    entrypoint: list[str] | str | None = None
    network_disabled: bool = False
    mac_address: str = ""
    on_build: list[str] | None = None
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    stop_timeout: Int | None = None
    shell: list[str] | str | None = None


class PortBinding(Request, frozen=True):
    """Where a port is published on the host; empty for any address, or a port of our choice."""

    host_ip: str = ""
    host_port: str = ""


class RestartPolicy(Request, frozen=True):
    """What follows the end of a container."""

    name: str = ""
    maximum_retry_count: Int = 0


class LogConfig(Request, frozen=True):
    """Where its output goes."""

    type: str = ""
    config: dict[str, str] | None = None


class DeviceMapping(Request, frozen=True):
    """A device of the host in the container."""

    path_on_host: str = ""
    path_in_container: str = ""
    cgroup_permissions: str = ""


class Ulimit(Request, frozen=True):
    """One limit of setrlimit(2); -1 is none."""

    name: str
    soft: Int = 0
    hard: Int = 0


class BindOptions(Request, frozen=True, omit_defaults=True):
    """How a directory of the host is mounted."""

    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False


class TmpfsOptions(Request, frozen=True, omit_defaults=True):
    """How a tmpfs is mounted."""

    size_bytes: Int = 0
    mode: Uint32 = 0
    options: list[list[str]] | None = None


class VolumeDriver(Request, frozen=True, omit_defaults=True):
    """Who looks after a volume, and what it is told."""

    name: str = ""
    options: dict[str, str] | None = None


class VolumeOptions(Request, frozen=True, omit_defaults=True):
    """How a volume is made and mounted."""

    no_copy: bool = False
    labels: dict[str, str] | None = None
    driver_config: VolumeDriver | None = None
    subpath: str = ""


class Mount(Request, frozen=True, omit_defaults=True):
    """One ``--mount``. Engine API, Mount."""

    type: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    tmpfs_options: TmpfsOptions | None = None


class WeightDevice(Request, frozen=True):
    """The share of a block device that a container gets, relative to others."""

    path: str = ""
    weight: Uint16 = 0


class ThrottleDevice(Request, frozen=True):
    """How much a container may read from or write to a block device in a second."""

    path: str = ""
    rate: Uint = 0


class DeviceRequest(Request, frozen=True):
    """Devices to be chosen by a driver, such as ``--gpus``."""

    driver: str = ""
    count: Int = 0
    device_ids: list[str] | None = field(default=None, name="DeviceIDs")
    capabilities: list[list[str]] | None = None
    options: dict[str, str] | None = None


class HostConfig(Request, frozen=True):
    """Container ``HostConfig``: how it is bound to the host. Engine API, HostConfig and Resources."""

    binds: list[str] | None = None
    container_id_file: str = field(default="", name="ContainerIDFile")
    log_config: LogConfig = field(default_factory=LogConfig)
    network_mode: str = "default"
    port_bindings: dict[str, list[PortBinding] | None] | None = None
    restart_policy: RestartPolicy = field(default_factory=RestartPolicy)
    auto_remove: bool = False
    volume_driver: str = ""
    volumes_from: list[str] | None = None
    console_size: tuple[Uint, Uint] = (0, 0)  # rows, columns
    annotations: dict[str, str] | None = None
    cap_add: list[str] | None = None
    cap_drop: list[str] | None = None
    cgroupns_mode: str = ""
    dns: list[str] | None = None
    dns_options: list[str] | None = None
    dns_search: list[str] | None = None
    extra_hosts: list[str] | None = None
    group_add: list[str] | None = None
    ipc_mode: str = ""
    cgroup: str = ""
    links: list[str] | None = None
    oom_score_adj: Int = 0
    pid_mode: str = ""
    privileged: bool = False
    publish_all_ports: bool = False
    readonly_rootfs: bool = False
    security_opt: list[str] | None = None
    storage_opt: dict[str, str] | None = None
    tmpfs: dict[str, str] | None = None
    uts_mode: str = field(default="", name="UTSMode")
    userns_mode: str = ""
    shm_size: Int = 0
    sysctls: dict[str, str] | None = None
    runtime: str = ""
    isolation: str = ""
    mounts: list[Mount] | None = None
    masked_paths: list[str] | None = None
    readonly_paths: list[str] | None = None
    init: bool | None = None
    # resources
    cpu_shares: Int = 0
    memory: Int = 0
    nano_cpus: Int = 0
    cgroup_parent: str = ""
    blkio_weight: Uint16 = 0
    blkio_weight_device: list[WeightDevice] | None = None
    blkio_device_read_bps: list[ThrottleDevice] | None = None
    blkio_device_write_bps: list[ThrottleDevice] | None = None
    blkio_device_read_i_ops: list[ThrottleDevice] | None = field(default=None, name="BlkioDeviceReadIOps")
    blkio_device_write_i_ops: list[ThrottleDevice] | None = field(default=None, name="BlkioDeviceWriteIOps")
    cpu_period: Int = 0
    cpu_quota: Int = 0
    cpu_realtime_period: Int = 0
    cpu_realtime_runtime: Int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: list[DeviceMapping] | None = None
    device_cgroup_rules: list[str] | None = None
    device_requests: list[DeviceRequest] | None = None
    kernel_memory: Int = 0
    memory_reservation: Int = 0
    memory_swap: Int = 0
    memory_swappiness: Int | None = None
    oom_kill_disable: bool | None = None
    pids_limit: Int | None = None
    ulimits: list[Ulimit] | None = None


class EndpointIpam(Request, frozen=True, omit_defaults=True):
    """Addresses of one's own choice on a network."""

    ipv4_address: str = field(default="", name="IPv4Address")
    ipv6_address: str = field(default="", name="IPv6Address")
    link_local_ips: list[str] | None = field(default=None, name="LinkLocalIPs")


class EndpointSettings(Request, frozen=True):
    """A container's place on one network."""

    ipam_config: EndpointIpam | None = field(default=None, name="IPAMConfig")
    links: list[str] | None = None
    aliases: list[str] | None = None
    mac_address: str = ""
    driver_opts: dict[str, str] | None = None
    gw_priority: Int = 0
    network_id: str = field(default="", name="NetworkID")
    endpoint_id: str = field(default="", name="EndpointID")
    gateway: str = ""
    ip_address: str = field(default="", name="IPAddress")
    ip_prefix_len: Int = field(default=0, name="IPPrefixLen")
    ipv6_gateway: str = field(default="", name="IPv6Gateway")
    global_ipv6_address: str = field(default="", name="GlobalIPv6Address")
    global_ipv6_prefix_len: Int = field(default=0, name="GlobalIPv6PrefixLen")
    dns_names: list[str] | None = field(default=None, name="DNSNames")


class NetworkingConfig(Request, frozen=True):
    """Networks to be on, by name."""

    endpoints_config: dict[str, EndpointSettings | None] | None = None


class ContainerCreate(Config, kw_only=True, rename="pascal", frozen=True):
    """Body of ``POST /containers/create``: Config at the top level, HostConfig and NetworkingConfig inside."""

    host_config: HostConfig | None = None
    networking_config: NetworkingConfig | None = None


class State(Model):
    """How a container stands, in ``inspect``."""

    status: str = "created"
    running: bool = False
    paused: bool = False
    restarting: bool = False
    oom_killed: bool = field(default=False, name="OOMKilled")
    dead: bool = False
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    started_at: str = ZERO_TIME
    finished_at: str = ZERO_TIME


class MountPoint(Request, frozen=True):
    """An entry of inspect's ``Mounts``."""

    type: str
    name: str = ""
    source: str = ""
    destination: str = ""
    driver: str = ""
    mode: str = ""
    rw: bool = field(default=True, name="RW")
    propagation: str = ""
