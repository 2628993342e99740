"""Where plan and kernel differ. Pure: a plan and what was observed to a list of differences.

What a container's own processes may do to themselves without anybody's leave is no difference: giving up
capabilities, adding filters, setting no-new-privileges.
"""

from __future__ import annotations

from collections.abc import Iterator

from wherry.engine.explain.limits import shown, value_of
from wherry.engine.explain.mounts import (
    NULL_DEVICE,
    How,
    Matched,
    PlannedMount,
    host_read_only,
    match_mounts,
)
from wherry.engine.explain.network_drift import network_drift, port_drift
from wherry.engine.explain.observed import CgroupState, Host, Observed, Subject
from wherry.engine.explain.planned import (
    DEFAULT,
    causes_of_namespaces,
    joined_containers,
    own_namespaces,
    planned_devices,
    planned_limits,
    steps_of,
)
from wherry.engine.preparation.step import EngineStep
from wherry.engine.preparation.step import Host as EngineHost
from wherry.linux.mountinfo import MountEntry
from wherry.messages.explain import Drift
from wherry.runtime import capabilities
from wherry.runtime.cgroups.files import DEVICES_LIST
from wherry.runtime.steps import Capabilities, NoNewPrivileges, Plan, Seccomp, Step

FILTERED = 2  # Seccomp: in /proc/PID/status


def find_drift(subject: Subject, observed: Observed, host: Host) -> list[Drift]:
    """Every difference, in the order of an explanation."""
    plan = subject.plan
    return [
        *namespace_drift(subject, observed, host),
        *mount_drift(subject, observed),
        *limit_drift(plan, observed.cgroup),
        *device_drift(plan, observed.cgroup),
        *rights_drift(plan, observed),
        *network_drift(plan, observed),
        *port_drift(plan, host),
        *process_drift(observed),
    ]


def preparation_drift(plan: Plan, host: EngineHost) -> Iterator[Drift]:
    """The engine's own steps that are not there any more, as far as nothing compares them in detail."""
    for step in plan.preparation:
        if isinstance(step, EngineStep) and not step.compared and not step.look(host):
            yield Drift(
                kind="preparation", what=step.name, planned=step.describe(), actual="", cause=str(step.cause)
            )


# ---------------------------------------------------------------- namespaces


def namespace_drift(subject: Subject, observed: Observed, host: Host) -> Iterator[Drift]:
    own, joined = own_namespaces(subject.plan), joined_containers(subject.plan)
    causes = causes_of_namespaces(subject.record)
    for kind, inode in observed.namespaces.items():
        hosts = inode == host.namespaces.get(kind)
        names = [word for m in host.members.get((kind, inode), ()) for word in (m.id, m.name)]
        if kind in joined:
            step = joined[kind]
            gone = not is_running(step.container, host)
            if not gone and not any(refers(step.container, name) for name in names):
                yield namespace_difference(kind, f"that of container {step.container}", inode, causes[kind])
        elif kind in own and hosts:
            yield namespace_difference(kind, "its own", inode, causes[kind], "the host's")
        elif kind not in own and not hosts:
            yield namespace_difference(kind, "the host's", inode, causes[kind])


def namespace_difference(kind: str, planned: str, inode: int, cause: str, actual: str = "") -> Drift:
    return Drift(
        kind="namespace",
        what=kind,
        planned=planned,
        actual=actual or f"another, {inode}",
        cause=cause,
    )


def refers(ref: str, name: str) -> bool:
    """Whether a name, an id or the beginning of an id means this name or id."""
    return name == ref.removeprefix("/") or (len(ref) >= 1 and len(name) == 64 and name.startswith(ref))


def is_running(ref: str, host: Host) -> bool:
    every = (m for group in host.members.values() for m in group)
    return any(refers(ref, m.id) or refers(ref, m.name) for m in every)


# ---------------------------------------------------------------- mounts


def mount_drift(subject: Subject, observed: Observed) -> Iterator[Drift]:
    match = match_mounts(subject.mounts, observed.mounts)
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
    """A mount as it is, in few words: filesystem, source, ``ro`` or ``rw``."""
    source = f" {entry.source}" if entry.source not in ("", "none", entry.fstype) else ""
    return f"{entry.fstype}{source} {'ro' if entry.read_only else 'rw'}"


def same_filesystem(planned: PlannedMount, entry: MountEntry) -> bool:
    if planned.fstype and planned.fstype != entry.fstype:
        return False
    if planned.how is How.MASK:
        return entry.fstype == "tmpfs" or entry.root.endswith(NULL_DEVICE)
    return not planned.upper or (planned.upper, planned.lower) == (entry.option("upperdir"), lower_of(entry))


def lower_of(entry: MountEntry) -> str:
    """The layers of an overlay, topmost first; they are shown one by one where they were given so."""
    return entry.option("lowerdir") or ":".join(entry.options_of("lowerdir+"))


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
                cause=causes.get(file, DEFAULT),
            )


def device_drift(plan: Plan, cgroup: CgroupState) -> Iterator[Drift]:
    """Only for a plan that denies all and allows some: of any other the kernel does not list the exceptions."""
    planned = planned_devices(plan)
    if planned is None or cgroup.devices is None:
        return
    actual = set(cgroup.devices)
    for rule in sorted(planned - actual):
        yield Drift(kind="limit", what=DEVICES_LIST, planned=rule, actual="", cause=DEFAULT)
    for rule in sorted(actual - planned):
        yield Drift(kind="limit", what=DEVICES_LIST, planned="", actual=rule)


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
