"""The lines of an explanation: what was observed, each with the cause that the plan has for it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.engine.explain.drift import (
    INSIDE,
    LOOPBACK,
    Way,
    container_address,
    container_end,
    forwarding,
    host_key,
    joined_containers,
    own_namespaces,
    planned_devices,
    planned_limits,
    planned_routes,
    routes_by_hand,
    steps_of,
)
from wherry.engine.explain.limits import Form, value_of
from wherry.engine.explain.model import (
    Cost,
    InterfaceItem,
    LimitItem,
    MountItem,
    NamespaceItem,
    PortItem,
    ProcessItem,
    RightsItem,
    RouteItem,
)
from wherry.engine.explain.mounts import PlannedMount, match_mounts, planned_mounts
from wherry.engine.explain.observed import CgroupState, Host, LimitReading, Observed, Rights, Subject
from wherry.engine.explain.seccomp import passage
from wherry.linux.mountinfo import MountEntry
from wherry.linux.procfs import IdRange, ProcessLimit
from wherry.linux.rtnetlink import Interface
from wherry.runtime import capabilities
from wherry.runtime.cgroups import Usage
from wherry.runtime.preparation import LeftOut, NetworkEndpoint, PublishPort, ShareWithHost
from wherry.runtime.steps import (
    Capabilities,
    Exec,
    NoNewPrivileges,
    OomScoreAdjust,
    Plan,
    Rlimit,
    Seccomp,
    Step,
    TinyInit,
    User,
)

DEFAULT = "default"
INHERITED = "the daemon's own"
KERNEL = "the kernel's default"
SHARE_WORDS = {"net": "network"}  # ShareWithHost's words
SECCOMP_MODES = {0: "off", 1: "strict", 2: "filter"}
FILTER_LEFT_OUT = "the system call filter"
RLIMIT_NAMES = {  # getrlimit(2), setrlimit's short names by what /proc/PID/limits calls them
    "Max cpu time": "cpu",
    "Max file size": "fsize",
    "Max data size": "data",
    "Max stack size": "stack",
    "Max core file size": "core",
    "Max resident set": "rss",
    "Max processes": "nproc",
    "Max open files": "nofile",
    "Max locked memory": "memlock",
    "Max address space": "as",
    "Max file locks": "locks",
    "Max pending signals": "sigpending",
    "Max msgqueue size": "msgqueue",
    "Max nice priority": "nice",
    "Max realtime priority": "rtprio",
    "Max realtime timeout": "rttime",
}


def cause_of(step: Step | None, otherwise: str = "") -> str:
    return str(step.cause) if step is not None else otherwise


# ---------------------------------------------------------------- namespaces


def namespace_items(subject: Subject, observed: Observed, host: Host) -> Iterator[NamespaceItem]:
    shared = {step.kind: step for step in steps_of(subject.plan, ShareWithHost)}
    made: dict[str, Step] = {**own_namespaces(subject.plan), **joined_containers(subject.plan)}
    for kind, inode in observed.namespaces.items():
        step = made.get(kind) or shared.get(SHARE_WORDS.get(kind, kind))
        yield NamespaceItem(
            kind=kind,
            inode=inode,
            shared_with=shared_with(subject, kind, inode, host),
            cause=cause_of(step, DEFAULT),
        )


def shared_with(subject: Subject, kind: str, inode: int, host: Host) -> str:
    if inode == host.namespaces.get(kind):
        return "host"
    return ", ".join(m.name for m in host.members.get((kind, inode), ()) if m.id != subject.id)


# ---------------------------------------------------------------- mounts


def mount_items(plan: Plan, observed: Observed) -> list[MountItem]:
    match = match_mounts(planned_mounts(plan), observed.mounts)
    return [mount_item(m.entry, m.planned or m.below) for m in match.matched]


def mount_item(entry: MountEntry, planned: PlannedMount | None) -> MountItem:
    return MountItem(
        target=entry.target,
        fstype=entry.fstype,
        source=planned.source if planned is not None and planned.source else source_of(entry),
        options=",".join(all_options(entry)),
        read_only=entry.read_only,
        cause=planned.cause if planned is not None else "",
    )


def all_options(entry: MountEntry) -> Iterator[str]:
    """Those of the mount, then those of the filesystem; whether it can be written to is said once."""
    yield from entry.options
    for option in entry.filesystem_options:
        if option not in entry.options and option not in ("rw", "ro"):
            yield option


def source_of(entry: MountEntry) -> str:
    return entry.source if entry.root == "/" else f"{entry.source}[{entry.root}]"


# ---------------------------------------------------------------- limits


def limit_items(plan: Plan, cgroup: CgroupState) -> list[LimitItem]:
    causes, _ = planned_limits(plan)
    told = [reading for reading in cgroup.limits if worth_telling(reading, causes)]
    items = [limit_item(reading, limit_cause(reading, causes), cgroup) for reading in told]
    if cgroup.usage is not None:
        items.append(
            LimitItem(name="CPU time", file="cpuacct.usage", unit="nanoseconds", used=cgroup.usage.cpu_total,
                      cause=KERNEL)
        )  # fmt: skip
    return items


def worth_telling(reading: LimitReading, causes: dict[str, str]) -> bool:
    """A limit by device, or a switch, only where it is set."""
    quiet = reading.kind.form in (Form.LINES, Form.PAIRS, Form.OOM)
    return reading.kind.file in causes or not (quiet and is_default(reading))


def is_default(reading: LimitReading) -> bool:
    return bool(value_of(reading.text, reading.kind.form) == value_of(reading.default, reading.kind.form))


def limit_cause(reading: LimitReading, causes: dict[str, str]) -> str:
    """Nobody's, where it was set and the plan has nothing of it."""
    return causes.get(reading.kind.file, DEFAULT if is_default(reading) else "")


