"""The OCI runtime specification's ``config.json``, as structs. OCI runtime-spec 1.2, config.md and config-linux.md.

Every field of a Linux bundle that an engine writes can be decoded; fields that are not named here are ignored,
as the specification demands of a runtime ("Extensibility").
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import field

VERSION = "1.2.1"


class Oci(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """Base: camel-case names, defaults left out when written."""


class Box(Oci):
    height: int = 0
    width: int = 0


class User(Oci, omit_defaults=False):
    """``username`` and ``groups`` are Wherry's own: Docker's user string, looked up in the image at start."""

    uid: int = 0
    gid: int = 0
    umask: int | None = None
    additional_gids: list[int] = field(default_factory=list)
    username: str = ""
    groups: list[str] = field(default_factory=list, name="wherryGroups")


class Capabilities(Oci):
    bounding: list[str] = field(default_factory=list)
    effective: list[str] = field(default_factory=list)
    inheritable: list[str] = field(default_factory=list)
    permitted: list[str] = field(default_factory=list)
    ambient: list[str] = field(default_factory=list)


class Rlimit(Oci):
    type: str
    hard: int = 0
    soft: int = 0


class Process(Oci):
    terminal: bool = False
    console_size: Box | None = None
    user: User = field(default_factory=User)
    args: list[str] = field(default_factory=list)
    env: list[str] = field(default_factory=list)
    cwd: str = ""
    capabilities: Capabilities | None = None
    rlimits: list[Rlimit] = field(default_factory=list)
    no_new_privileges: bool = False
    apparmor_profile: str = ""
    oom_score_adj: int | None = None
    selinux_label: str = ""
    scheduler: dict[str, Any] | None = None
    io_priority: dict[str, Any] | None = field(default=None, name="ioPriority")
    exec_cpu_affinity: dict[str, Any] | None = field(default=None, name="execCPUAffinity")


class Root(Oci):
    path: str
    readonly: bool = False


class IdMapping(Oci):
    container_id: int = field(default=0, name="containerID")
    host_id: int = field(default=0, name="hostID")
    size: int = 0


class Mount(Oci):
    destination: str
    type: str = ""
    source: str = ""
    options: list[str] = field(default_factory=list)
    uid_mappings: list[IdMapping] = field(default_factory=list)
    gid_mappings: list[IdMapping] = field(default_factory=list)


class Hook(Oci):
    path: str
    args: list[str] = field(default_factory=list)
    env: list[str] = field(default_factory=list)
    timeout: int | None = None


class Hooks(Oci):
    prestart: list[Hook] = field(default_factory=list)
    create_runtime: list[Hook] = field(default_factory=list)
    create_container: list[Hook] = field(default_factory=list)
    start_container: list[Hook] = field(default_factory=list)
    poststart: list[Hook] = field(default_factory=list)
    poststop: list[Hook] = field(default_factory=list)

    def any(self) -> bool:
        """Whether there is a hook at any point."""
        return any(getattr(self, name) for name in self.__struct_fields__)


class LinuxNamespace(Oci):
    type: str
    path: str = ""


class Device(Oci):
    path: str
    type: str
    major: int = 0
    minor: int = 0
    file_mode: int | None = None
    uid: int | None = None
    gid: int | None = None


class DeviceRule(Oci):
    """An entry of ``linux.resources.devices``: numbers that are missing or -1 mean any, type "" or "a" any."""

    allow: bool
    type: str = ""
    major: int | None = None
    minor: int | None = None
    access: str = ""


class Memory(Oci):
    limit: int | None = None
    reservation: int | None = None
    swap: int | None = None
    kernel: int | None = None
    kernel_tcp: int | None = field(default=None, name="kernelTCP")
    swappiness: int | None = None
    disable_oom_killer: bool | None = field(default=None, name="disableOOMKiller")
    use_hierarchy: bool | None = None
    check_before_update: bool | None = None


class Cpu(Oci):
    shares: int | None = None
    quota: int | None = None
    burst: int | None = None
    period: int | None = None
    realtime_runtime: int | None = None
    realtime_period: int | None = None
    cpus: str = ""
    mems: str = ""
    idle: int | None = None


class Pids(Oci):
    limit: int | None = None


class WeightDevice(Oci):
    major: int = 0
    minor: int = 0
    weight: int | None = None
    leaf_weight: int | None = None


class ThrottleDevice(Oci):
    major: int = 0
    minor: int = 0
    rate: int = 0


class BlockIo(Oci):
    weight: int | None = None
    leaf_weight: int | None = None
    weight_device: list[WeightDevice] = field(default_factory=list)
    throttle_read_bps_device: list[ThrottleDevice] = field(default_factory=list)
    throttle_write_bps_device: list[ThrottleDevice] = field(default_factory=list)
    throttle_read_iops_device: list[ThrottleDevice] = field(
        default_factory=list, name="throttleReadIOPSDevice"
    )
    throttle_write_iops_device: list[ThrottleDevice] = field(
        default_factory=list, name="throttleWriteIOPSDevice"
    )


class HugepageLimit(Oci):
    page_size: str
    limit: int = 0


class Resources(Oci):
    devices: list[DeviceRule] = field(default_factory=list)
    memory: Memory | None = None
    cpu: Cpu | None = None
    pids: Pids | None = None
    block_io: BlockIo | None = field(default=None, name="blockIO")
    hugepage_limits: list[HugepageLimit] = field(default_factory=list)
    network: dict[str, Any] | None = None
    rdma: dict[str, Any] | None = None
    unified: dict[str, str] | None = None


class SyscallArg(Oci):
    index: int
    value: int
    op: str
    value_two: int = 0


class Syscall(Oci):
    names: list[str]
    action: str
    errno_ret: int | None = None
    args: list[SyscallArg] = field(default_factory=list)


class Seccomp(Oci):
    """OCI runtime-spec, config-linux.md "Seccomp"."""

    default_action: str
    default_errno_ret: int | None = None
    architectures: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    listener_path: str = ""
    listener_metadata: str = ""
    syscalls: list[Syscall] = field(default_factory=list)


class Linux(Oci):
    uid_mappings: list[IdMapping] = field(default_factory=list)
    gid_mappings: list[IdMapping] = field(default_factory=list)
    sysctl: dict[str, str] = field(default_factory=dict)
    resources: Resources | None = None
    cgroups_path: str = ""
    namespaces: list[LinuxNamespace] = field(default_factory=list)
    devices: list[Device] = field(default_factory=list)
    seccomp: Seccomp | None = None
    rootfs_propagation: str = ""
    masked_paths: list[str] = field(default_factory=list)
    readonly_paths: list[str] = field(default_factory=list)
    mount_label: str = ""
    intel_rdt: dict[str, Any] | None = None
    personality: dict[str, Any] | None = None
    time_offsets: dict[str, Any] | None = None


class Spec(Oci):
    """A whole ``config.json``."""

    oci_version: str = ""
    process: Process | None = None
    root: Root | None = None
    hostname: str = ""
    domainname: str = ""
    mounts: list[Mount] = field(default_factory=list)
    hooks: Hooks | None = None
    annotations: dict[str, str] = field(default_factory=dict)
    linux: Linux | None = None


def decode(raw: bytes) -> Spec:
    """Read a ``config.json``; msgspec.ValidationError names the field that is wrong."""
    return msgspec.json.decode(raw, type=Spec)


def encode(spec: Spec) -> bytes:
    """The specification as JSON, as runc reads it."""
    return msgspec.json.encode(spec)
