"""Where plan and kernel differ. Pure: a plan and what was observed to a list of differences.

What a container's own processes may do to themselves without anybody's leave is no difference: giving up
capabilities, adding filters, setting no-new-privileges.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface
from typing import TypeVar

from wherry.engine.explain.limits import is_device_rule, planned_texts, shown, value_of
from wherry.engine.explain.model import Drift
from wherry.engine.explain.mounts import (
    NULL_DEVICE,
    How,
    Matched,
    PlannedMount,
    host_read_only,
    match_mounts,
    planned_mounts,
)
from wherry.engine.explain.observed import CgroupState, Host, Observed, Subject
from wherry.linux.mountinfo import MountEntry
from wherry.linux.rtnetlink import Interface, NetworkState
from wherry.network.firewall import Forwarding
from wherry.runtime import capabilities
from wherry.runtime.preparation import JoinContainer, NetworkEndpoint, PublishPort
from wherry.runtime.steps import (
    Capabilities,
    CgroupWrite,
    Clone,
    JoinNamespace,
    Namespace,
    NoNewPrivileges,
    Plan,
    Seccomp,
    Step,
)

KINDS = {
    "mnt": Namespace.MOUNT,
    "pid": Namespace.PID,
    "net": Namespace.NET,
    "ipc": Namespace.IPC,
    "uts": Namespace.UTS,
    "cgroup": Namespace.CGROUP,
    "user": Namespace.USER,
    "time": Namespace.TIME,
}
JOINED = {"network": "net", "pid": "pid", "ipc": "ipc"}  # JoinContainer's words
LOOPBACK, INSIDE = "lo", "eth0"
LOOPBACK_ADDRESSES = {"127.0.0.1/8", "::1/128"}
FILTERED = 2  # Seccomp: in /proc/PID/status
DENY, ALLOW, EVERY_DEVICE = "devices.deny", "devices.allow", "a"

S = TypeVar("S", bound=Step)
Way = tuple[str, str, str]  # destination, gateway, interface


def steps_of(plan: Plan, kind: type[S]) -> Iterator[S]:
    """The plan's steps of one kind, the engine's own included."""
    return (step for step in (*plan.preparation, *plan.steps) if isinstance(step, kind))


def find_drift(subject: Subject, observed: Observed, host: Host) -> list[Drift]:
    """Every difference, in the order of an explanation."""
    plan = subject.plan
    return [
        *namespace_drift(plan, observed, host),
        *mount_drift(plan, observed),
        *limit_drift(plan, observed.cgroup),
        *device_drift(plan, observed.cgroup),
        *rights_drift(plan, observed),
        *network_drift(plan, observed.network, host),
        *port_drift(plan, host),
        *process_drift(observed),
    ]


# ---------------------------------------------------------------- namespaces


def namespace_drift(plan: Plan, observed: Observed, host: Host) -> Iterator[Drift]:
    own, joined = own_namespaces(plan), joined_containers(plan)
    for kind, inode in observed.namespaces.items():
        hosts = inode == host.namespaces.get(kind)
        names = [word for m in host.members.get((kind, inode), ()) for word in (m.id, m.name)]
        if kind in joined:
            step = joined[kind]
            gone = not is_running(step.container, host)
            if not gone and not any(refers(step.container, name) for name in names):
                yield namespace_difference(kind, f"of container {step.container}", inode, step)
        elif kind in own and hosts:
            yield namespace_difference(kind, "its own", inode, own[kind], "the host's")
        elif kind not in own and not hosts:
            yield namespace_difference(kind, "the host's", inode)


def namespace_difference(
    kind: str, planned: str, inode: int, step: Step | None = None, actual: str = ""
) -> Drift:
    return Drift(
        kind="namespace",
        what=kind,
        planned=planned,
        actual=actual or f"another, {inode}",
        cause=str(step.cause) if step else "default",
    )


def own_namespaces(plan: Plan) -> dict[str, Step]:
    """Kinds that the plan makes anew, or takes ready-made from the pool."""
    found: dict[str, Step] = {}
    for step in plan.steps:
        if isinstance(step, Clone | JoinNamespace):
            found |= {kind: step for kind, flag in KINDS.items() if step.namespaces & flag}
    return found


def joined_containers(plan: Plan) -> dict[str, JoinContainer]:
    return {JOINED[step.kind]: step for step in steps_of(plan, JoinContainer)}


def refers(ref: str, name: str) -> bool:
    """Whether a name, an id or the beginning of an id means this name or id."""
    return name == ref.removeprefix("/") or (len(ref) >= 1 and len(name) == 64 and name.startswith(ref))


def is_running(ref: str, host: Host) -> bool:
    every = (m for group in host.members.values() for m in group)
    return any(refers(ref, m.id) or refers(ref, m.name) for m in every)


# ---------------------------------------------------------------- mounts


def mount_drift(plan: Plan, observed: Observed) -> Iterator[Drift]:
    match = match_mounts(planned_mounts(plan), observed.mounts)
    for mount in match.missing:
        yield Drift(kind="mount", what=mount.target, planned=mount.describe(), actual="", cause=mount.cause)
    for found in match.matched:
        yield from mount_difference(found, observed.mounts.host)


def mount_difference(found: Matched, host: tuple[MountEntry, ...]) -> Iterator[Drift]:
    entry, planned = found.entry, found.planned
    if planned is None:
        if found.below is None:
            yield Drift(kind="mount", what=entry.target, planned="", actual=describe(entry))
    elif not same_filesystem(planned, entry):
        wanted = planned.upper or planned.describe()
        actual = entry.option("upperdir") or describe(entry)
        yield Drift(kind="mount", what=entry.target, planned=wanted, actual=actual, cause=planned.cause)
    else:
        for wanted, actual in flag_differences(planned, entry, host):
            yield Drift(kind="mount", what=entry.target, planned=wanted, actual=actual, cause=planned.cause)


def describe(entry: MountEntry) -> str:
    source = f" {entry.source}" if entry.source not in ("", "none", entry.fstype) else ""
    return f"{entry.fstype}{source} {'ro' if entry.read_only else 'rw'}"


def same_filesystem(planned: PlannedMount, entry: MountEntry) -> bool:
    if planned.fstype and planned.fstype != entry.fstype:
        return False
    if planned.how is How.MASK:
        return entry.fstype == "tmpfs" or entry.root.endswith(NULL_DEVICE)
    shown_lower = entry.option("lowerdir") or planned.lower  # many layers are shown one by one
    return not planned.upper or (planned.upper, planned.lower) == (entry.option("upperdir"), shown_lower)


def flag_differences(
    planned: PlannedMount, entry: MountEntry, host: tuple[MountEntry, ...]
) -> Iterator[tuple[str, str]]:
    """What was planned and what is, of read-only and the restrictions. A bind may have more of its source's."""
    read_only = planned.read_only or (planned.how is How.MASK and entry.root == "/")
    if planned.how is How.BIND and not read_only:
        read_only = entry.read_only and host_read_only(planned.source, host)
    if planned.how is How.MASK and entry.root != "/":
        read_only = entry.read_only
    if read_only != entry.read_only:
        yield ("ro", "rw") if read_only else ("rw", "ro")
    lost = sorted(planned.restrictions - set(entry.options))
    if lost:
        yield ",".join(lost), ",".join(word.removeprefix("no") for word in lost)


