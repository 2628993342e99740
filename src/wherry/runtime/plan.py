"""An OCI runtime specification to a plan: the exact steps, in order, each with its cause. Pure.

The order is that of ``docs/launcher.md``: first what the monitor does on the host, then the clone, then what the
child does on its way to becoming the container's first process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from wherry.errors import InvalidArgument
from wherry.runtime import devices
from wherry.runtime import oci_spec as oci
from wherry.runtime.causes import together
from wherry.runtime.cgroups import Cgroups, CgroupSteps
from wherry.runtime.checks import sysctl_path
from wherry.runtime.mount_options import MountOptions, parse_options
from wherry.runtime.process_plan import Causes, exec_step, rights_steps, rlimit_steps
from wherry.runtime.seccomp import SeccompProgram as SeccompProgram  # noqa: PLC0414 - part of this face
from wherry.runtime.steps import (
    DEFAULT,
    Bind,
    BindRoot,
    Cause,
    Clone,
    Console,
    Domainname,
    Fd,
    HoldTree,
    HostFile,
    Hostname,
    JoinNamespace,
    Log,
    LoopbackUp,
    Mask,
    Monitor,
    Mount,
    MountFlag,
    Namespace,
    OomScoreAdjust,
    OverlayRoot,
    OwnDirectory,
    PivotRoot,
    Plan,
    Propagation,
    ReadOnlyPath,
    ReadOnlyRoot,
    RootDirectory,
    Stdio,
    Step,
    Sysctl,
    TinyInit,
)

NAMESPACES = {
    "mount": Namespace.MOUNT,
    "network": Namespace.NET,
    "uts": Namespace.UTS,
    "pid": Namespace.PID,
    "ipc": Namespace.IPC,
    "cgroup": Namespace.CGROUP,
    "user": Namespace.USER,
    "time": Namespace.TIME,
}
JOIN_FDS = {"network": Fd.NET, "pid": Fd.PID, "ipc": Fd.IPC, "uts": Fd.UTS, "cgroup": Fd.CGROUP}
BIND_FLAGS = MountFlag.RDONLY | MountFlag.NOSUID | MountFlag.NODEV | MountFlag.NOEXEC
PRIVATE = MountFlag.PRIVATE | MountFlag.REC


@dataclass(frozen=True, slots=True)
class PlanContext:
    """What a plan needs beside the specification: what exists on the host, and how the container is looked after.

    ``root`` is an OverlayRoot (layers) or BindRoot (a directory); ``files`` are steps on the host (HostDirectory,
    HostFile) that come before all else. A namespace with a path in the specification is joined through its
    descriptor in ``Fd``, which the caller passes.
    """

    root: OverlayRoot | BindRoot
    cgroups: Cgroups
    exit_file: str
    spool_dir: str
    log: Log | None = None
    stdin: bool = False
    stdin_once: bool = False
    rows: int = 0
    columns: int = 0
    files: tuple[Step, ...] = ()
    seccomp: SeccompProgram | None = None
    init: bool = False
    listen: bool = True
    oom_score_adj: int = 0  # the daemon's own, which a container would inherit


def plan_container(spec: oci.Spec, causes: Causes, context: PlanContext) -> Plan:
    """The plan of a container. InvalidArgument for what the specification may say but Wherry does not do."""
    linux, process = spec.linux or oci.Linux(), spec.process
    if process is None or not process.args:
        raise InvalidArgument("the specification has no process to run")
    refuse_unsupported(spec, linux)
    cgroups = context.cgroups.plan(linux.cgroups_path, linux.resources, causes)
    return Plan(
        (
            *host_steps(spec, process, causes, context, cgroups),
            *namespace_steps(linux, causes, cgroups),
            *identity_steps(spec, linux, causes, context),
            *root_steps(spec, linux, causes, context),
            *process_steps(process, linux, causes, context),
        )
    )


def refuse_unsupported(spec: oci.Spec, linux: oci.Linux) -> None:
    if spec.hooks is not None and spec.hooks.any():
        raise InvalidArgument("hooks are not supported: Wherry runs nothing on the host for a container")
    if linux.uid_mappings or linux.gid_mappings or any(n.type == "user" for n in linux.namespaces):
        raise InvalidArgument("user namespaces are not supported yet")
    if linux.intel_rdt or linux.personality or linux.time_offsets:
        raise InvalidArgument("intelRdt, personality and timeOffsets are not supported")


# ---------------------------------------------------------------- on the host


def host_steps(
    spec: oci.Spec, process: oci.Process, causes: Causes, context: PlanContext, cgroups: CgroupSteps
) -> Iterator[Step]:
    foreign = foreign_mounts(spec, context)
    binds = together(*(causes.get(f"mounts:{mount.destination}", DEFAULT) for mount in foreign))
    own = isinstance(context.root, OverlayRoot) and not foreign
    yield Monitor(context.exit_file, context.spool_dir, context.listen, own, cause=binds)
    yield stdio_step(process, causes, context)
    if context.log is not None:
        yield context.log
    yield from context.files
    yield from cgroups.setup


def foreign_mounts(spec: oci.Spec, context: PlanContext) -> list[oci.Mount]:
    """The mounts of something of the host's. Without any, nobody can notice that mounts go just after the end was told;
    but who has mounted a disk or a volume may want to take it away as soon as the container has ended."""
    own = {step.path for step in context.files if isinstance(step, HostFile)}
    return [m for m in spec.mounts if is_bind(m) and m.source not in own and not is_own(m, spec)]


def stdio_step(process: oci.Process, causes: Causes, context: PlanContext) -> Stdio:
    box = process.console_size or oci.Box()
    rows, columns = context.rows or box.height, context.columns or box.width
    cause = together(causes.get("process.terminal", DEFAULT), causes.get("stdin", DEFAULT))
    return Stdio(process.terminal, context.stdin, context.stdin_once, rows, columns, cause=cause)


def namespace_steps(linux: oci.Linux, causes: Causes, cgroups: CgroupSteps) -> Iterator[Step]:
    """Cgroups are entered first of all, because a new cgroup namespace begins where its maker then is. A PID namespace
    is joined last (``process_steps``): who is in it sees no process that is still on the host."""
    joined = [namespace for namespace in linux.namespaces if namespace.path]
    yield Clone(new_namespaces(linux), cgroups.entry.born_in, cause=clone_cause(linux, causes))
    yield from cgroups.entry.moves
    for namespace in joined:
        if namespace.type != "pid":
            yield join_step(namespace, causes)
    if any(namespace.type == "network" and not namespace.path for namespace in linux.namespaces):
        yield LoopbackUp(cause=causes.get("linux.namespaces:network", DEFAULT))


def clone_cause(linux: oci.Linux, causes: Causes) -> Cause:
    """Of the namespaces that are made, and of those that are not; a network comes ready-made and is joined."""
    made = {namespace.type for namespace in linux.namespaces if not namespace.path}
    kinds = ["pid", "ipc", "uts", "cgroup", *(["network"] if "network" in made else [])]
    chosen = (causes.get(f"linux.namespaces:{kind}", DEFAULT) for kind in kinds)
    return together(*chosen, causes.get("linux.cgroupsPath", DEFAULT) if linux.cgroups_path else DEFAULT)


def new_namespaces(linux: oci.Linux) -> Namespace:
    flags = Namespace(0)
    for namespace in linux.namespaces:
        if namespace.type not in NAMESPACES:
            raise InvalidArgument(f'unknown namespace type "{namespace.type}"')
        if not namespace.path:
            flags |= NAMESPACES[namespace.type]
    if not flags & Namespace.MOUNT:
        raise InvalidArgument("a container without a mount namespace of its own is not supported")
    return flags


def join_step(namespace: oci.LinuxNamespace, causes: Causes) -> JoinNamespace:
    if namespace.type not in JOIN_FDS:
        raise InvalidArgument(f"joining a {namespace.type} namespace is not supported")
    cause = causes.get(f"linux.namespaces:{namespace.type}", DEFAULT)
    return JoinNamespace(JOIN_FDS[namespace.type], NAMESPACES[namespace.type], namespace.path, cause=cause)


def identity_steps(spec: oci.Spec, linux: oci.Linux, causes: Causes, context: PlanContext) -> Iterator[Step]:
    process = spec.process or oci.Process()
    if process.oom_score_adj is not None and process.oom_score_adj != context.oom_score_adj:
        yield OomScoreAdjust(process.oom_score_adj, cause=causes.get("process.oomScoreAdj", DEFAULT))
    own_uts = any(namespace.type == "uts" for namespace in linux.namespaces)
    if spec.hostname and own_uts:
        yield Hostname(spec.hostname, cause=causes.get("hostname", DEFAULT))
    if spec.domainname and own_uts:
        yield Domainname(spec.domainname, cause=causes.get("domainname", DEFAULT))
    for key, value in linux.sysctl.items():
        yield Sysctl(sysctl_path(key), value, cause=causes.get(f"linux.sysctl:{key}", DEFAULT))


# ---------------------------------------------------------------- the root


def root_steps(spec: oci.Spec, linux: oci.Linux, causes: Causes, context: PlanContext) -> Iterator[Step]:
    """Layers, mounts, devices, then hiding; all by the launcher's own handle of the root, then the pivot."""
    process = spec.process or oci.Process()
    yield from held_trees(spec.mounts, causes)
    yield Propagation(PRIVATE)
    yield context.root
    own_cgroups = any(namespace.type == "cgroup" for namespace in linux.namespaces)
    for mount in spec.mounts:
        if is_own(mount, spec):
            cause = causes.get(f"mounts:{mount.destination}", DEFAULT)
            yield OwnDirectory(mount.destination, cause=cause)
        else:
            yield from mount_steps(mount, linux, causes, context.cgroups, own_cgroups)
    yield from device_steps(spec, linux, causes)
    if process.terminal:
        yield Console(cause=causes.get("process.terminal", DEFAULT))
    if process.cwd not in ("", "/"):
        yield RootDirectory(process.cwd, cause=causes.get("process.cwd", DEFAULT))
    yield from hiding_steps(tuple(linux.readonly_paths), tuple(linux.masked_paths))
    if spec.root is not None and spec.root.readonly:
        yield ReadOnlyRoot(cause=causes.get("root.readonly", DEFAULT))
    yield PivotRoot()