def limit_item(reading: LimitReading, cause: str, cgroup: CgroupState) -> LimitItem:
    kind = reading.kind
    value = value_of(reading.text, kind.form)
    limit = (
        len(value)
        if isinstance(value, frozenset)
        else value
        if isinstance(value, int)
        else quota(reading.text)
    )
    return LimitItem(
        name=kind.name,
        file=reading.path,
        unit=kind.unit,
        limit=len(value) if isinstance(value, frozenset) else value if isinstance(value, int) else None,
        used=reading.used,
        note=limit_note(reading, cgroup),
        cause=cause,
    )


def quota(text: str) -> int | None:
    """``50000 100000`` of ``cpu.max``."""
    first = (text.split() or [""])[0]
    return int(first) if first.isdigit() else None


def limit_note(reading: LimitReading, cgroup: CgroupState) -> str:
    file, usage = reading.kind.file, cgroup.usage or Usage()
    if file in ("cpu.cfs_quota_us", "cpu.max"):
        return "; ".join(cpu_notes(reading, cgroup, usage))
    if file in ("memory.limit_in_bytes", "memory.max"):
        peak = f"at most {usage.memory_maximum} bytes so far" if usage.memory_maximum else ""
        struck = f"OOM killer struck {times(usage.oom_kills)}" if usage.oom_kills else ""
        return "; ".join(filter(None, (peak, struck)))
    if reading.kind.form in (Form.SET, Form.LINES, Form.PAIRS, Form.LAST):
        return "; ".join(" ".join(line.split()) for line in reading.text.splitlines())
    return ""


def cpu_notes(reading: LimitReading, cgroup: CgroupState, usage: Usage) -> Iterator[str]:
    limit = quota(reading.text)
    period = next((quota(r.text) for r in cgroup.limits if r.kind.file == "cpu.cfs_period_us"), None)
    if period is None:
        period = quota(reading.text.partition(" ")[2])
    if limit and period:
        yield f"{limit / period:g} CPUs"
    if usage.periods:
        yield f"throttled in {usage.throttled_periods} of {usage.periods} periods"


def times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


# ---------------------------------------------------------------- rights


