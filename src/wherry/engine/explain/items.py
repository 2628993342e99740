"""The lines of an explanation: what was observed, each with the cause that the plan has for it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.engine.explain.limits import value_of
from wherry.engine.explain.mounts import PlannedMount, match_mounts
from wherry.engine.explain.network_drift import container_end, host_key, routes_by_hand
from wherry.engine.explain.observed import CgroupState, Host, LimitReading, Observed, Subject
from wherry.engine.explain.planned import (
    DEFAULT,
    Way,
    cause_of,
    causes_of_namespaces,
    container_address,
    joined_containers,
    own_namespaces,
    planned_interfaces,
    planned_limits,
    planned_routes,
    published_port,
    steps_of,
)
from wherry.engine.preparation.networks import NetworkEndpoint, PublishPort
from wherry.linux.mountinfo import MountEntry
from wherry.linux.rtnetlink import Interface
from wherry.messages.explain import (
    Cost,
    InterfaceItem,
    LimitItem,
    MountItem,
    NamespaceItem,
    PortItem,
    ProcessItem,
    RouteItem,
)
from wherry.runtime.cgroups import Usage, files
from wherry.runtime.cgroups.files import Form
from wherry.runtime.steps import Exec, Plan, TinyInit
from wherry.values.sizes import spaced_memory

KERNEL = "counted by the kernel"


# ---------------------------------------------------------------- namespaces


def namespace_items(subject: Subject, observed: Observed, host: Host) -> Iterator[NamespaceItem]:
    """Each namespace of the first process, with who shares it."""
    causes = causes_of_namespaces(subject.record)
    for kind, inode in observed.namespaces.items():
        yield NamespaceItem(
            kind=kind,
            inode=inode,
            shared_with=shared_with(subject, kind, inode, host),
            cause=causes[kind],
        )


def shared_with(subject: Subject, kind: str, inode: int, host: Host) -> str:
    if inode == host.namespaces.get(kind):
        return "host"
    return ", ".join(m.name for m in host.members.get((kind, inode), ()) if m.id != subject.id)


# ---------------------------------------------------------------- mounts


def mount_items(subject: Subject, observed: Observed) -> list[MountItem]:
    """Each mount of the container, with the step that it comes from."""
    match = match_mounts(subject.mounts, observed.mounts)
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
    """The limits that the plan sets or the kernel really has, then the CPU time used."""
    causes, _ = planned_limits(plan)
    told = [reading for reading in cgroup.limits if worth_telling(reading, causes)]
    items = [limit_item(reading, limit_cause(reading, causes), cgroup) for reading in told]
    if cgroup.usage is not None:
        used = cgroup.usage.cpu_total
        items.append(
            LimitItem(name="CPU time", file=cgroup.cpu_file, unit="nanoseconds", used=used, cause=KERNEL)
        )
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
    return LimitItem(
        name=kind.name,
        file=reading.path,
        unit=kind.unit,
        limit=amount(reading),
        used=reading.used,
        note=limit_note(reading, cgroup),
        cause=cause,
    )


def amount(reading: LimitReading) -> int | None:
    """The limit as a number: how many of a set, what holds for the only device; None: no limit, or several."""
    value = value_of(reading.text, reading.kind.form)
    match reading.kind.form:
        case Form.WORDS:
            return quota(reading.text)
        case Form.LINES:
            last = reading.text.split()[-1:] if len(value) == 1 else []
            return int(last[0]) if last and last[0].isdecimal() else None
        case Form.SET:
            return len(value)
    return value if isinstance(value, int) else None


def quota(text: str) -> int | None:
    """``50000 100000`` of ``cpu.max``."""
    first = (text.split() or [""])[0]
    return int(first) if first.isdecimal() else None


def limit_note(reading: LimitReading, cgroup: CgroupState) -> str:
    file, usage = reading.kind.file, cgroup.usage or Usage()
    if file in (files.QUOTA_V1.name, files.QUOTA_V2.name):
        return "; ".join(cpu_notes(reading, cgroup, usage))
    if file in (files.MEMORY_V1.name, files.MEMORY_V2.name):
        peak = f"peak {spaced_memory(usage.memory_maximum)}" if usage.memory_maximum else ""
        struck = f"the OOM killer has struck {times(usage.oom_kills)}" if usage.oom_kills else ""
        return "; ".join(filter(None, (peak, struck)))
    if reading.kind.form in (Form.SET, Form.LINES, Form.PAIRS, Form.LAST):
        return "; ".join(" ".join(line.split()) for line in reading.text.splitlines())
    return ""


def cpu_notes(reading: LimitReading, cgroup: CgroupState, usage: Usage) -> Iterator[str]:
    limit = quota(reading.text)
    period = next((quota(r.text) for r in cgroup.limits if r.kind.file == files.PERIOD_V1.name), None)
    if period is None:
        period = quota(reading.text.partition(" ")[2])
    if limit and period:
        yield f"{limit / period:g} {'CPU' if limit == period else 'CPUs'}"
    if usage.periods:
        yield f"throttled in {usage.throttled_periods} of {usage.periods} periods"


def times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


# ---------------------------------------------------------------- network


def interface_items(plan: Plan, observed: Observed) -> list[InterfaceItem]:
    """Each interface of its network namespace; without a cause where no plan has it."""
    cause = network_cause(plan)
    endpoint = next(steps_of(plan, NetworkEndpoint), None)
    known = planned_interfaces(endpoint)
    joined = joins_network(plan)
    return [
        interface_item(i, observed, cause if joined or i.name in known or not i.up else "")
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


def interface_item(interface: Interface, observed: Observed, cause: str) -> InterfaceItem:
    end = observed.outside.get(interface.peer) if interface.kind == "veth" else None
    return InterfaceItem(
        name=interface.name,
        mac="" if interface.loopback else interface.mac,
        addresses=[a.address for a in observed.network.addresses if a.index == interface.index],
        state="up" if interface.up else "down",
        host_end=end.name if end is not None else "",
        plugged_into=observed.plugged_into(end) if end is not None else "",
        rx_bytes=interface.rx_bytes,
        tx_bytes=interface.tx_bytes,
        cause=cause,
    )


def route_items(plan: Plan, observed: Observed) -> list[RouteItem]:
    """Each route of its network namespace; without a cause where no plan has it."""
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
    """What is published to its address, by host port, with the packets and bytes that have come."""
    address = container_address(plan)
    if not address:
        return
    causes = {published_port(s, address): str(s.cause) for s in steps_of(plan, PublishPort) if s.host_port}
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
    """Each process that could be read, with its share of memory in bytes."""
    causes = planned_processes(subject, observed)
    for reading in observed.processes:
        yield ProcessItem(
            pid=reading.pid,
            command=reading.command,
            pss=reading.memory.proportional,
            descriptors=reading.descriptors,
            cause=causes.get(reading.pid, "started in the container"),
        )


def planned_processes(subject: Subject, observed: Observed) -> dict[int, str]:
    """Causes by pid. Where an init is the first process, the command is the first that it has started."""
    plan, first = subject.plan, subject.pid
    command = cause_of(next(steps_of(plan, Exec), None), DEFAULT)
    init = next(steps_of(plan, TinyInit), None)
    if init is None:
        return {first: command}
    started = min((reading.pid for reading in observed.processes if reading.parent == first), default=0)
    return {started: command, first: str(init.cause)}


def cost(observed: Observed, *, writable: int, log: int) -> Cost:
    """What the container takes of the host: bytes of memory, of its writable layer and of its log."""
    memories = [reading.memory for reading in observed.processes]
    private = sum(memory.private for memory in memories)
    usage = observed.cgroup.usage or Usage()
    return Cost(
        charged=usage.memory_usage,
        anonymous=usage.anonymous,
        tmpfs=usage.tmpfs,
        cache=usage.cache,
        processes=len(observed.processes) + observed.unread,
        descriptors=sum(reading.descriptors for reading in observed.processes),
        private=private,
        shared=max(sum(memory.proportional for memory in memories) - private, 0),
        monitor=observed.monitor_memory,
        writable=writable,
        log=log,
    )
