"""Sockets: opening them as Docker does, and serving the API on them."""

from __future__ import annotations

import asyncio
import grp
import os
import socket
import stat
from collections.abc import Sequence
from pathlib import Path

from wherry.api.activity import Activity
from wherry.api.connection import ApiServer, Handler
from wherry.errors import InvalidArgument, Unavailable

SOCKET_MODE = 0o660
GROUP = "docker"
BACKLOG = 1024
CLOSE_SECONDS = 2.0


class ApiRunner:
    """A running API. ``activity`` tells how busy it is; ``close`` ends it."""

    def __init__(
        self, server: ApiServer, activity: Activity, listeners: list[asyncio.AbstractServer]
    ) -> None:
        self.activity = activity
        self._server = server
        self._listeners = listeners

    @classmethod
    async def start(cls, handler: Handler, activity: Activity, sockets: Sequence[socket.socket]) -> ApiRunner:
        server = ApiServer(handler)
        loop = asyncio.get_running_loop()
        listeners: list[asyncio.AbstractServer] = []
        for sock in sockets:
            listeners.append(await loop.create_unix_server(server, sock=sock, backlog=BACKLOG))
        return cls(server, activity, listeners)

    async def close(self) -> None:
        """Remove the socket files, stop listening, end what streams, and give other requests a moment to end.

        The files go while their sockets still listen: until then no other daemon takes these paths.
        """
        for listener in self._listeners:
            for path in listener_paths(listener):
                path.unlink(missing_ok=True)
            listener.close()
        self._server.end_streams()
        self._server.pre_shutdown()
        await self._server.shutdown(CLOSE_SECONDS)


def listener_paths(listener: asyncio.AbstractServer) -> list[Path]:
    sockets = getattr(listener, "sockets", ())
    return [Path(sock.getsockname()) for sock in sockets]


def open_sockets(hosts: Sequence[str]) -> list[socket.socket]:
    """A listening socket for each address; all or none."""
    opened: list[socket.socket] = []
    try:
        for host in hosts:
            opened.append(open_unix_socket(socket_path(host)))
    except BaseException:
        for sock in opened:
            sock.close()
        raise
    return opened


def socket_path(host: str) -> Path:
    """The path of ``unix://PATH``. Anything that is reached over a network is refused."""
    scheme, separator, rest = host.partition("://")
    if scheme == "unix" and separator and rest:
        return Path(rest)
    if scheme in ("tcp", "http", "https"):
        raise InvalidArgument(
            f"{host}: listening on TCP needs mutual TLS, which this version does not offer yet; "
            "use unix://PATH, or forward the socket with ssh -L"
        )
    raise InvalidArgument(f"{host}: not an address to listen on; write it as unix:///run/wherry/wherry.sock")


def open_unix_socket(path: Path) -> socket.socket:
    """Listen on a path, mode 0660, group docker where there is one. A file that nobody serves is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    old_mask = os.umask(0o777 & ~SOCKET_MODE)
    try:
        sock.bind(str(path))
    except OSError as error:
        sock.close()
        raise Unavailable(f"cannot listen on {path}: {error.strerror or error}") from error
    finally:
        os.umask(old_mask)
    give_to_group(path)
    sock.listen(BACKLOG)
    sock.setblocking(False)
    return sock


def remove_stale(path: Path) -> None:
    """Unlink a socket file behind which nobody listens; Unavailable where somebody does."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise Unavailable(
            f"cannot listen on {path}: there is a file that is no socket; remove it or choose another"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError:
            pass  # busy: somebody is there
    raise Unavailable(
        f"cannot listen on {path}: another daemon listens there; stop it or choose another socket"
    )


def give_to_group(path: Path) -> None:
    try:
        group = grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return
    os.chown(path, -1, group)