# ---------------------------------------------------------------- cgroups


def limit_drift(plan: Plan, cgroup: CgroupState) -> Iterator[Drift]:
    causes, texts = planned_limits(plan)
    for reading in cgroup.limits:
        file, form = reading.kind.file, reading.kind.form
        planned = texts.get(file, reading.default)
        if value_of(planned, form) != value_of(reading.text, form):
            yield Drift(
                kind="limit",
                what=file,
                planned=shown(planned),
                actual=shown(reading.text),
                cause=causes.get(file, "default"),
            )


def planned_limits(plan: Plan) -> tuple[dict[str, str], dict[str, str]]:
    """Causes and values by the cgroup file's name. Device rules are apart."""
    writes = [(base_name(step.path), step) for step in steps_of(plan, CgroupWrite)]
    kept = [(file, step) for file, step in writes if not is_device_rule(file)]
    causes = {file: str(step.cause) for file, step in kept}
    return causes, dict(planned_texts((file, step.value) for file, step in kept))


def base_name(path: str) -> str:
    return path.rpartition("/")[2]


def device_drift(plan: Plan, cgroup: CgroupState) -> Iterator[Drift]:
    """Only for a plan that denies all and allows some: of any other the kernel does not list the exceptions."""
    planned = planned_devices(plan)
    if planned is None or cgroup.devices is None:
        return
    actual = set(cgroup.devices)
    for rule in sorted(planned - actual):
        yield Drift(kind="limit", what="devices.list", planned=rule, actual="", cause="default")
    for rule in sorted(actual - planned):
        yield Drift(kind="limit", what="devices.list", planned="", actual=rule)


