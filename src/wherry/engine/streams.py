"""What goes in and out of containers: attached clients, logs, terminals."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

from wherry.engine.config import EngineConfig
from wherry.engine.container import Container
from wherry.engine.events import EventBus
from wherry.engine.paths import ContainerPaths
from wherry.engine.record import Phase
from wherry.errors import Conflict, InvalidArgument
from wherry.runtime.launcher import Attach
from wherry.runtime.log_watch import LogWatch
from wherry.runtime.logs import LogsQuery, follow
from wherry.values.keys import DEFAULT_DETACH_KEYS, parse_detach_keys


@dataclass(frozen=True, slots=True)
class AttachRequest:
    """What a client of ``attach`` wants. ``framed``: with Docker's 8-byte headers (no terminal)."""

    stream: bool = True
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    logs: bool = False
    detach_keys: str = ""
    framed: bool = True


class Streams:
    """The streams of all containers."""

    def __init__(self, config: EngineConfig, events: EventBus) -> None:
        self._config = config
        self._events = events
        self._attach_ids = 0
        self._followers = LogWatch()

    def check_attach(self, container: Container, ref: str, request: AttachRequest) -> AttachRequest:
        """The request as the container can fulfil it. Raises what stands in the way, while that can be an answer."""
        if container.phase is Phase.PAUSED:
            raise Conflict(f"container {ref} is paused, unpause the container before attach")
        if request.detach_keys:
            parse_detach_keys(request.detach_keys)
        config = container.record.config
        return replace(request, stdin=request.stdin and config.open_stdin, framed=not config.tty)

    async def attach(
        self, container: Container, request: AttachRequest, client_fd: int, leftover: bytes = b""
    ) -> None:
        """Hand a client's socket to the container's monitor, at once or when it starts. Takes ``client_fd``."""
        kept = False
        try:
            attach = self._attach(request, client_fd, leftover)
            if request.logs:
                await self._write_history(container, request, client_fd)
            if request.stream and container.run is not None:
                await container.run.monitor.attach(attach)
            elif request.stream and container.phase is not Phase.GONE:
                container.keep_attaching(attach)
                kept = True
        finally:
            if not kept:
                os.close(client_fd)
        self._events.container("attach", container.record, {})

    def _attach(self, request: AttachRequest, client_fd: int, leftover: bytes) -> Attach:
        self._attach_ids += 1
        return Attach(
            id=self._attach_ids,
            sock_fd=client_fd,
            stdin=request.stdin,
            stdout=request.stdout,
            stderr=request.stderr,
            framed=request.framed,
            detach_keys=detach_keys(request.detach_keys, terminal=not request.framed),
            leftover=leftover,
        )

    async def _write_history(self, container: Container, request: AttachRequest, client_fd: int) -> None:
        """Send what is in the log already. A client that does not read holds up only this."""
        query = LogsQuery(stdout=request.stdout, stderr=request.stderr, framed=request.framed)
        loop = asyncio.get_running_loop()
        with socket.socket(fileno=os.dup(client_fd)) as client:
            client.setblocking(False)
            async for batch in self._follow(container, query):
                await loop.sock_sendall(client, batch)

    async def logs(self, container: Container, query: LogsQuery) -> AsyncIterator[bytes]:
        """The log as framed batches; with ``follow`` until the container ends."""
        if not (query.stdout or query.stderr):
            raise InvalidArgument("Bad parameters: you must choose at least one stream")
        async for batch in self._follow(container, query):
            yield batch

    def _follow(self, container: Container, query: LogsQuery) -> AsyncIterator[bytes]:
        path = Path(ContainerPaths(self._config, container.id).log)
        return follow(path, query, container.ended, self._followers)

    async def resize(self, container: Container, rows: int, columns: int) -> None:
        """Set the size of its terminal. Conflict where it does not run."""
        if container.run is None:
            raise Conflict(f"container {container.id} is not running")
        await container.run.monitor.resize(rows, columns)
        self._events.container("resize", container.record, {"height": str(rows), "width": str(columns)})


def detach_keys(text: str, *, terminal: bool) -> bytes:
    """The sequence that detaches. Only who types has one: any bytes may come through a pipe."""
    return parse_detach_keys(text or DEFAULT_DETACH_KEYS) if terminal else b""
