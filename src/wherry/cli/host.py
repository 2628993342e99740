"""Where the engine is: ``-H``, ``$WHERRY_HOST``, ``$DOCKER_HOST``, or the default socket."""

from __future__ import annotations

import os

from wherry.cli.bare import AF_UNIX, SOCK_STREAM, Socket
from wherry.cli.errors import CannotConnect, CliError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_SOCKET = "/run/wherry/wherry.sock"
DOCKER_PORT = 2375
HIGHEST_PORT = 65535
ONLY_ROOT = "Only root can start one: run this with sudo, or start wherryd as root."


class Host:
    """A unix socket's path, or a TCP name and port. ``url`` is the whole of it, for people."""

    def __init__(self, url: str, path: str = "", name: str = "", port: int = 0) -> None:
        self.url, self.path, self.name, self.port = url, path, name, port

    def connect(self) -> Socket:
        """A connected stream socket; raises OSError."""
        if not self.path:
            return self._connect_tcp()
        unix = Socket(AF_UNIX, SOCK_STREAM)
        try:
            unix.connect(self.path)
        except OSError:
            unix.close()
            raise
        return unix

    def _connect_tcp(self) -> Socket:
        import socket

        tcp = socket.create_connection((self.name, self.port))
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return tcp


def parse_host(url: str) -> Host:
    """``unix://PATH``, a bare path, or ``tcp://NAME[:PORT]`` without TLS."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "unix" if url.startswith("/") else "tcp", url
    if scheme == "unix":
        return Host(f"unix://{rest or DEFAULT_SOCKET}", path=rest or DEFAULT_SOCKET)
    if scheme in ("tcp", "http"):
        return _tcp(url, rest.split("/")[0])
    raise CliError(f"invalid engine address {url!r}: write unix:///PATH or tcp://NAME:PORT")


def _tcp(url: str, address: str) -> Host:
    name, _, port = address.rpartition(":") if ":" in address.rpartition("]")[2] else (address, "", "")
    if port and not (port.isdecimal() and int(port) <= HIGHEST_PORT):
        raise CliError(f"invalid engine address {url!r}: {port!r} is not a port")
    bare, number = name.strip("[]") or "127.0.0.1", int(port or DOCKER_PORT)
    shown = f"[{bare}]" if ":" in bare else bare
    return Host(f"tcp://{shown}:{number}", name=bare, port=number)


def choose_host(option: str | None, environment: Mapping[str, str]) -> Host:
    """What ``-H`` says, then the environment, then the default."""
    url = option or environment.get("WHERRY_HOST") or environment.get("DOCKER_HOST")
    host = parse_host(url) if url else parse_host(f"unix://{DEFAULT_SOCKET}")
    if not host.path and (environment.get("DOCKER_TLS_VERIFY") or environment.get("DOCKER_TLS")):
        raise CliError("TLS to an engine is not supported: use a unix socket, or an SSH tunnel to one")
    return host


def connection_error(host: Host, error: OSError) -> CannotConnect:
    """The error for an engine that cannot be reached: where it was looked for, and what can be done."""
    if isinstance(error, PermissionError):
        return CannotConnect(
            f"permission denied while trying to connect to the engine's socket at {host.url}: run this as root, "
            "or as a member of the socket's group"
        )
    if isinstance(error, (FileNotFoundError, ConnectionRefusedError)):
        remedy = f" {ONLY_ROOT}" if host.path == DEFAULT_SOCKET and os.geteuid() != 0 else ""
        return CannotConnect(
            f"Cannot connect to the Wherry daemon at {host.url}. Is the daemon running?{remedy}"
        )
    reason = (error.strerror or str(error)).lower()
    return CannotConnect(f"Cannot connect to the Wherry daemon at {host.url}: {reason}")
