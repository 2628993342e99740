"""Ports of the host that belong to containers.

What is asked for is a ``PortWish``; a ``Reservation`` holds the port that came of it; the ``PublishedPort`` in it is
what stands in the firewall's map, in the store, and in what clients are told.

Each port is held by a bound socket of the daemon, so that no other process, container or not, can take it; the
socket drops all that reaches it, as the translation comes first. TCP and UDP over IPv4.
"""

from __future__ import annotations

import errno
import os
import resource
import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address

import msgspec

from wherry.errors import Internal, InvalidArgument, Unavailable
from wherry.linux import sysctl
from wherry.linux.netlink import BPF_DROP, attach_filter

ANY = "0.0.0.0"
DEFAULT_RANGE = (32768, 60999)
SOCKET_TYPES = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


class PortWish(msgspec.Struct, frozen=True):
    """``-p host_ip:host_port:container_port/proto``.

    ``host_ip`` "" stands for any address of the host; ``host_port`` 0 asks for any free one, ``host_port_end``
    beyond it for the first free one of a range.
    """

    proto: str
    host_ip: str
    host_port: int
    container_port: int
    host_port_end: int = 0


class PublishedPort(msgspec.Struct, frozen=True):
    """One published port: what arrives at the host's address and port goes to the container's.

    Addresses are text in their one canonical form, as this is kept and told as JSON. ``container_ip`` is "" only
    in records of versions that did not keep it: then it is the attachment's.
    """

    proto: str
    host_ip: str  # 0.0.0.0: any address of the host
    host_port: int
    container_port: int
    container_ip: str = ""


@dataclass(frozen=True, slots=True)
class Reservation:
    """A port that is taken. ``holder`` is None where the port was published before and now cannot be bound."""

    port: PublishedPort
    holder: socket.socket | None


def host_address(wish: PortWish) -> str:
    """The host's address, spelled out. InvalidArgument for what cannot be published."""
    if wish.proto not in SOCKET_TYPES:
        raise InvalidArgument(f"cannot publish {wish.container_port}/{wish.proto}: only tcp and udp can be")
    if not 1 <= wish.container_port <= 65535:
        raise InvalidArgument(f"invalid container port: {wish.container_port}")
    try:
        return str(IPv4Address(wish.host_ip or ANY))
    except ValueError:
        raise InvalidArgument(
            f"invalid HostIp: cannot publish on {wish.host_ip!r}: not an IPv4 address"
        ) from None


def local_port_range() -> range:
    """The kernel's range for ports that nobody named, from which Docker takes too."""
    try:
        first, last = (int(word) for word in sysctl.read("net/ipv4/ip_local_port_range").split())
    except (OSError, ValueError):
        first, last = DEFAULT_RANGE
    return range(first, last + 1)


def bind(port: PublishedPort) -> socket.socket:
    """A socket that holds the port. OSError where it cannot be had."""
    holder = socket.socket(socket.AF_INET, SOCKET_TYPES[port.proto] | socket.SOCK_CLOEXEC)
    try:
        attach_filter(holder, BPF_DROP)
        if port.proto == "tcp":
            holder.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # connections in TIME_WAIT do not matter
        holder.bind((port.host_ip, port.host_port))
        if port.proto == "tcp":
            holder.listen(0)  # a bound socket that does not listen would let others with SO_REUSEADDR in
    except BaseException:
        holder.close()
        raise
    return holder


def check_room(ports: int) -> None:
    """Unavailable where so many ports would leave the daemon too few descriptors for all else. getrlimit(2)."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if ports > descriptors // 2:
        raise Unavailable(
            f"{ports} ports cannot be published at once: each takes one of the engine's open files, of which it may "
            f"have {descriptors}, and half of them are for all else; raise its limit of open files (LimitNOFILE)"
        )


def cannot_bind(port: PublishedPort, error: OSError) -> Internal:
    what = f"{port.host_ip}:{port.host_port}:{port.container_ip}:{port.container_port}/{port.proto}"
    reason = os.strerror(error.errno or 0)
    return Internal(f"failed to bind host port for {what}: {reason[:1].lower()}{reason[1:]}")


class Ports:
    """The ports of one daemon. Safe to call from several threads."""

    def __init__(self) -> None:
        self._taken: dict[tuple[str, int], set[str]] = {}
        self._range: range | None = None
        self._next = 0
        self._lock = threading.Lock()

    def reserve(self, container_ip: str, wishes: Iterable[PortWish]) -> list[Reservation]:
        """Take ports for a container's address: all or none. Internal, in dockerd's words, where one is taken;
        Unavailable where they are more than the daemon can hold."""
        wishes = list(wishes)
        done: list[Reservation] = []
        with self._lock:
            check_room(sum(map(len, self._taken.values())) + len(wishes))
            try:
                for wish in wishes:
                    done.append(self._reserve(container_ip, wish))
            except BaseException:
                for reservation in done:
                    self._release(reservation)
                raise
        return done

    def _reserve(self, container_ip: str, wish: PortWish) -> Reservation:
        port = PublishedPort(
            wish.proto, host_address(wish), wish.host_port, wish.container_port, container_ip
        )
        if wish.host_port == 0:
            return self._first_free(port, self._dynamic())
        if wish.host_port_end:
            return self._first_free(port, range(wish.host_port, wish.host_port_end + 1))
        if holder := self._holder(port):
            raise Internal(f"Bind for {holder}:{port.host_port} failed: port is already allocated")
        try:
            return self._hold(port)
        except OSError as error:
            raise cannot_bind(port, error) from None

    def _dynamic(self) -> Iterable[int]:
        """All dynamic ports, from where the last search ended. Their range is that of the first search."""
        ports = self._range = self._range or local_port_range()
        start = self._next if self._next in ports else ports.start
        yield from range(start, ports.stop)
        yield from range(ports.start, start)

    def _first_free(self, wanted: PublishedPort, candidates: Iterable[int]) -> Reservation:
        for number in candidates:
            port = msgspec.structs.replace(wanted, host_port=number)
            if self._holder(port):
                continue
            try:
                reservation = self._hold(port)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    continue
                raise cannot_bind(port, error) from None
            if wanted.host_port == 0:
                self._next = number + 1
            return reservation
        raise Internal("all ports are allocated")

    def _holder(self, port: PublishedPort) -> str | None:
        """The address of the published port that this one would clash with."""
        holders = self._taken.get((port.proto, port.host_port), set())
        if port.host_ip == ANY or port.host_ip in holders:
            return port.host_ip if port.host_ip in holders else min(holders, default=None)
        return ANY if ANY in holders else None

    def _hold(self, port: PublishedPort) -> Reservation:
        return self._note(Reservation(port, bind(port)))

    def _note(self, reservation: Reservation) -> Reservation:
        port = reservation.port
        self._taken.setdefault((port.proto, port.host_port), set()).add(port.host_ip)
        return reservation

    def adopt(self, port: PublishedPort) -> Reservation:
        """Take over a port that is published already. Its translation goes on even where it cannot be bound."""
        with self._lock:
            try:
                return self._hold(port)
            except OSError:
                return self._note(Reservation(port, None))

    def release(self, reservations: Iterable[Reservation]) -> None:
        """Give host ports back, and close the sockets that held them."""
        with self._lock:
            for reservation in reservations:
                self._release(reservation)

    def _release(self, reservation: Reservation) -> None:
        port = reservation.port
        key = (port.proto, port.host_port)
        self._taken.get(key, set()).discard(port.host_ip)
        if not self._taken.get(key):
            self._taken.pop(key, None)
        if reservation.holder is not None:
            reservation.holder.close()