def held_trees(mounts: Iterable[oci.Mount], causes: Causes) -> Iterator[HoldTree]:
    """For binds through which mounts are to pass; all else lets go of the host's mounts."""
    for mount in mounts:
        options = parse_options(mount.options)
        if is_bind(mount) and options.propagation & (MountFlag.SLAVE | MountFlag.SHARED):
            cause = causes.get(f"mounts:{mount.destination}", DEFAULT)
            yield HoldTree(mount.source, bool(options.flags & MountFlag.REC), cause=cause)


def mount_steps(
    mount: oci.Mount, linux: oci.Linux, causes: Causes, cgroups: Cgroups, own_cgroups: bool
) -> tuple[Step, ...]:
    if mount.uid_mappings or mount.gid_mappings:
        raise InvalidArgument(f"mount {mount.destination}: id mapped mounts are not supported yet")
    options, cause = parse_options(mount.options), causes.get(f"mounts:{mount.destination}", DEFAULT)
    flags = options.flags
    if mount.type == "cgroup":
        writable = not flags & MountFlag.RDONLY
        return cgroups.mount(
            linux.cgroups_path, mount.destination, writable=writable, own_namespace=own_cgroups, cause=cause
        )
    if is_bind(mount):
        return (bind_step(mount, options, cause),)
    spread = (
        options.propagation if options.propagation & ~PRIVATE else MountFlag(0)
    )  # private is what a new one is
    pids = Fd.PID if mount.type == "proc" and joined_pids(linux) else 0
    return (
        Mount(mount.type, mount.source, mount.destination, flags, options.data, spread, pids, cause=cause),
    )


