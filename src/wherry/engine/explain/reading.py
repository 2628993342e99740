"""Reading one container, and the host around it, from the kernel. Runs in a worker thread; see ``observed.py``."""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from wherry.engine.explain.limits import OF_PARENT, LimitFile, limit_files, number
from wherry.engine.explain.mounts import MountTable
from wherry.engine.explain.observed import (
    CgroupState,
    Host,
    LimitReading,
    Member,
    Observed,
    ProcessReading,
    Rights,
    Stray,
    Subject,
)
from wherry.linux import cgroupfs, mountinfo, procfs, ptrace, rtnetlink
from wherry.linux.mountinfo import MountEntry
from wherry.linux.netlink import Netlink
from wherry.linux.nftables import Count, Tables
from wherry.linux.procfs import ProcessDirectory
from wherry.linux.rtnetlink import Interface
from wherry.network import firewall
from wherry.network.firewall import Forwarding
from wherry.runtime.cgroups import Cgroups, CgroupsV1, CgroupsV2
from wherry.runtime.steps import CgroupWrite, Plan

SHARED_KINDS = ("net", "pid", "ipc")
CONTAINER = "container:"
PROCESSES_MAX = 500  # that are looked at one by one


@dataclass(frozen=True, slots=True)
class Depth:
    """How much is read. ``use``: also what is used of it all; ``filter``: also the seccomp program, for which the
    container's first process is stopped for a moment."""

    use: bool = True
    filter: bool = False


CHECK = Depth(use=False)
Pause = Callable[[], None]


# ---------------------------------------------------------------- the host


def read_host(table: str, running: Sequence[Subject], *, many: bool) -> Host:
    """What all containers of a question have in common. ``table`` is the engine's nftables table.

    ``many``: so many containers will be read that all links and processes are better listed once.
    """
    return Host(
        namespaces=procfs.own_namespaces(),
        mounts=mountinfo.parse(procfs.read_bytes("/proc/thread-self/mountinfo")),
        links=read_links() if many else None,
        ports=read_ports(table),
        pids=procfs.pids_by_namespace("pid") if many else None,
        members=read_members(sharing(running)),
    )


def read_links() -> dict[int, Interface]:
    with Netlink() as socket:
        return {link.index: link for link in rtnetlink.interfaces(socket, statistics=False)}


def read_ports(table: str) -> dict[Forwarding, Count]:
    """Published ports, from the table's maps; none where the table is missing."""
    tables = Tables()
    try:
        return {
            firewall.decode(name, element): count
            for name in firewall.MAPS
            for element, count in tables.elements(table, name).items()
        }
    except FileNotFoundError:
        return {}
    finally:
        tables.close()


def sharing(running: Sequence[Subject]) -> list[Subject]:
    """Those that join others' namespaces, and those others. Of any other container nobody needs to be told."""
    refs = {
        mode[len(CONTAINER) :] for subject in running for mode in modes(subject) if mode.startswith(CONTAINER)
    }
    return [
        subject
        for subject in running
        if any(mode.startswith(CONTAINER) for mode in modes(subject))
        or any(subject.name == ref or subject.id.startswith(ref) for ref in refs)
    ]


def modes(subject: Subject) -> tuple[str, ...]:
    host = subject.record.host_config
    return (host.network_mode, host.pid_mode, host.ipc_mode)


def read_members(running: Iterable[Subject]) -> dict[tuple[str, int], tuple[Member, ...]]:
    found: dict[tuple[str, int], tuple[Member, ...]] = defaultdict(tuple)
    for subject in running:
        for kind in SHARED_KINDS:
            with contextlib.suppress(OSError):
                inode = os.stat(f"/proc/{subject.pid}/ns/{kind}").st_ino
                found[kind, inode] += (Member(subject.id, subject.name),)
    return dict(found)


# ---------------------------------------------------------------- a container


def read_container(
    subject: Subject, host: Host, cgroups: Cgroups, path: str, depth: Depth, pause: Pause
) -> Observed | None:
    """All of it, or None where the container's first process has gone before it was read to the end.

    ``path`` is its cgroup's, as in its specification; ``pause`` is called between the parts.
    """
    try:
        with ProcessDirectory(subject.pid) as process:
            observed = read_process(process, subject, host, cgroups, path, depth, pause)
            return observed if is_whole(process) else None
    except (FileNotFoundError, ProcessLookupError):
        return None
    except OSError:
        if still_there(subject.pid):
            raise
        return None


def still_there(pid: int) -> bool:
    try:
        with ProcessDirectory(pid) as process:
            return is_whole(process)
    except OSError:
        return False


def is_whole(process: ProcessDirectory) -> bool:
    """Whether it has all that it had: a process that exits gives up its namespaces before it is called a zombie."""
    return process.status().alive and process.namespace("mnt") != 0


def read_process(
    process: ProcessDirectory,
    subject: Subject,
    host: Host,
    cgroups: Cgroups,
    path: str,
    depth: Depth,
    pause: Pause,
) -> Observed:
    namespaces = process.namespaces()
    cgroup = read_cgroup(subject.plan, cgroups, path, depth)
    pause()
    rights = read_rights(process, depth)
    network = read_network(process, namespaces, host)
    pause()
    outside = host.links if host.links is not None else read_outside(network)
    mounts = read_mounts(process, subject, host.mounts)
    pause()
    return Observed(
        namespaces=namespaces,
        mounts=mounts,
        cgroup=cgroup,
        rights=rights,
        network=network,
        outside=outside,
        processes=tuple(read_processes(first_of(cgroup.processes, process.pid))) if depth.use else (),
        strays=tuple(read_strays(process, namespaces, host, cgroup, subject)),
        unread=max(len(cgroup.processes) - PROCESSES_MAX, 0),
        monitor=rights.status.parent,
        monitor_memory=read_memory(rights.status.parent) if depth.use else 0,
    )