def rights_items(plan: Plan, observed: Observed) -> Iterator[RightsItem]:
    rights = observed.rights
    yield user_item(plan, rights)
    yield from capability_items(plan, rights)
    yield seccomp_item(plan, rights)
    locked = next(steps_of(plan, NoNewPrivileges), None)
    value = "yes" if rights.status.no_new_privileges else "no"
    yield RightsItem(name="no new privileges", value=value, cause=cause_of(locked, DEFAULT))
    yield from device_items(plan, observed.cgroup)
    score = next(steps_of(plan, OomScoreAdjust), None)
    yield RightsItem(name="OOM score", value=str(rights.oom_score_adj), cause=cause_of(score, INHERITED))
    yield from rlimit_items(plan, rights)
    for name, ranges in (("user ids", rights.uid_map), ("group ids", rights.gid_map)):
        yield RightsItem(name=name, value="; ".join(map(id_range, ranges)), cause=DEFAULT)


def user_item(plan: Plan, rights: Rights) -> RightsItem:
    status = rights.status
    return RightsItem(
        name="user",
        value=f"{status.uids[1]}:{status.gids[1]}",
        values=[f"group {gid}" for gid in status.groups],
        cause=cause_of(next(steps_of(plan, User), None), DEFAULT),
    )


def capability_items(plan: Plan, rights: Rights) -> Iterator[RightsItem]:
    cause = cause_of(next(steps_of(plan, Capabilities), None), DEFAULT)
    for name in ("effective", "permitted", "bounding", "inheritable", "ambient"):
        mask = getattr(rights.capabilities, name)
        names = list(capabilities.names_of(mask))
        yield RightsItem(name=f"{name} capabilities", value=str(len(names)), values=names, cause=cause)


def seccomp_item(plan: Plan, rights: Rights) -> RightsItem:
    """The mode and the number of filters are the kernel's word; what they let through is worked out from a program:
    the kernel's where it was read, else the plan's."""
    step, status = next(steps_of(plan, Seccomp), None), rights.status
    left_out = next((s for s in steps_of(plan, LeftOut) if s.what == FILTER_LEFT_OUT), None)
    values = []
    if status.seccomp_filters:
        values.append(f"{status.seccomp_filters} filters installed")
    program = rights.filter or (step.program if step is not None and status.seccomp else None)
    if program is not None:
        found = passage(program)
        source = "read from the kernel" if rights.filter else "from the plan's program"
        values.append(f"lets through {found.describe()} ({source}, {found.instructions} instructions)")
    if rights.filter and step is not None:
        same = rights.filter == step.program
        values.append("the kernel's program and the plan's are " + ("the same" if same else "different"))
    mode = SECCOMP_MODES.get(status.seccomp, str(status.seccomp))
    return RightsItem(name="seccomp", value=mode, values=values, cause=cause_of(step or left_out, DEFAULT))


def device_items(plan: Plan, cgroup: CgroupState) -> Iterator[RightsItem]:
    if cgroup.devices is not None:
        cause = DEFAULT if planned_devices(plan) is not None else left_out_cause(plan)
        rules = list(cgroup.devices)
        yield RightsItem(name="devices allowed", value=f"{len(rules)} rules", values=rules, cause=cause)


def left_out_cause(plan: Plan) -> str:
    return cause_of(next((s for s in steps_of(plan, LeftOut) if "device" in s.what), None), DEFAULT)


def rlimit_items(plan: Plan, rights: Rights) -> Iterator[RightsItem]:
    planned = {step.label: step for step in steps_of(plan, Rlimit)}
    for limit in rights.limits:
        name = RLIMIT_NAMES.get(limit.name, limit.name)
        cause = cause_of(planned.get(name), INHERITED)
        yield RightsItem(name=f"rlimit {name}", value=rlimit_text(limit), cause=cause)


def rlimit_text(limit: ProcessLimit) -> str:
    soft, hard = ("unlimited" if v is None else str(v) for v in (limit.soft, limit.hard))
    unit = f" {limit.unit}" if limit.unit else ""
    return (soft if soft == hard else f"{soft}, at most {hard}") + (
        "" if soft == hard == "unlimited" else unit
    )


