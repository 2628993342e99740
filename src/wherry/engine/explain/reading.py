"""Reading one container from the kernel. Runs in a worker thread; see ``observed.py`` for what is read."""

from __future__ import annotations

import os
from collections.abc import Callable

from wherry.engine.explain.cgroup_reading import read_cgroup
from wherry.engine.explain.mounts import MountTable
from wherry.engine.explain.observed import Depth, Host, Observed, Rights, Subject
from wherry.engine.explain.process_reading import (
    PROCESSES_MAX,
    first_of,
    read_memory,
    read_processes,
    read_strays,
)
from wherry.linux import kernel_file, mountinfo, procfs, ptrace, rtnetlink
from wherry.linux.mountinfo import MountEntry
from wherry.linux.netlink import Netlink
from wherry.linux.procfs import ProcessDirectory
from wherry.linux.rtnetlink import Interface
from wherry.runtime.cgroups import Cgroups

CHECK = Depth(use=False)
Pause = Callable[[], None]


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
    entries = mountinfo.parse(kernel_file.read_bytes("mountinfo", dir_fd=process.fd))
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
