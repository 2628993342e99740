"""A container's configuration to its OCI runtime specification, with Docker's defaults. Pure."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from wherry.errors import InvalidArgument
from wherry.messages.container import Config, HostConfig, Ulimit
from wherry.runtime import capabilities, devices, resources, rlimits
from wherry.runtime import oci_spec as oci
from wherry.runtime.causes import (
    Causes,
    by_daemon,
    cgroup_parent_cause,
    flagged,
    mode_words,
    namespace_causes,
    process_causes,
    switched,
    together,
    valued,
)
from wherry.runtime.checks import CONTAINER, check_sysctls
from wherry.runtime.image_config import ProcessRequest
from wherry.runtime.mount_options import tmpfs_options
from wherry.runtime.mounts import BIND, TMPFS, MountPoint, in_mount_order, size_word
from wherry.runtime.security import Security
from wherry.runtime.steps import Cause, Origin, asked

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_SHM = 64 * 1024 * 1024
PING_GROUPS, PORT_START = "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start"
NETWORK_SYSCTLS = {PING_GROUPS: "0 2147483647", PORT_START: "0"}

MASKED = (
    "/proc/asound /proc/acpi /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list "
    "/proc/timer_stats /proc/sched_debug /proc/scsi /sys/firmware /sys/devices/virtual/powercap"
)
READ_ONLY = "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger"


@dataclass(frozen=True, slots=True)
class JoinedNamespaces:
    """Namespaces that exist already and are to be entered: a path (``/proc/PID/ns/net``, a netns file), or "".

    What stands here is only recorded in the specification; the launcher gets descriptors.
    """

    network: str = ""
    pid: str = ""
    ipc: str = ""


@dataclass(frozen=True, slots=True)
class SpecInput:
    """All that a specification is made of. ``config`` is the merged one (see ``image_config.merge``).

    ``mounts`` have their sources resolved (volumes: the directory on the host); ``files`` are the daemon's own
    hosts, hostname and resolv.conf; ``shm`` is a directory on the host to be /dev/shm, where the IPC mode shares
    it; ``image`` is only looked at to tell whose wish a setting was.
    """

    id: str
    root: str
    argv: tuple[str, ...]
    config: Config
    host: HostConfig
    image: ProcessRequest | None = None
    mounts: tuple[MountPoint, ...] = ()
    files: tuple[MountPoint, ...] = ()
    joined: JoinedNamespaces = JoinedNamespaces()
    shm: str = ""
    shm_size: int = DEFAULT_SHM
    cgroup_parent: str = "/wherry"
    cgroup_version: int = 1
    available: tuple[str, ...] = field(default_factory=capabilities.known)
    devices: tuple[devices.HostDevice, ...] = ()
    blocks: resources.BlockDevices = field(default_factory=dict)  # those that limits are asked for
    ulimits: tuple[Ulimit, ...] = ()  # the daemon's defaults
    security: Security = Security()
    masked: tuple[str, ...] = ()  # more than Docker's twelve: see thermal_paths
    host_name: str = ""  # what the host itself is called
    default_network: str = ""  # of whoever asks for none
    daemon_init: bool = False  # the daemon's options ask for it
    daemon_no_new_privileges: bool = False


def build_spec(wish: SpecInput) -> tuple[oci.Spec, Causes]:
    """The specification, and who asked for what: a map from places in it (``mounts:/data``,
    ``linux.resources.memory.limit``, ``process.env``) to causes; what is missing there is a default.

    Raises InvalidArgument for what can only be seen here. OCI runtime-spec, config.md and config-linux.md.
    """
    causes = process_causes(wish)
    linux = build_linux(wish, causes)
    spec = oci.Spec(
        oci_version=oci.VERSION,
        process=build_process(wish, causes),
        root=oci.Root(path=wish.root, readonly=wish.host.readonly_rootfs),
        hostname="" if wish.host.uts_mode == "host" else wish.config.hostname,
        domainname=wish.config.domainname,
        mounts=build_mounts(wish, causes),
        annotations=dict(wish.host.annotations or {}),
        linux=linux,
    )
    causes["root.readonly"] = switched("--read-only", wish.host.readonly_rootfs)
    return spec, causes


# ---------------------------------------------------------------- process


def build_process(wish: SpecInput, causes: Causes) -> oci.Process:
    config, host = wish.config, wish.host
    kept = list(
        capabilities.granted(
            host.cap_add or (), host.cap_drop or (), privileged=host.privileged, available=wish.available
        )
    )
    return oci.Process(
        terminal=config.tty,
        user=oci.User(username=config.user, groups=list(host.group_add or ())),
        args=list(wish.argv),
        env=environment(config.env or (), hostname=config.hostname, tty=config.tty),
        cwd=config.working_dir or "/",
        capabilities=oci.Capabilities(bounding=kept, effective=kept, permitted=kept),
        rlimits=build_rlimits(wish, causes),
        no_new_privileges=wish.security.no_new_privileges,
        oom_score_adj=host.oom_score_adj,
    )


def environment(env: Iterable[str], *, hostname: str, tty: bool) -> list[str]:
    """Docker's variables, replaced or followed by the container's own. A name without a value unsets one."""
    values = {"PATH": f"PATH={DEFAULT_PATH}", "HOSTNAME": f"HOSTNAME={hostname}"}
    if tty:
        values["TERM"] = "TERM=xterm"
    for entry in env:
        name, equals, _ = entry.partition("=")
        if equals:
            values[name] = entry
        else:
            values.pop(name, None)
    return list(values.values())


def build_rlimits(wish: SpecInput, causes: Causes) -> list[oci.Rlimit]:
    """The daemon's defaults, replaced by the container's own of the same name."""
    chosen = {limit.name: limit for limit in (*wish.ulimits, *(wish.host.ulimits or ()))}
    for limit in wish.ulimits:
        causes[f"process.rlimits:{limit.name}"] = Cause(Origin.DAEMON, "its own limit")
    for limit in wish.host.ulimits or ():
        causes[f"process.rlimits:{limit.name}"] = asked(f"--ulimit {limit.name}={limit.soft}:{limit.hard}")
    return [
        oci.Rlimit(type=rlimits.oci_type(limit.name), soft=unsigned(limit.soft), hard=unsigned(limit.hard))
        for limit in chosen.values()
    ]


def unsigned(value: int) -> int:
    return value & 0xFFFFFFFFFFFFFFFF


# ---------------------------------------------------------------- linux


def cgroup_path(id: str, host: HostConfig, default_parent: str) -> str:
    """The container's cgroup, the same below every controller."""
    parent = own_parent(host) if host.cgroup_parent else default_parent.strip("/")
    return f"/{parent}/{id}" if parent else f"/{id}"


