"""What a container can do beyond itself: what of the host it is given, in words that say what could come of it.

By what was asked for, not by what was tried: a warning, for who reads a plan or an explanation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeGuard

from wherry.engine.explain.reach_paths import ROOT, Place, bound
from wherry.engine.preparation.namespaces import JoinContainer, ShareWithHost
from wherry.engine.preparation.rights import CGROUPS, FILTER, MASKS, READ_ONLY_PATHS, LeftOut
from wherry.engine.preparation.step import EngineStep
from wherry.engine.preparation.storage import RuntimeDirectory, WritableLayer
from wherry.engine.record import ContainerRecord
from wherry.messages.plan import Reach
from wherry.runtime import capabilities, mounts
from wherry.runtime.steps import Capabilities, Cause, MakeNode, Origin, Plan, asked

PRIVILEGED = (
    "it is root on the host in all but name: it can open every device (disks and memory among them), load kernel "
    "modules, mount filesystems and change the kernel's settings."
)
SHARED = {
    "network": (
        "It can listen on the host's addresses, connect to what listens on the host's 127.0.0.1, and capture "
        "the host's traffic."
    ),
    "pid": (
        "It can see every process of the host with its command line, and signal those of its own user: "
        "as root (with CAP_KILL), all of them."
    ),
    "ipc": "It can read and change the shared memory, semaphores and message queues of the host's processes.",
}
LEFT_OUT = {
    FILTER: "It can make every system call, also those that are filtered because of past kernel bugs.",
    MASKS: "It can read what /proc and /sys tell about the host's kernel and hardware.",
    READ_ONLY_PATHS: "It can change settings of the host's kernel in /proc/sys, as root.",
    CGROUPS: "It can change its own limits, as root.",
}
GRANTED = {
    "CAP_SYS_ADMIN": (
        "mount filesystems and administer most of the kernel, which is often enough to become root on the host"
    ),
    "CAP_SYS_MODULE": "load kernel modules, which is enough to become root on the host",
    "CAP_SYS_RAWIO": "use I/O ports and raw disk commands, which is enough to become root on the host",
    "CAP_DAC_READ_SEARCH": "open files of the host by their inode numbers, outside its own root",
    "CAP_SYS_PTRACE": "read and change the memory of every process that it can see",
    "CAP_BPF": "load BPF programs into the kernel",
    "CAP_PERFMON": "watch the kernel and all processes of the host",
    "CAP_NET_ADMIN": "configure interfaces, routes and the firewall of the network that it is in",
    "CAP_SYSLOG": "read the host's kernel log",
    "CAP_SYS_TIME": "set the host's clock",
    "CAP_SYS_BOOT": "load another kernel",
    "CAP_SYS_RESOURCE": "exceed resource limits",
    "CAP_CHECKPOINT_RESTORE": "choose the numbers of new processes, and open files of other processes through /proc",
    "CAP_SYS_NICE": "take processor time from other processes of the host",
    "CAP_IPC_LOCK": "lock memory, so that it cannot be swapped out",
    "CAP_MAC_ADMIN": "change the host's security policy",
    "CAP_MAC_OVERRIDE": "override the host's security policy",
    "CAP_AUDIT_CONTROL": "change the host's auditing",
    "CAP_AUDIT_READ": "read the host's audit log",
    "CAP_WAKE_ALARM": "wake the host from sleep",
    "CAP_BLOCK_SUSPEND": "keep the host from going to sleep",
    "CAP_SYS_TTY_CONFIG": "hang up terminals, and set up the host's consoles",
    "CAP_SYS_PACCT": "switch the host's process accounting on and off",
    "CAP_LINUX_IMMUTABLE": "make files immutable or append-only, and undo that",
    "CAP_LEASE": "take leases on files of any owner",
    "CAP_IPC_OWNER": "use shared memory, semaphores and message queues of any owner",
    "CAP_NET_BROADCAST": "send broadcasts",
}
NAMED = 4  # added capabilities that are spelt out
MEMORY = (1, 2, 4)  # minor numbers of /dev/mem, /dev/kmem and /dev/port, under the major number 1


def reach(record: ContainerRecord, plan: Plan) -> list[Reach]:
    """The worst first. Empty for a container that is given nothing of the host's. Looks at what it binds, which may
    lie on a disk that does not answer: for a thread."""
    steps = [step for step in plan.preparation if isinstance(step, EngineStep)]
    privileged, user = record.host_config.privileged, record.config.user.partition(":")[0]
    places = [Place.of(point) for point in mounts.requested(record.host_config) if point.type == mounts.BIND]
    folders = own_folders(steps)
    found = [
        *([(as_root(PRIVILEGED, user), asked("--privileged"))] if privileged else []),
        *((bound(place, user, folders), place.point.cause) for place in places if place.is_given),
        *((SHARED[s.kind], s.cause) for s in steps if shares(s) and s.kind in SHARED),
        *(() if privileged else (*added(plan, user), *opened(plan), *ruled(record))),
        *(
            (LEFT_OUT[s.what], s.cause)
            for s in steps
            if isinstance(s, LeftOut) and not privileged and s.what in LEFT_OUT
        ),
    ]
    return [Reach(could=could, origin=cause.origin.value, cause=cause.text) for could, cause in found]


def shares(step: EngineStep) -> TypeGuard[ShareWithHost | JoinContainer]:
    """Whether it leaves a namespace the host's: itself, or because that of the container which is joined is."""
    return isinstance(step, ShareWithHost) or (isinstance(step, JoinContainer) and step.of_host)


