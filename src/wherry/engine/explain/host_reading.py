"""Reading what all containers of one question have in common from the kernel."""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence

from wherry.engine.explain.observed import Host, Member, Subject
from wherry.linux import kernel_file, mountinfo, procfs, rtnetlink
from wherry.linux.netlink import Netlink
from wherry.linux.nftables import Count, Tables
from wherry.linux.rtnetlink import Interface
from wherry.network.firewall import read_counts
from wherry.network.ports import PublishedPort

SHARED_KINDS = ("net", "pid", "ipc")
CONTAINER = "container:"


def read_host(table: str, running: Sequence[Subject], *, many: bool) -> Host:
    """What all containers of a question have in common. ``table`` is the engine's nftables table.

    ``many``: so many containers will be read that all links and processes are better listed once.
    """
    return Host(
        namespaces=procfs.own_namespaces(),
        mounts=mountinfo.parse(kernel_file.read_bytes("/proc/thread-self/mountinfo")),
        links=read_links() if many else None,
        ports=read_ports(table),
        pids=procfs.pids_by_namespace("pid") if many else None,
        members=read_members(sharing(running)),
    )


def read_links() -> dict[int, Interface]:
    with Netlink() as socket:
        return {link.index: link for link in rtnetlink.interfaces(socket, statistics=False)}


def read_ports(table: str) -> dict[PublishedPort, Count]:
    """Published ports, from the table's maps; none where the table is missing."""
    tables = Tables()
    try:
        return read_counts(tables, table)
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