def own_parent(host: HostConfig) -> str:
    """``--cgroup-parent`` without what leads nowhere; "" for the host's own group."""
    return "/".join(part for part in host.cgroup_parent.split("/") if part not in ("", "."))


def build_linux(wish: SpecInput, causes: Causes) -> oci.Linux:
    host = wish.host
    namespaces = build_namespaces(wish, causes)
    limits = resources.to_oci(host, wish.blocks, causes)
    limits.devices = device_rules(wish)
    for device in wish.devices:
        causes[f"linux.devices:{device.device.path}"] = device.cause
    causes["linux.resources.devices"] = device_rules_cause(wish)
    causes["linux.cgroupsPath"] = cgroup_parent_cause(host)
    return oci.Linux(
        sysctl=build_sysctls(wish, causes, frozenset(n.type for n in namespaces)),
        resources=limits,
        cgroups_path=cgroup_path(wish.id, host, wish.cgroup_parent),
        namespaces=namespaces,
        devices=[device.device for device in wish.devices],
        masked_paths=hidden_paths(host.privileged, host.masked_paths, (*default_masked(), *wish.masked)),
        readonly_paths=hidden_paths(host.privileged, host.readonly_paths, default_read_only()),
    )


@cache
def default_masked() -> tuple[str, ...]:
    """Docker's masked paths, without those that this host's hardware adds."""
    return tuple(MASKED.split())


@cache
def default_read_only() -> tuple[str, ...]:
    """Docker's paths that can be read and not written."""
    return tuple(READ_ONLY.split())


