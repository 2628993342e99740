"""Serving the API on listening sockets."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

from wherry.api.activity import Activity
from wherry.api.connection import ApiServer, Handler
from wherry.api.listen import BACKLOG
from wherry.api.relay import Factory, Relays
from wherry.api.tls import Tcp

CLOSE_SECONDS = 2.0


class ApiRunner:
    """A running API. ``activity`` tells how busy it is; ``close`` ends it."""

    def __init__(self, server: ApiServer, activity: Activity) -> None:
        self.activity = activity
        self._server = server
        self._listeners: list[asyncio.AbstractServer] = []
        self._relays: list[Relays] = []

    @classmethod
    async def start(
        cls, handler: Handler, activity: Activity, sockets: Sequence[socket.socket], tcp: Tcp | None
    ) -> ApiRunner:
        """Serve on listening sockets; what comes by TCP as ``tcp`` says."""
        runner = cls(ApiServer(handler), activity)
        for sock in sockets:
            await runner._listen(sock, tcp.tls if tcp and sock.family != socket.AF_UNIX else None)
        return runner

    async def _listen(self, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        factory: Factory = self._server
        if tls is not None:
            factory = Relays(tls, self._server)
            self._relays.append(factory)
        loop = asyncio.get_running_loop()
        make = loop.create_unix_server if sock.family == socket.AF_UNIX else loop.create_server
        self._listeners.append(await make(factory, sock=sock, backlog=BACKLOG))

    @property
    def addresses(self) -> list[str]:
        """Where it listens, as ``unix://PATH`` and ``tcp://ADDRESS:PORT``."""
        return [shown(sock.getsockname()) for listener in self._listeners for sock in sockets_of(listener)]

    async def close(self) -> None:
        """Remove the socket files, stop listening, end what streams, and give other requests a moment to end.

        The files go while their sockets still listen: until then no other daemon takes these paths.
        """
        for listener in self._listeners:
            for sock in sockets_of(listener):
                if isinstance(name := sock.getsockname(), str):
                    Path(name).unlink(missing_ok=True)
            listener.close()
        self._server.end_streams()
        self._server.pre_shutdown()
        await self._server.shutdown(CLOSE_SECONDS)
        for relays in self._relays:
            relays.close()


def sockets_of(listener: asyncio.AbstractServer) -> Sequence[socket.socket]:
    """Those that a listener listens on."""
    sockets: Sequence[socket.socket] = getattr(listener, "sockets", ())
    return sockets


def shown(name: str | tuple[str, int]) -> str:
    """A socket's own address as it is written for ``-H``."""
    if isinstance(name, str):
        return f"unix://{name}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"tcp://{host}:{name[1]}"
