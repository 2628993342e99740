"""Ports of the host that belong to containers.

Each is held by a bound socket of the daemon, so that no other process, container or not, can take it; the
socket drops all that reaches it, as the translation comes first. TCP and UDP over IPv4.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from wherry.errors import Internal, InvalidArgument
from wherry.linux import sysctl
from wherry.linux.netlink import BPF_DROP, attach_filter

ANY = "0.0.0.0"
DEFAULT_RANGE = (32768, 60999)
SOCKET_TYPES = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


@dataclass(frozen=True, slots=True)
class PortBinding:
    """``-p host_ip:host_port:container_port/proto``.

    ``host_port`` 0 asks for any free one; ``host_port_end`` beyond it for the first free one of a range.
    What is really published always has ``host_port_end`` 0.
    """

    proto: str
    host_ip: str
    host_port: int
    container_port: int
    host_port_end: int = 0

    def where(self) -> str:
        return f"{self.host_ip}:{self.host_port}"


@dataclass(frozen=True, slots=True)
class Reservation:
    """A port that is taken. ``holder`` is None where the port was published before and now cannot be bound."""

    binding: PortBinding
    holder: socket.socket | None


def normal(binding: PortBinding) -> PortBinding:
    """With the host's address spelled out. InvalidArgument for what cannot be published."""
    if binding.proto not in SOCKET_TYPES:
        raise InvalidArgument(
            f"cannot publish {binding.container_port}/{binding.proto}: only tcp and udp can be"
        )
    if not 1 <= binding.container_port <= 65535:
        raise InvalidArgument(f"invalid container port: {binding.container_port}")
    try:
        address = str(IPv4Address(binding.host_ip or ANY))
    except ValueError:
        raise InvalidArgument(f"cannot publish on {binding.host_ip!r}: not an IPv4 address") from None
    return replace(binding, host_ip=address)


def local_port_range() -> range:
    """The kernel's range for ports that nobody named, from which Docker takes too."""
    try:
        first, last = (int(word) for word in sysctl.read("net/ipv4/ip_local_port_range").split())
    except (OSError, ValueError):
        first, last = DEFAULT_RANGE
    return range(first, last + 1)


def bind(binding: PortBinding) -> socket.socket:
    """A socket that holds the port. OSError where it cannot be had."""
    holder = socket.socket(socket.AF_INET, SOCKET_TYPES[binding.proto] | socket.SOCK_CLOEXEC)
    try:
        attach_filter(holder, BPF_DROP)
        if binding.proto == "tcp":
            holder.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # connections in TIME_WAIT do not matter
        holder.bind((binding.host_ip, binding.host_port))
        if binding.proto == "tcp":
            holder.listen(0)  # a bound socket that does not listen would let others with SO_REUSEADDR in
    except BaseException:
        holder.close()
        raise
    return holder


def cannot_bind(binding: PortBinding, ip: IPv4Address, error: OSError) -> Internal:
    what = f"{binding.where()}:{ip}:{binding.container_port}/{binding.proto}"
    reason = os.strerror(error.errno or 0)
    return Internal(f"failed to bind host port for {what}: {reason[:1].lower()}{reason[1:]}")


class Ports:
    """The ports of one daemon. Safe to call from several threads."""

    def __init__(self) -> None:
        self._taken: dict[tuple[str, int], set[str]] = {}
        self._range: range | None = None
        self._next = 0
        self._lock = threading.Lock()

    def reserve(self, ip: IPv4Address, bindings: Iterable[PortBinding]) -> list[Reservation]:
        """Take ports for a container's address: all or none. Internal, in dockerd's words, where one is taken."""
        done: list[Reservation] = []
        with self._lock:
            try:
                for binding in bindings:
                    done.append(self._reserve(ip, normal(binding)))
            except BaseException:
                for reservation in done:
                    self._release(reservation)
                raise
        return done

    def _reserve(self, ip: IPv4Address, binding: PortBinding) -> Reservation:
        if binding.host_port == 0:
            return self._first_free(ip, binding, self._dynamic())
        if binding.host_port_end:
            return self._first_free(ip, binding, range(binding.host_port, binding.host_port_end + 1))
        if holder := self._holder(binding):
            raise Internal(f"Bind for {holder}:{binding.host_port} failed: port is already allocated")
        try:
            return self._hold(binding)
        except OSError as error:
            raise cannot_bind(binding, ip, error) from None

    def _dynamic(self) -> Iterable[int]:
        """All dynamic ports, from where the last search ended. Their range is that of the first search."""
        ports = self._range = self._range or local_port_range()
        start = self._next if self._next in ports else ports.start
        yield from range(start, ports.stop)
        yield from range(ports.start, start)

    def _first_free(self, ip: IPv4Address, wanted: PortBinding, candidates: Iterable[int]) -> Reservation:
        for port in candidates:
            binding = replace(wanted, host_port=port, host_port_end=0)
            if self._holder(binding):
                continue
            try:
                reservation = self._hold(binding)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    continue
                raise cannot_bind(binding, ip, error) from None
            if wanted.host_port == 0:
                self._next = port + 1
            return reservation
        raise Internal("all ports are allocated")

    def _holder(self, binding: PortBinding) -> str | None:
        """The address of the published port that this one would clash with."""
        holders = self._taken.get((binding.proto, binding.host_port), set())
        if binding.host_ip == ANY or binding.host_ip in holders:
            return binding.host_ip if binding.host_ip in holders else min(holders, default=None)
        return ANY if ANY in holders else None

    def _hold(self, binding: PortBinding) -> Reservation:
        return self._note(Reservation(binding, bind(binding)))

    def _note(self, reservation: Reservation) -> Reservation:
        binding = reservation.binding
        self._taken.setdefault((binding.proto, binding.host_port), set()).add(binding.host_ip)
        return reservation

    def adopt(self, binding: PortBinding) -> Reservation:
        """Take over a port that is published already. Its translation goes on even where it cannot be bound."""
        with self._lock:
            try:
                return self._hold(binding)
            except OSError:
                return self._note(Reservation(binding, None))

    def release(self, reservations: Iterable[Reservation]) -> None:
        with self._lock:
            for reservation in reservations:
                self._release(reservation)

    def _release(self, reservation: Reservation) -> None:
        binding = reservation.binding
        key = (binding.proto, binding.host_port)
        self._taken.get(key, set()).discard(binding.host_ip)
        if not self._taken.get(key):
            self._taken.pop(key, None)
        if reservation.holder is not None:
            reservation.holder.close()
