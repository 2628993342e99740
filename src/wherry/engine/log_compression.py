"""``--log-opt compress=true``: rotated files of such logs are compressed beside everything else, one at a time."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from wherry.engine.config import EngineConfig
from wherry.engine.container import Container
from wherry.engine.log_options import is_compressed, log_files
from wherry.engine.paths import ContainerPaths
from wherry.runtime.launcher import Monitored
from wherry.runtime.log_compression import Compressed, compress_one, put_in_place

WAIT_SECONDS, LOOKS = 0.01, 20  # for a monitor that is at work it takes none of them
REST_SECONDS = 60.0  # behind one that failed, as of a disk that is full

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Ready:
    """A file that is compressed and not in its place yet, and the monitor that was given it."""

    files: Compressed
    given: Monitored | None = None


class LogCompression:
    """The logs of all containers that are to be compressed."""

    def __init__(self, config: EngineConfig, everyone: Callable[[], Iterable[Container]]) -> None:
        self._config = config
        self._everyone = everyone
        self._ready: dict[str, Ready] = {}  # by container
        self._stopped = threading.Event()
        self._rests_until = 0.0

    async def work(self) -> None:
        """All files that are due, log by log."""
        asking = {c.id: c for c in self._everyone() if is_compressed(c.record.host_config.log_config)}
        for id in self._ready.keys() - asking.keys():  # removed meanwhile
            self._ready.pop(id).files.close()
        for container in asking.values():
            if time.monotonic() >= self._rests_until:
                await self._compress(container)

    def stop(self) -> None:
        """What is under way is let go of: it has no name, so that nothing is left of it."""
        self._stopped.set()
        for ready in self._ready.values():
            ready.files.close()
        self._ready.clear()

    async def _compress(self, container: Container) -> None:
        """No more files than a log has, so that one that rotates all the time leaves time for others."""
        path = ContainerPaths(self._config, container.id).log
        try:
            for _ in range(log_files(container.record.host_config.log_config)):
                if not await self._compress_one(container, path):
                    return
        except OSError as error:
            log.warning("the log of container %s cannot be compressed: %s", container.id[:12], error)
            self._rests_until = time.monotonic() + REST_SECONDS

    async def _compress_one(self, container: Container, path: str) -> bool:
        """Whether one more is in its place. A monitor that takes its time is given no other meanwhile."""
        if container.id not in self._ready:
            files = await asyncio.to_thread(compress_one, path, self._stopped.is_set)
            if files is None:
                return False
            self._ready[container.id] = Ready(files)
        ready = self._ready[container.id]
        await self._give(container, path, ready)
        for _ in range(LOOKS):
            if ready.files.is_settled:
                self._ready.pop(container.id).files.close()
                return True
            await asyncio.sleep(WAIT_SECONDS)
        return False

    async def _give(self, container: Container, path: str, ready: Ready) -> None:
        """To who names the files of the log: a monitor, or nobody else, and then none can come while this goes on."""
        async with container.lock:
            monitor = container.run.monitor if container.run is not None else None
            if monitor is None:
                put_in_place(path, ready.files)
            elif monitor is not ready.given:
                monitor.log_compressed(os.fstat(ready.files.original), ready.files.descriptor)
            ready.given = monitor