def joined_pids(linux: oci.Linux) -> oci.LinuxNamespace | None:
    """The PID namespace that is another container's."""
    return next((n for n in linux.namespaces if n.type == "pid" and n.path), None)


def bind_step(mount: oci.Mount, options: MountOptions, cause: Cause) -> Bind:
    spread, everywhere = options.propagation or PRIVATE, options.everywhere
    if spread & MountFlag.SLAVE:  # nor is what is mounted below it to stay a peer of the host's
        spread |= MountFlag.REC
    if not options.flags & MountFlag.REC:  # there is nothing below it
        return Bind(
            mount.source, mount.destination, options.flags & BIND_FLAGS | everywhere, spread, cause=cause
        )
    flags = options.flags & (BIND_FLAGS | MountFlag.REC)
    return Bind(mount.source, mount.destination, flags, spread, everywhere, cause=cause)


def device_steps(spec: oci.Spec, linux: oci.Linux, causes: Causes) -> Iterator[Step]:
    """Nodes in /dev, unless that is a directory of the host; a mount at a node's path, or below it, stands for it.

    OCI runtime-spec, config-linux.md "Devices".
    """
    if any(mount.destination.rstrip("/") == "/dev" and is_bind(mount) for mount in spec.mounts):
        return
    mounted = taken(spec.mounts)
    wanted = {device.path: device for device in linux.devices}
    for step in devices.default_steps():
        if step.path not in wanted and step.path not in mounted:
            yield step
    for device in wanted.values():
        if device.path not in mounted:
            yield devices.node_step(device, causes.get(f"linux.devices:{device.path}", DEFAULT))


def taken(mounts: Iterable[oci.Mount]) -> frozenset[str]:
    """Where there is something by then: a mount, or the directory in /dev that leads to one."""
    targets = [mount.destination.rstrip("/") for mount in mounts]
    return frozenset((*targets, *("/".join(target.split("/", 3)[:3]) for target in targets)))


def is_own(mount: oci.Mount, spec: oci.Spec) -> bool:
    """Whether it is a bind of a directory of the root on itself."""
    return spec.root is not None and is_bind(mount) and mount.source == f"{spec.root.path}{mount.destination}"


def is_bind(mount: oci.Mount) -> bool:
    return mount.type == "bind" or "bind" in mount.options or "rbind" in mount.options


@cache
def hiding_steps(read_only: tuple[str, ...], masked: tuple[str, ...]) -> tuple[Step, ...]:
    return (*(ReadOnlyPath(path) for path in read_only), *(Mask(path) for path in masked))


# ---------------------------------------------------------------- the process


def process_steps(
    process: oci.Process, linux: oci.Linux, causes: Causes, context: PlanContext
) -> Iterator[Step]:
    joined = joined_pids(linux)
    if joined is not None:
        yield join_step(joined, causes)
    yield from rlimit_steps(process, causes)
    yield from rights_steps(process, causes, context.seccomp, enters=joined is not None)
    if context.init:
        yield TinyInit(cause=causes.get("init", DEFAULT))
    yield exec_step(process, causes)
