"""Sockets to listen on: unix ones as Docker opens them, TCP ones where somebody has said how (see ``tls.py``)."""

from __future__ import annotations

import grp
import os
import re
import socket
import stat
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

from wherry.api.tls import REMEDY, Tcp, warn
from wherry.errors import InvalidArgument, Unavailable

SOCKET_MODE = 0o660
GROUP = "docker"
BACKLOG = 1024
PLAIN_PORT, TLS_PORT = 2375, 2376
TCP_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<four>[^:\[\]/]*))(?::(?P<port>\d{1,5}))?/?")


def open_sockets(hosts: Sequence[str], tcp: Tcp | None = None) -> list[socket.socket]:
    """A listening socket for each address; all or none."""
    opened: list[socket.socket] = []
    try:
        for host in hosts:
            opened.append(open_socket(host, tcp))
    except BaseException:
        for sock in opened:
            sock.close()
        raise
    return opened


def open_socket(host: str, tcp: Tcp | None) -> socket.socket:
    """``unix://PATH`` or, where it is served, ``tcp://ADDRESS[:PORT]``. InvalidArgument, Unavailable."""
    scheme, separator, rest = host.partition("://")
    if scheme == "unix" and separator and rest:
        return open_unix_socket(Path(rest))
    if scheme != "tcp" or not separator:
        raise InvalidArgument(
            f"{host}: not an address to listen on; write it as unix://PATH or tcp://ADDRESS:PORT"
        )
    if tcp is None:
        raise InvalidArgument(f"{host}: TCP is not served without TLS: {REMEDY}; or say --tls=false")
    address, port = tcp_address(host, rest, PLAIN_PORT if tcp.tls is None else TLS_PORT)
    warn(host, tcp)
    return open_tcp_socket(host, address, port)


def tcp_address(host: str, rest: str, default_port: int) -> tuple[str, int]:
    """Address and port of ``ADDRESS[:PORT]``; nothing is looked up. No address is localhost, as with dockerd."""
    match = TCP_ADDRESS.fullmatch(rest)
    if match is None:
        raise InvalidArgument(f"{host}: not an address to listen on; write it as tcp://127.0.0.1:{TLS_PORT}")
    address = match["six"] or match["four"]
    port = int(match["port"]) if match["port"] else default_port
    try:
        address = str(ip_address({"": "127.0.0.1", "localhost": "127.0.0.1"}.get(address, address)))
    except ValueError:
        raise InvalidArgument(f"{host}: {address!r} is not an IP address of this machine") from None
    if port > 65535:
        raise InvalidArgument(f"{host}: there is no port {port}")
    return address, port


def open_tcp_socket(host: str, address: str, port: int) -> socket.socket:
    """Listen on an address. Unavailable where it cannot be had."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((address, port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise Unavailable(f"cannot listen on {host}: {error.strerror or error}") from error
    sock.setblocking(False)
    return sock


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
            f"cannot listen on {path}: there is a file that is not a socket; remove it, or choose another path"
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
    """Let the group docker use the socket, where there is one."""
    try:
        group = grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return
    os.chown(path, -1, group)
