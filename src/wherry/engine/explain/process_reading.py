"""Reading a container's processes: those in its cgroups, and those that ought to be."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from wherry.engine.explain.observed import CgroupState, Host, ProcessReading, Stray, Subject
from wherry.linux import procfs
from wherry.linux.procfs import ProcessDirectory

PROCESSES_MAX = 500  # that are looked at one by one


def read_processes(pids: Iterable[int]) -> Iterator[ProcessReading]:
    """One reading each; processes that end meanwhile are passed over."""
    for pid in pids:
        with contextlib.suppress(OSError), ProcessDirectory(pid) as process:
            yield ProcessReading(
                pid=pid,
                parent=process.status().parent,
                command=process.command(),
                memory=process.memory(),
                descriptors=process.descriptors(),
            )


def first_of(pids: Iterable[int], init: int) -> list[int]:
    """The processes that are looked at one by one: the container's first one, then in the order of their pids."""
    return sorted(pids, key=lambda pid: (pid != init, pid))[:PROCESSES_MAX]


def read_memory(pid: int) -> int:
    """A process's share of memory (PSS) in bytes; 0 where it cannot be read."""
    try:
        with ProcessDirectory(pid) as process:
            return process.memory().proportional
    except OSError:
        return 0


def read_strays(
    process: ProcessDirectory, namespaces: dict[str, int], host: Host, cgroup: CgroupState, subject: Subject
) -> Iterator[Stray]:
    """Processes of the container that are outside its cgroups, and in no other container's either."""
    own = namespaces.get("pid", 0)
    guests = [m for m in host.members.get(("pid", own), ()) if m.id != subject.id]
    alone = own != host.namespaces.get("pid") and not guests
    if alone and host.pids is None and nobody_else(process, cgroup):
        return
    for pid in container_pids(process, own, host, alone=alone):
        if all(pid in inside for inside in cgroup.pids.values()):
            continue
        stray = read_stray(pid)
        if stray is not None and not any(guest.id in place for guest in guests for place in stray.cgroups):
            yield stray


def nobody_else(process: ProcessDirectory, cgroup: CgroupState) -> bool:
    """Whether the container's own procfs shows just the processes of its cgroups: then there are no others in its PID
    namespace. Cheap, where looking at each process of the machine is not."""
    groups = set(cgroup.pids.values())
    if len(groups) != 1:
        return False
    try:
        shown = process.visible_pids()
    except OSError:
        return False
    depth = len(process.numbers()) - 1
    return shown == {numbers[depth] for pid in groups.pop() if len(numbers := numbers_of(pid)) > depth}


def numbers_of(pid: int) -> tuple[int, ...]:
    try:
        with ProcessDirectory(pid) as process:
            return process.numbers()
    except OSError:
        return ()


def container_pids(process: ProcessDirectory, namespace: int, host: Host, *, alone: bool) -> Iterable[int]:
    """All in its PID namespace or, where that is the host's or somebody else's too, those that it has started."""
    if not alone:
        return descendants(process.pid)
    pids = host.pids if host.pids is not None else procfs.pids_by_namespace("pid")
    return pids.get(namespace, ())


def descendants(pid: int) -> Iterator[int]:
    pending = [pid]
    while pending:
        pid = pending.pop()
        yield pid
        with contextlib.suppress(OSError), ProcessDirectory(pid) as process:
            pending += process.children()


def read_stray(pid: int) -> Stray | None:
    """None where it has gone, or is a zombie: that is in no cgroup any more."""
    try:
        with ProcessDirectory(pid) as process:
            if not process.status().alive:
                return None
            places = procfs.parse_cgroups(process.text("cgroup"))
            return Stray(pid, process.command(), tuple(f"{c}:{path}" for c, path in places.items()))
    except OSError:
        return None