def thermal_paths(sysfs: str = "/sys") -> tuple[str, ...]:
    """Where CPUs tell of their throttling, which tells of the host's load. Looks at the host."""
    return tuple(sorted(glob.glob(f"{sysfs}/devices/system/cpu/cpu[0-9]*/thermal_throttle")))


def hidden_paths(privileged: bool, wanted: Sequence[str] | None, default: tuple[str, ...]) -> list[str]:
    """A list in the request replaces the default, also an empty one (``--security-opt systempaths=unconfined``)."""
    if privileged:
        return []
    return list(default) if wanted is None else list(wanted)


def build_namespaces(wish: SpecInput, causes: Causes) -> list[oci.LinuxNamespace]:
    """The namespaces to make or join, in Docker's order; one that is the host's is not listed."""
    host, joined = wish.host, wish.joined
    modes = (
        ("network", host.network_mode, joined.network),
        ("uts", host.uts_mode, ""),
        ("pid", host.pid_mode, joined.pid),
        ("ipc", host.ipc_mode, joined.ipc),
    )
    for kind, cause in namespace_causes(wish.config, host, wish.default_network).items():
        causes[f"linux.namespaces:{kind}"] = cause
    namespaces = [oci.LinuxNamespace(type="mount")]
    for kind, mode, path in modes:
        if mode.startswith(CONTAINER) and not path:
            raise InvalidArgument(f"cannot join the {kind} namespace of {mode}: it is not running")
        if mode != "host":
            namespaces.append(oci.LinuxNamespace(type=kind, path=path))
    if cgroup_namespace(wish):
        namespaces.append(oci.LinuxNamespace(type="cgroup"))
    return namespaces


def cgroup_namespace(wish: SpecInput) -> bool:
    """Whether it has one of its own."""
    return (wish.host.cgroupns_mode or default_cgroup_namespace(wish.cgroup_version)) == "private"


def default_cgroup_namespace(cgroup_version: int) -> str:
    """The mode of a container that does not ask for one."""
    return "private" if cgroup_version == 2 else "host"


def build_sysctls(wish: SpecInput, causes: Causes, namespaces: frozenset[str]) -> dict[str, str]:
    own = dict(wish.host.sysctls or {})
    check_sysctls(tuple(own), namespaces)
    for key, value in own.items():
        causes[f"linux.sysctl:{key}"] = asked(f"--sysctl {key}={value}")
    mode = wish.host.network_mode
    private = mode != "host" and not mode.startswith(CONTAINER)
    return {**NETWORK_SYSCTLS, **own} if private else own


def device_rules(wish: SpecInput) -> list[oci.DeviceRule]:
    """What may be opened. OCI runtime-spec, config-linux.md "Allowed Device list"."""
    if wish.host.privileged:
        return [oci.DeviceRule(allow=True, access="rwm")]
    return [
        *devices.docker_rules(),
        *(rule_for(device) for device in wish.devices),
        *(devices.parse_rule(rule) for rule in wish.host.device_cgroup_rules or ()),
    ]


def device_rules_cause(wish: SpecInput) -> Cause:
    """Of the rules that are not Docker's own; all devices of the host have one cause in common."""
    if wish.host.privileged:
        return asked("--privileged")
    given = (device.cause for device in wish.devices)
    return together(*given, flagged("--device-cgroup-rule", wish.host.device_cgroup_rules))


def rule_for(device: devices.HostDevice) -> oci.DeviceRule:
    node = device.device
    return oci.DeviceRule(
        allow=True, type=node.type, major=node.major, minor=node.minor, access=device.access
    )


# ---------------------------------------------------------------- mounts


def build_mounts(wish: SpecInput, causes: Causes) -> list[oci.Mount]:
    """Docker's own mounts, without those that the user's replace, then the user's, shallow ones first."""
    targets = {mount.target for mount in wish.mounts}
    shared = [shared_shm(wish)] if wish.shm and "/dev/shm" not in targets else []
    files = [own_file(file, wish.host.readonly_rootfs) for file in wish.files if file.target not in targets]
    causes.update(default_mount_causes(wish))
    theirs = in_mount_order([*wish.mounts, *files, *shared])
    replaced = {mount.target for mount in theirs}
    for mount in theirs:
        causes[f"mounts:{mount.target}"] = mount.cause
    ours = [mount for mount in default_mounts(wish) if not is_replaced(mount.destination, replaced)]
    return ours + [to_oci(mount, wish) for mount in theirs]