def planned_devices(plan: Plan) -> set[str] | None:
    writes = [(base_name(step.path), step.value) for step in steps_of(plan, CgroupWrite)]
    if (DENY, EVERY_DEVICE) not in writes:
        return None
    return {value for file, value in writes if file == ALLOW}


def process_drift(observed: Observed) -> Iterator[Drift]:
    for stray in observed.strays:
        yield Drift(
            kind="process",
            what=f"{stray.pid} {stray.command}",
            planned="in the container's cgroup",
            actual="; ".join(stray.cgroups),
        )


# ---------------------------------------------------------------- rights


def rights_drift(plan: Plan, observed: Observed) -> Iterator[Drift]:
    status = observed.rights.status
    for step in steps_of(plan, Capabilities):
        yield from capability_drift(step, observed)
    for filtered in steps_of(plan, Seccomp):
        if status.seccomp != FILTERED:
            yield rights("seccomp", "a filter", f"mode {status.seccomp}", filtered)
        elif observed.rights.filter not in (None, filtered.program):
            yield rights("seccomp", "the plan's program", "another program", filtered)
    for locked in steps_of(plan, NoNewPrivileges):
        if not status.no_new_privileges:
            yield rights("no new privileges", "yes", "no", locked)


def capability_drift(step: Capabilities, observed: Observed) -> Iterator[Drift]:
    sets = observed.rights.capabilities
    for name in ("bounding", "permitted", "effective", "inheritable", "ambient"):
        extra = getattr(sets, name) & ~step.bounding
        if extra:
            yield rights(f"{name} capabilities", "", ", ".join(capabilities.names_of(extra)), step)


def rights(what: str, planned: str, actual: str, step: Step) -> Drift:
    return Drift(kind="rights", what=what, planned=planned, actual=actual, cause=str(step.cause))


# ---------------------------------------------------------------- network


def network_drift(plan: Plan, network: NetworkState, host: Host) -> Iterator[Drift]:
    """Of a network namespace that is the container's own; who joins another's is not asked for it."""
    own = own_namespaces(plan)
    if "net" not in own or "net" in joined_containers(plan):
        return
    endpoint = next(steps_of(plan, NetworkEndpoint), None)
    cause = str((endpoint or own["net"]).cause)
    yield from interface_drift(endpoint, network, host, cause)
    yield from address_drift(endpoint, network, cause)
    yield from route_drift(endpoint, network, cause)


def interface_drift(
    endpoint: NetworkEndpoint | None, network: NetworkState, host: Host, cause: str
) -> Iterator[Drift]:
    found = {interface.name: interface for interface in network.interfaces}
    wanted = (LOOPBACK, INSIDE) if endpoint is not None else (LOOPBACK,)
    for name in wanted:
        if name not in found:
            yield Drift(kind="interface", what=name, planned="up", actual="", cause=cause)
        elif not found[name].up:
            yield Drift(kind="interface", what=name, planned="up", actual="down", cause=cause)
    for name, interface in found.items():
        if name not in wanted and interface.up:
            yield Drift(kind="interface", what=name, planned="", actual=interface.kind or "up")
    if endpoint is not None and INSIDE in found:
        yield from wiring_drift(endpoint, found[INSIDE], host, cause)