def id_range(ids: IdRange) -> str:
    if ids.inside == ids.outside:
        return f"{ids.inside} to {ids.inside + ids.count - 1}, the host's own"
    last = ids.inside + ids.count - 1
    return f"{ids.inside} to {last} are {ids.outside} to {ids.outside + ids.count - 1} on the host"


# ---------------------------------------------------------------- network


def interface_items(plan: Plan, observed: Observed, host: Host) -> list[InterfaceItem]:
    cause = network_cause(plan)
    known = {i.name for i in observed.network.interfaces} if joins_network(plan) else {LOOPBACK, INSIDE}
    return [
        interface_item(i, observed, host, cause if i.name in known or not i.up else "")
        for i in observed.network.interfaces
    ]


def joins_network(plan: Plan) -> bool:
    """What is in another container's network is that one's affair."""
    return "net" in joined_containers(plan)


def network_cause(plan: Plan) -> str:
    """Of what is in its network namespace: the endpoint's, or that of joining another container's."""
    endpoint = next(steps_of(plan, NetworkEndpoint), None)
    step = endpoint or joined_containers(plan).get("net") or own_namespaces(plan).get("net")
    return cause_of(step, DEFAULT)


def interface_item(interface: Interface, observed: Observed, host: Host, cause: str) -> InterfaceItem:
    end = host.links.get(interface.peer) if interface.kind == "veth" else None
    return InterfaceItem(
        name=interface.name,
        mac="" if interface.loopback else interface.mac,
        addresses=[a.address for a in observed.network.addresses if a.index == interface.index],
        state="up" if interface.up else "down",
        host_end=end.name if end is not None else "",
        bridge=host.link_name(end.master) if end is not None else "",
        rx_bytes=interface.rx_bytes,
        tx_bytes=interface.tx_bytes,
        cause=cause,
    )


def route_items(plan: Plan, observed: Observed) -> list[RouteItem]:
    network, strange = observed.network, set() if joins_network(plan) else unplanned_routes(plan, observed)
    ways = [(r.destination, r.gateway, network.name_of(r.index)) for r in network.routes]
    cause = network_cause(plan)
    return [
        RouteItem(destination=way[0], gateway=way[1], interface=way[2], cause="" if way in strange else cause)
        for way in ways
    ]


def unplanned_routes(plan: Plan, observed: Observed) -> set[Way]:
    endpoint = next(steps_of(plan, NetworkEndpoint), None)
    return routes_by_hand(observed.network) - planned_routes(endpoint)


def port_items(plan: Plan, host: Host) -> Iterator[PortItem]:
    address = container_address(plan)
    if address is None:
        return
    causes = {forwarding(s, address): str(s.cause) for s in steps_of(plan, PublishPort) if s.host_port}
    for port in sorted((p for p in host.ports if p.container_ip == address), key=host_key):
        count = host.ports[port]
        yield PortItem(
            protocol=port.proto,
            host=f"{port.host_ip}:{port.host_port}",
            container=container_end(port),
            packets=count.packets,
            bytes=count.bytes,
            cause=causes.get(port, ""),
        )


# ---------------------------------------------------------------- processes, costs


def process_items(subject: Subject, observed: Observed) -> Iterator[ProcessItem]:
    plan = subject.plan
    command = cause_of(next(steps_of(plan, Exec), None), DEFAULT)
    init = next(steps_of(plan, TinyInit), None)
    for reading in observed.processes:
        first = reading.pid == subject.pid
        cause = "--init" if first and init is not None else command if first else "started in the container"
        yield ProcessItem(
            pid=reading.pid,
            command=reading.command,
            pss=reading.memory.proportional,
            descriptors=reading.descriptors,
            cause=cause,
        )


def cost(observed: Observed, *, writable: int, log: int) -> Cost:
    memories = [reading.memory for reading in observed.processes]
    private = sum(memory.private for memory in memories)
    return Cost(
        processes=len(observed.processes),
        descriptors=sum(reading.descriptors for reading in observed.processes),
        private=private,
        shared=max(sum(memory.proportional for memory in memories) - private, 0),
        monitor=observed.monitor_memory,
        writable=writable,
        log=log,
    )