def is_replaced(target: str, replaced: set[str]) -> bool:
    return target in replaced or ("/dev" in replaced and target.startswith("/dev/"))


def shared_shm(wish: SpecInput) -> MountPoint:
    cause = asked(f"--ipc {mode_words(wish.host.ipc_mode)}")
    return MountPoint(BIND, "/dev/shm", source=wish.shm, propagation="rprivate", cause=cause)


def own_file(file: MountPoint, read_only: bool) -> MountPoint:
    cause = together(file.cause, switched("--read-only", read_only))
    return replace(file, writable=not read_only, propagation="rprivate", cause=cause)


def default_mount_causes(wish: SpecInput) -> Iterator[tuple[str, Cause]]:
    """Of those of Docker's mounts that an option changes."""
    host = wish.host
    if host.privileged:
        yield "mounts:/sys", asked("--privileged")
    yield (
        "mounts:/sys/fs/cgroup",
        together(writable_cgroups_cause(wish.security, privileged=host.privileged), cgroup_cause(wish)),
    )
    yield "mounts:/dev/shm", shm_cause(wish)


def cgroup_cause(wish: SpecInput) -> Cause:
    """Of how the hierarchy is shown."""
    host = wish.host
    mode = valued("--cgroupns", host.cgroupns_mode)
    return together(mode, cgroup_parent_cause(host))


def writable_cgroups_cause(security: Security, *, privileged: bool) -> Cause:
    """Of how the hierarchy is mounted: writable or not."""
    if security.writable_cgroups is not None:
        return asked(f"--security-opt writable-cgroups={str(security.writable_cgroups).lower()}")
    return switched("--privileged", privileged)


def shm_cause(wish: SpecInput) -> Cause:
    """The size is the daemon's where the request has the same."""
    size = wish.host.shm_size
    if size and size != wish.shm_size:
        return asked(f"--shm-size {size_word(size)}")
    own = wish.shm_size != DEFAULT_SHM
    return by_daemon(f"--default-shm-size {wish.shm_size}", own)


def default_mounts(wish: SpecInput) -> list[oci.Mount]:
    """Docker's seven, in Docker's order."""
    host = wish.host
    writable_cgroups = (
        host.privileged if wish.security.writable_cgroups is None else wish.security.writable_cgroups
    )
    mounts = [
        new_mount("/proc", "proc", "proc", "nosuid noexec nodev"),
        new_mount("/dev", "tmpfs", "tmpfs", "nosuid strictatime mode=755 size=65536k"),
        new_mount("/dev/pts", "devpts", "devpts", "nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5"),
        new_mount("/sys", "sysfs", "sysfs", "nosuid noexec nodev" + ("" if host.privileged else " ro")),
        new_mount(
            "/sys/fs/cgroup", "cgroup", "cgroup", ("" if writable_cgroups else "ro ") + "nosuid noexec nodev"
        ),
        new_mount("/dev/mqueue", "mqueue", "mqueue", "nosuid noexec nodev"),
    ]
    if host.ipc_mode == "none":
        return mounts
    size = host.shm_size or wish.shm_size
    return [*mounts, new_mount("/dev/shm", "tmpfs", "shm", f"nosuid noexec nodev mode=1777 size={size}")]


def new_mount(target: str, fstype: str, source: str, options: str) -> oci.Mount:
    return oci.Mount(destination=target, type=fstype, source=source, options=options.split())


def to_oci(mount: MountPoint, wish: SpecInput) -> oci.Mount:
    if mount.type == TMPFS:
        return oci.Mount(
            destination=mount.target, type="tmpfs", source="tmpfs", options=tmpfs_options(mount.data)
        )
    if not mount.source:
        raise InvalidArgument(f"volume {mount.name or 'without a name'} for {mount.target} has no directory")
    options = ["rbind" if mount.recursive else "bind"]
    if not mount.writable:
        options.append("rro" if mount.recursive and mount.read_only_recursive else "ro")
    if mount.propagation:
        options.append(mount.propagation)
    return oci.Mount(destination=mount.target, type="bind", source=mount.source, options=options)
