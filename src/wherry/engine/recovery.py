"""What a daemon does first: find out what is still true of what the last one left.

A running container's monitor is the truth about it. Where the monitor lives, the container is taken over;
where it has left an exit file, that exit is recorded; where there is neither, it ended with the machine.
What belongs to no container is swept away.
"""

from __future__ import annotations

import asyncio
import logging
import time

from wherry.engine.container import Container
from wherry.engine.containers import Containers
from wherry.engine.launching import Launching
from wherry.engine.network import Networks
from wherry.engine.store import Store
from wherry.runtime.launcher import ExitStatus, read_exit_file
from wherry.snapshot.overlay import OverlayStore

LOST_EXIT_CODE = 255

log = logging.getLogger(__name__)


async def recover(
    store: Store, containers: Containers, launching: Launching, networks: Networks, snapshots: OverlayStore
) -> None:
    """Bring the containers of the store back into the world, then sweep what nobody owns."""
    records = store.containers()
    known = [containers.restore(record) for record in records]
    monitors = await asyncio.gather(*(launching.find_monitor(container.id) for container in known))
    live = [(c, m) for c, m in zip(known, monitors, strict=True) if m is not None]
    for container, monitor in live:
        launching.readopt(container)
        containers.readopt(container, monitor)
    await networks.reconcile()
    for container, found in zip(known, monitors, strict=True):
        if found is None:
            await settle_ended(containers, launching, container)
    kept = {container.id for container in containers.everyone()}
    await asyncio.to_thread(sweep, launching, snapshots, kept, {container.id for container, _ in live})


async def settle_ended(containers: Containers, launching: Launching, container: Container) -> None:
    """Record the exit of a container that no monitor speaks for.

    An attachment in the record says that a start was tried and its end not recorded as yet.
    """
    record = container.record
    if record.attachment is None and not container.running:
        return
    status = read_exit_file(launching.paths(container.id).exit)
    if status is None and not container.running:
        containers.never_started(container)
        return
    if status is None:
        log.warning("container %s ended without an exit status", container.id[:12])
        status = ExitStatus(code=LOST_EXIT_CODE, oom=False, finished_ns=time.time_ns(), lost=True)
    await containers.ended_unseen(container, status)


def sweep(launching: Launching, snapshots: OverlayStore, kept: set[str], live: set[str]) -> None:
    """Delete directories, runtime files and cgroups that no container owns."""
    for id in set(snapshots.list()) - kept:
        snapshots.remove(id)
    snapshots.sweep()
    for id in set(launching.runtime_ids()) - kept:
        launching.discard_runtime(id)
    for id in set(launching.cgroup_ids()) - live:
        launching.destroy_cgroup(id)