def own_folders(steps: Iterable[EngineStep]) -> tuple[str, ...]:
    """The engine's data root and exec root: who writes there writes every container's files, and orders."""
    homes = [Path(s.path) for s in steps if isinstance(s, RuntimeDirectory)]
    homes += [Path(s.upper).parent for s in steps if isinstance(s, WritableLayer)]
    return tuple(str(home.parents[1]) for home in homes)


# ---------------------------------------------------------------- rights and devices


def as_root(words: str, user: str) -> str:
    """Only root has the capabilities of a container; another user would have to become root in it."""
    return (
        f"{words[0].upper()}{words[1:]}"
        if user in ROOT
        else f"If it becomes root (it runs as user {user}), {words}"
    )


def added(plan: Plan, user: str) -> Iterator[tuple[str, Cause]]:
    """Capabilities beyond Docker's defaults."""
    step = next((step for step in plan.steps if isinstance(step, Capabilities)), None)
    if step is None:
        return
    names = set(capabilities.names_of(step.bounding)) - set(capabilities.defaults())
    told = [f"{words} ({name})" for name, words in GRANTED.items() if name in names]
    others = sorted(names - set(GRANTED))
    if len(told) > NAMED:
        told = [*told[:NAMED], f"and more, by {len(names) - NAMED} other capabilities"]
    elif others:
        told.append(f"do what {', '.join(others)} {'allows' if len(others) == 1 else 'allow'}")
    if told:
        yield as_root(f"it can {'; '.join(told)}.", user), step.cause


def opened(plan: Plan) -> Iterator[tuple[str, Cause]]:
    """Devices of the host, those of one cause together."""
    by_cause: dict[Cause, list[MakeNode]] = {}
    for step in plan.steps:
        if isinstance(step, MakeNode) and step.cause.origin is Origin.REQUEST:
            by_cause.setdefault(step.cause, []).append(step)
    for cause, nodes in by_cause.items():
        yield device_words(nodes), cause


def device_words(nodes: list[MakeNode]) -> str:
    if len(nodes) > 1:
        return f"It can use {len(nodes)} devices of the host, as {nodes[0].path} and others."
    (node,) = nodes
    if node.kind == "b":
        return f"It can use a disk of the host, as {node.path}, without regard to the filesystems on it."
    if node.major == 1 and node.minor in MEMORY:
        return f"It can read and change the host's memory through {node.path}."
    return f"It can use a device of the host, as {node.path}."


def ruled(record: ContainerRecord) -> Iterator[tuple[str, Cause]]:
    """Rules let through nodes that it makes itself."""
    for rule in record.host_config.device_cgroup_rules or ():
        yield (
            f"It can make and use those of the host's devices that match {rule}.",
            asked(f"--device-cgroup-rule {rule}"),
        )