def read_mounts(process: ProcessDirectory, subject: Subject, host: tuple[MountEntry, ...]) -> MountTable:
    entries = mountinfo.parse(procfs.read_bytes("mountinfo", dir_fd=process.fd))
    there = {entry.target for entry in entries}
    missing = [mount for mount in subject.mounts if mount.target not in there]
    resolved = {m.target: r for m in missing if (r := process.resolve(m.target)) != m.target}
    present = {m.target for m in missing if m.optional and process.has(resolved.get(m.target, m.target))}
    return MountTable(entries, resolved, present, host)


def read_network(process: ProcessDirectory, namespaces: dict[str, int], host: Host) -> rtnetlink.NetworkState:
    """Of a network of its own: the host's is none of the container's."""
    if namespaces.get("net") == host.namespaces.get("net"):
        return rtnetlink.NetworkState()
    descriptor = process.open("ns/net")
    try:
        return rtnetlink.read_inside(descriptor)
    finally:
        os.close(descriptor)


def read_outside(network: rtnetlink.NetworkState) -> dict[int, Interface]:
    """The other ends of its veths on the host, and what they are plugged into."""
    found: dict[int, Interface] = {}
    with Netlink() as socket:
        for interface in network.interfaces:
            end = rtnetlink.find(socket, interface.peer) if interface.kind == "veth" else None
            for link in (end, rtnetlink.find(socket, end.master) if end is not None and end.master else None):
                found |= {link.index: link} if link is not None else {}
    return found


def read_rights(process: ProcessDirectory, depth: Depth) -> Rights:
    return Rights(
        status=process.status(),
        limits=procfs.parse_limits(process.text("limits")) if depth.use else (),
        uid_map=procfs.parse_id_map(process.text("uid_map")) if depth.use else (),
        gid_map=procfs.parse_id_map(process.text("gid_map")) if depth.use else (),
        oom_score_adj=int(process.text("oom_score_adj")),
        filter=read_filter(process.pid) if depth.filter else None,
    )


def read_filter(pid: int) -> bytes | None:
    """The first filter; None where there is none or the kernel does not tell."""
    try:
        return ptrace.seccomp_filter(pid)
    except OSError:
        return None


# ---------------------------------------------------------------- cgroups


def read_cgroup(plan: Plan, cgroups: Cgroups, path: str, depth: Depth) -> CgroupState:
    written = [os.path.basename(step.path) for step in plan.steps if isinstance(step, CgroupWrite)]
    kinds = limit_files(cgroups.version, written)
    return CgroupState(
        limits=tuple(read_limits(kinds, cgroups, path, depth)),
        devices=read_devices(cgroups, path),
        usage=cgroups.usage(path) if depth.use else None,
        cpu_file=cpu_file(cgroups, path),
        pids={directory: members(directory) for directory in directories(cgroups, path)},
    )


def cpu_file(cgroups: Cgroups, path: str) -> str:
    name = "cpuacct.usage" if cgroups.version == 1 else "cpu.stat"
    return f"{directory_of(cgroups, name.partition('.')[0], path)}/{name}"


def read_limits(
    kinds: Iterable[LimitFile], cgroups: Cgroups, path: str, depth: Depth
) -> Iterator[LimitReading]:
    for kind in kinds:
        directory = directory_of(cgroups, kind.controller, path)
        text = read_or_none(f"{directory}/{kind.file}") if directory else None
        if text is not None:
            default = default_of(kind, directory)
            used = read_or_none(f"{directory}/{kind.used}") if kind.used and depth.use else None
            yield LimitReading(kind, f"{directory}/{kind.file}", text, default, used_of(used))


def default_of(kind: LimitFile, directory: str) -> str:
    if kind.default != OF_PARENT:
        return kind.default
    return read_or_none(f"{os.path.dirname(directory)}/{kind.file}") or ""


def used_of(text: str | None) -> int | None:
    value = number(text) if text is not None else None
    return value if isinstance(value, int) else None


def read_devices(cgroups: Cgroups, path: str) -> tuple[str, ...] | None:
    if not isinstance(cgroups, CgroupsV1):
        return None
    directory = directory_of(cgroups, "devices", path)
    text = read_or_none(f"{directory}/devices.list") if directory else None
    return tuple(text.splitlines()) if text is not None else None


def directory_of(cgroups: Cgroups, controller: str, path: str) -> str:
    """Where a controller's files are; "" where this host has no such controller."""
    if isinstance(cgroups, CgroupsV1):
        return cgroups.directory(controller, path) if controller in cgroups.controllers else ""
    return cgroups.directory(path) if isinstance(cgroups, CgroupsV2) else ""


def directories(cgroups: Cgroups, path: str) -> Sequence[str]:
    if isinstance(cgroups, CgroupsV1):
        return cgroups.directories(path)
    return [cgroups.directory(path)] if isinstance(cgroups, CgroupsV2) else []


def members(directory: str) -> frozenset[int]:
    """The processes in a cgroup and in those that the container has made below it."""
    found, pending = set[int](), [directory]
    while pending:
        directory = pending.pop()
        found.update(cgroupfs.processes(directory))
        pending += (f"{directory}/{name}" for name in cgroupfs.children(directory))
    return frozenset(found)


def read_or_none(path: str) -> str | None:
    try:
        return procfs.read_text(path)
    except OSError:
        return None


# ---------------------------------------------------------------- processes


def read_processes(pids: Iterable[int]) -> Iterator[ProcessReading]:
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
