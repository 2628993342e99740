"""What a daemon does first: find out what is still true of what the last one left.

A running container's monitor is the truth about it. Where the monitor lives, the container is taken over, step by step
as its journal has it; where it has left an exit file, that exit is recorded; where there is neither, it ended with the
machine. What belongs to no container is swept away.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from wherry.engine.config import EngineConfig
from wherry.engine.container import Container
from wherry.engine.executor import Executor
from wherry.engine.lifecycle import Lifecycle, recorded
from wherry.engine.paths import ContainerPaths
from wherry.engine.preparation.step import Host
from wherry.engine.preparation.storage import remove_runtime
from wherry.engine.record import Phase
from wherry.engine.registry import Registry
from wherry.errors import sentence
from wherry.runtime.launcher import ExitStatus, read_exit_file
from wherry.values.times import rfc3339

LOST_EXIT_CODE = 255
UNSEEN = "it ended while no engine was there, without leaving an exit status"

log = logging.getLogger(__name__)


async def recover(
    config: EngineConfig, host: Host, registry: Registry, executor: Executor, lifecycle: Lifecycle
) -> None:
    """Bring the containers of the store back into the world, then sweep what nobody owns."""
    known = [registry.add(Container(record, state)) for record, state in host.store.containers.all()]
    alive = await asyncio.gather(*(taken_over(lifecycle, container) for container in known))
    live = {container.id for container, lives in zip(known, alive, strict=True) if lives}
    await host.networks.reconcile()
    for container in known:
        if container.id not in live:
            settle(config, executor, lifecycle, container)
    kept = {container.id for container in registry.everyone()}
    await asyncio.to_thread(sweep, config, host, kept, live)


async def taken_over(lifecycle: Lifecycle, container: Container) -> bool:
    """Whether it runs still. What cannot be found out of one keeps no daemon from starting."""
    try:
        return await lifecycle.recover(container)
    except Exception:
        log.exception("cannot take over container %s", container.id[:12])
        return container.running


def settle(config: EngineConfig, executor: Executor, lifecycle: Lifecycle, container: Container) -> None:
    """One that does not run. What cannot be settled keeps no daemon from starting."""
    try:
        lifecycle.recover_ended(container, ended(config, executor, container))
    except Exception:
        log.exception("cannot settle container %s", container.id[:12])


def ended(config: EngineConfig, executor: Executor, container: Container) -> ExitStatus | None:
    """How a container ended while no daemon was there; None where it did not run, or never came so far, or where
    nothing can be said of it any more."""
    has_run = executor.settle(container.id)
    if container.phase is Phase.DEAD:
        return None
    known = recorded(container)
    status = read_exit_file(Path(ContainerPaths(config, container.id).exit))
    if status is not None and not known and rfc3339(status.finished_ns) == container.state.finished_at:
        return None  # of an earlier run, and recorded
    if status is not None or not (known or has_run):
        return status
    log.warning("container %s ended without an exit status", container.id[:12])
    return ExitStatus(code=LOST_EXIT_CODE, oom=False, finished_ns=time.time_ns(), error=UNSEEN, known=False)


def sweep(config: EngineConfig, host: Host, kept: Collection[str], live: Collection[str]) -> None:
    """Take away directories, runtime files and cgroups that no container owns. What cannot be keeps no daemon from
    starting. The directories' content is deleted later, off everybody's way.
    """
    for remove, ids in unowned(config, host, kept, live):
        for id in ids:
            try:
                remove(id)
            except OSError as error:
                log.warning("cannot remove what is left of %s: %s", id[:12], sentence(error))


def unowned(
    config: EngineConfig, host: Host, kept: Collection[str], live: Collection[str]
) -> Iterator[tuple[Callable[[str], object], set[str]]]:
    """What is to be called with which ids.

    A cgroup goes before its container's directories do, and only one that has such is ours: below the parent there
    may be those of another engine, whose ids look the same.
    """
    parent = config.cgroup_parent
    written, prepared = set(host.snapshots.list()), set(os.listdir(config.runtime_dir))
    ours = (written | prepared | set(kept)) - set(live)
    yield lambda id: host.cgroups.destroy(f"/{parent}/{id}"), ours.intersection(host.cgroups.names(parent))
    yield host.snapshots.remove, written - set(kept)
    yield lambda id: remove_runtime(str(config.runtime_dir / id)), prepared - set(kept)