def wiring_drift(endpoint: NetworkEndpoint, inside: Interface, host: Host, cause: str) -> Iterator[Drift]:
    if endpoint.mac and inside.mac != endpoint.mac:
        yield Drift(
            kind="interface", what=f"{INSIDE} MAC", planned=endpoint.mac, actual=inside.mac, cause=cause
        )
    end = host.links.get(inside.peer)
    bridge = host.link_name(end.master) if end is not None else ""
    if end is not None and bridge != endpoint.bridge:
        yield Drift(
            kind="interface", what=f"{end.name} on the host", planned=f"on {endpoint.bridge}",
            actual=f"on {bridge}" if bridge else "on no bridge", cause=cause,
        )  # fmt: skip


def address_drift(endpoint: NetworkEndpoint | None, network: NetworkState, cause: str) -> Iterator[Drift]:
    planned = {(LOOPBACK, address) for address in LOOPBACK_ADDRESSES}
    there = {(network.name_of(a.index), a.address) for a in network.addresses if not a.link_local}
    if endpoint is not None and endpoint.address:
        planned.add((INSIDE, endpoint.address))
        if (INSIDE, endpoint.address) not in there:
            yield Drift(kind="address", what=INSIDE, planned=endpoint.address, actual="", cause=cause)
    for interface, address in sorted(there - planned):
        yield Drift(kind="address", what=interface, planned="", actual=address)


def route_drift(endpoint: NetworkEndpoint | None, network: NetworkState, cause: str) -> Iterator[Drift]:
    by_hand, planned = routes_by_hand(network), planned_routes(endpoint)
    if endpoint is not None and endpoint.address:
        connected = str(IPv4Interface(endpoint.address).network)
        if not any(r.destination == connected for r in network.routes):
            yield Drift(kind="route", what=connected, planned=f"on {INSIDE}", actual="", cause=cause)
    for destination, gateway, interface in sorted(planned - by_hand):
        yield Drift(kind="route", what=destination, planned=way(gateway, interface), actual="", cause=cause)
    for destination, gateway, interface in sorted(by_hand - planned):
        yield Drift(kind="route", what=destination, planned="", actual=way(gateway, interface))


def routes_by_hand(network: NetworkState) -> set[Way]:
    """The routes that did not come with an address."""
    kept = (route for route in network.routes if not route.by_kernel)
    return {(route.destination, route.gateway, network.name_of(route.index)) for route in kept}


def planned_routes(endpoint: NetworkEndpoint | None) -> set[Way]:
    known = endpoint is not None and endpoint.address
    return {("default", endpoint.gateway, INSIDE)} if endpoint is not None and known else set()


def way(gateway: str, interface: str) -> str:
    return f"via {gateway} on {interface}" if gateway else f"on {interface}"


# ---------------------------------------------------------------- ports


def port_drift(plan: Plan, host: Host) -> Iterator[Drift]:
    address = container_address(plan)
    if address is None:
        return
    planned = {forwarding(step, address): step for step in steps_of(plan, PublishPort) if step.host_port}
    by_key, keys = {host_key(found): found for found in host.ports}, {host_key(wanted) for wanted in planned}
    for wanted, step in planned.items():
        actual = by_key.get(host_key(wanted))
        if actual != wanted:
            yield Drift(
                kind="port",
                what=host_key(wanted),
                planned=container_end(wanted),
                actual=container_end(actual) if actual else "",
                cause=str(step.cause),
            )
    for found in sorted(host.ports, key=host_key):
        if found.container_ip == address and host_key(found) not in keys:
            yield Drift(kind="port", what=host_key(found), planned="", actual=container_end(found))


def container_address(plan: Plan) -> IPv4Address | None:
    endpoint = next(steps_of(plan, NetworkEndpoint), None)
    return IPv4Interface(endpoint.address).ip if endpoint is not None and endpoint.address else None


def forwarding(step: PublishPort, address: IPv4Address) -> Forwarding:
    return Forwarding(step.proto, IPv4Address(step.host_ip), step.host_port, address, step.container_port)


def host_key(port: Forwarding) -> str:
    return f"{port.host_ip}:{port.host_port}/{port.proto}"


def container_end(port: Forwarding) -> str:
    return f"{port.container_ip}:{port.container_port}"
