"""What a network namespace holds: interfaces, addresses, routes. rtnetlink(7); Linux uapi/linux/rtnetlink.h.

Only reading: three dumps of all families. ``network/link.py`` makes them.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import ip_address

from wherry.linux import netns
from wherry.linux.netlink import U32, Message, Netlink, Reply, parse_attributes, u32

IFINFO = struct.Struct("=BBHiII")  # family, pad, type, index, flags, change
IFADDR = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
RTMSG = struct.Struct("=BBBBBBBBI")  # family, dst and src length, tos, table, protocol, scope, type, flags
STATISTICS = struct.Struct("=QQQQ")  # struct rtnl_link_stats64: packets received, sent; bytes received, sent
GET_LINK, GET_ADDRESS, GET_ROUTE = 18, 22, 26
UP = 1
LOOPBACK = 8
INET, INET6 = 2, 10
UNICAST, LOCAL_TABLE, KERNEL_ROUTE, SCOPE_LINK = 1, 255, 2, 253
STATES = ("unknown", "not present", "down", "lower layer down", "testing", "dormant", "up")  # RFC 2863
NO_DESTINATION = {INET: "0.0.0.0", INET6: "::"}
SKIP_STATISTICS = u32(29, 8)  # IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS


class LinkAttribute(IntEnum):
    ADDRESS, NAME, LINK, MASTER, STATE, INFO, STATISTICS = 1, 3, 5, 10, 16, 18, 23


class AddressAttribute(IntEnum):
    ADDRESS, LOCAL = 1, 2


class RouteAttribute(IntEnum):
    DESTINATION, OUT_INTERFACE, GATEWAY, TABLE = 1, 4, 5, 15


@dataclass(frozen=True, slots=True)
class Interface:
    """``peer``: the index of a veth's other end, in its own namespace; ``master``: of what it is on; 0: none."""

    index: int
    name: str
    mac: str
    up: bool
    loopback: bool
    state: str
    kind: str
    peer: int
    master: int
    rx_bytes: int = 0
    tx_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Address:
    """An address with its prefix length; ``link_local`` ones of IPv6 are the kernel's own doing."""

    index: int
    address: str  # 172.17.0.2/16
    link_local: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """A unicast route outside the local table. ``by_kernel``: it came with an address."""

    destination: str  # "default", or a network
    gateway: str
    index: int
    by_kernel: bool


@dataclass(frozen=True, slots=True)
class NetworkState:
    """All that a network namespace holds."""

    interfaces: tuple[Interface, ...] = ()
    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()

    def name_of(self, index: int) -> str:
        """An interface's name by its index; "" for none."""
        return next((i.name for i in self.interfaces if i.index == index), "")


def read_inside(namespace: int) -> NetworkState:
    """All of it, of a network namespace's descriptor. The calling thread is back in its own afterwards."""
    with netns.inside(namespace):
        socket = Netlink()
    with socket:
        return NetworkState(
            interfaces=tuple(interfaces(socket)),
            addresses=tuple(map(read_address, socket.dump(query(GET_ADDRESS, IFADDR.pack(0, 0, 0, 0, 0))))),
            routes=tuple(routes(socket)),
        )


def query(kind: int, body: bytes) -> Message:
    """A request for a dump."""
    return Message(kind, body, about="the network's state")


def interfaces(socket: Netlink, *, statistics: bool = True) -> Iterator[Interface]:
    """All interfaces, with their counters where ``statistics`` are wanted."""
    body = IFINFO.pack(0, 0, 0, 0, 0, 0) + (b"" if statistics else SKIP_STATISTICS)
    return map(read_interface, socket.dump(query(GET_LINK, body)))


def find(socket: Netlink, index: int) -> Interface | None:
    """One interface, without its counters; None where there is none of this index."""
    body = IFINFO.pack(0, 0, 0, index, 0, 0) + SKIP_STATISTICS
    try:
        return read_interface(socket.request(query(GET_LINK, body))[0])
    except OSError as error:
        if error.errno == errno.ENODEV:
            return None
        raise


def routes(socket: Netlink) -> Iterator[Route]:
    """All unicast routes but those of the local table."""
    for reply in socket.dump(query(GET_ROUTE, RTMSG.pack(0, 0, 0, 0, 0, 0, 0, 0, 0))):
        yield from read_route(reply)


def read_interface(reply: Reply) -> Interface:
    _, _, _, index, flags, _ = IFINFO.unpack_from(reply.body)
    found = parse_attributes(reply.body, IFINFO.size)
    kind = parse_attributes(found.get(LinkAttribute.INFO, b"")).get(1, b"")
    _, _, received, sent = STATISTICS.unpack_from(found.get(LinkAttribute.STATISTICS, bytes(STATISTICS.size)))
    return Interface(
        index=index,
        name=text(found.get(LinkAttribute.NAME, b"")),
        mac=found.get(LinkAttribute.ADDRESS, b"").hex(":"),
        up=bool(flags & UP),
        loopback=bool(flags & LOOPBACK),
        state=state_name(found.get(LinkAttribute.STATE, b"\0")[0]),
        kind=text(kind),
        peer=number(found.get(LinkAttribute.LINK)),
        master=number(found.get(LinkAttribute.MASTER)),
        rx_bytes=received,
        tx_bytes=sent,
    )


def state_name(state: int) -> str:
    return STATES[state] if state < len(STATES) else str(state)


def text(value: bytes) -> str:
    """An attribute's string: it ends in a NUL, and need not be UTF-8."""
    return value.rstrip(b"\0").decode("utf-8", "replace")


def number(value: bytes | None) -> int:
    """An attribute's 32-bit number; 0 where the attribute is missing."""
    return int(U32.unpack(value)[0]) if value else 0


def read_address(reply: Reply) -> Address:
    family, length, _, scope, index = IFADDR.unpack_from(reply.body)
    found = parse_attributes(reply.body, IFADDR.size)
    own = found.get(AddressAttribute.LOCAL) or found.get(AddressAttribute.ADDRESS, b"")
    return Address(index, f"{ip_address(own)}/{length}", family == INET6 and scope == SCOPE_LINK)


def read_route(reply: Reply) -> Iterator[Route]:
    """The route, unless it is one of the local table or no unicast route."""
    family, length, _, _, table, protocol, _, kind, _ = RTMSG.unpack_from(reply.body)
    if kind != UNICAST or family not in NO_DESTINATION:
        return
    found = parse_attributes(reply.body, RTMSG.size)
    if (number(found.get(RouteAttribute.TABLE)) or table) == LOCAL_TABLE:
        return
    destination, gateway = found.get(RouteAttribute.DESTINATION), found.get(RouteAttribute.GATEWAY)
    yield Route(
        destination=f"{ip_address(destination)}/{length}" if destination else "default",
        gateway=str(ip_address(gateway)) if gateway else "",
        index=number(found.get(RouteAttribute.OUT_INTERFACE)),
        by_kernel=protocol == KERNEL_ROUTE,
    )
