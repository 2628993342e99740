"""The lines of an explanation that say what a container's first process may do. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.engine.explain.observed import CgroupState, Observed, Rights
from wherry.engine.explain.planned import DEFAULT, cause_of, planned_devices, steps_of
from wherry.engine.explain.seccomp import passage
from wherry.engine.preparation.rights import FILTER, LeftOut
from wherry.linux.procfs import IdRange, ProcessLimit
from wherry.messages.explain import RightsItem
from wherry.runtime import capabilities
from wherry.runtime.steps import Capabilities, NoNewPrivileges, OomScoreAdjust, Plan, Rlimit, Seccomp, User
from wherry.values.words import counted, raised

INHERITED = "inherited from the daemon"
SECCOMP_MODES = {0: "off", 1: "strict", 2: "filter"}
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


def rights_items(plan: Plan, observed: Observed) -> Iterator[RightsItem]:
    """User, capabilities, seccomp, devices, limits and id maps of the first process."""
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
        usual = name in ("inheritable", "ambient") and not names  # whatever was added to the others
        yield RightsItem(
            name=f"{name} capabilities",
            value=str(len(names)),
            values=names,
            cause=DEFAULT if usual else cause,
        )


def seccomp_item(plan: Plan, rights: Rights) -> RightsItem:
    """The mode and the number of filters are the kernel's word; what they let through is worked out from a program:
    the kernel's where it was read, else the plan's."""
    step, status = next(steps_of(plan, Seccomp), None), rights.status
    left_out = next((s for s in steps_of(plan, LeftOut) if s.what == FILTER), None)
    values = []
    if status.seccomp_filters:
        values.append(f"{status.seccomp_filters} installed")
    program = rights.filter or (step.program if step is not None and status.seccomp else None)
    if program is not None:
        found = passage(program)
        source = "read from the kernel" if rights.filter else "from the plan's program"
        values.append(f"allows {found.describe()} ({source}, {counted(found.instructions, 'instruction')})")
    if rights.filter and step is not None:
        same = rights.filter == step.program
        values.append("the kernel's program and the plan's are " + ("the same" if same else "different"))
    mode = SECCOMP_MODES.get(status.seccomp, str(status.seccomp))
    return RightsItem(name="seccomp", value=mode, values=values, cause=cause_of(step or left_out, DEFAULT))


def device_items(plan: Plan, cgroup: CgroupState) -> Iterator[RightsItem]:
    if cgroup.devices is not None:
        cause = DEFAULT if planned_devices(plan) is not None else left_out_cause(plan)
        rules = list(cgroup.devices)
        yield RightsItem(name="devices allowed", value=counted(len(rules), "rule"), values=rules, cause=cause)


def left_out_cause(plan: Plan) -> str:
    return cause_of(next((s for s in steps_of(plan, LeftOut) if "device" in s.what), None), DEFAULT)


def rlimit_items(plan: Plan, rights: Rights) -> Iterator[RightsItem]:
    planned = {step.label: step for step in steps_of(plan, Rlimit)}
    for limit in rights.limits:
        name = RLIMIT_NAMES.get(limit.name, limit.name)
        cause = cause_of(planned.get(name), INHERITED)
        yield RightsItem(name=f"rlimit {name}", value=rlimit_text(limit), cause=cause)


def rlimit_text(limit: ProcessLimit) -> str:
    if limit.soft is None:
        return "unlimited"
    amount = f"{limit.soft} {limit.unit}" if limit.unit else str(limit.soft)
    return amount + raised(limit.soft, limit.hard)


def id_range(ids: IdRange) -> str:
    if ids.inside == ids.outside:
        return f"{ids.inside} to {ids.inside + ids.count - 1}, the host's own"
    last = ids.inside + ids.count - 1
    return f"{ids.inside} to {last} are {ids.outside} to {ids.outside + ids.count - 1} on the host"
