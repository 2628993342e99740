"""Interfaces, addresses and routes, as rtnetlink(7) messages. Linux uapi/linux/{if_link,if_addr,rtnetlink}.h.

The builders are pure; ``Links`` sends what they build.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from wherry.linux.netlink import (
    BPF,
    BPF_DROP,
    BPF_JUMP_EQUAL,
    BPF_KEEP,
    BPF_LOAD_HALF,
    BPF_LOAD_WORD,
    TYPE_OFFSET,
    Flag,
    Message,
    Netlink,
    Protocol,
    Reply,
    Watch,
    attribute,
    in_order,
    nested,
    parse_attributes,
    text,
    u32,
)
from wherry.linux.rtnetlink import number as number_of
from wherry.linux.rtnetlink import text as text_of

IFINFO = struct.Struct("=BBHiII")  # family, pad, type, index, flags, change
IFADDR = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
RTMSG = struct.Struct(
    "=BBBBBBBBI"
)  # family, lengths of dst and src, tos, table, protocol, scope, type, flags
INET = 2
LOOPBACK_INDEX = 1
FIRST_INDEX = 2  # of a new namespace's first interface after lo


class Kind(IntEnum):
    """Types of rtnetlink messages, RTM_*."""

    NEW_LINK, DELETE_LINK, GET_LINK = 16, 17, 18
    NEW_ADDRESS, DELETE_ADDRESS, GET_ADDRESS = 20, 21, 22
    NEW_ROUTE, GET_ROUTE = 24, 26
    DELETE_QUEUE, DELETE_FILTER = 37, 45


CHANGES = (Kind.NEW_LINK, Kind.DELETE_LINK, Kind.DELETE_ADDRESS, Kind.DELETE_QUEUE, Kind.DELETE_FILTER)
INDEX_OFFSET = 20  # behind the message's header, and a word
CHANGE_GROUPS = (1, 4, 5)  # RTNLGRP_LINK, RTNLGRP_TC, RTNLGRP_IPV4_IFADDR


class LinkFlag(IntFlag):
    UP = 1


class LinkAttr(IntEnum):
    """Attributes of a link, IFLA_*."""

    ADDRESS, NAME, MTU, MASTER, OPERATIONAL_STATE, INFO = 1, 3, 4, 10, 16, 18
    NET_NS_FD, EXTENDED_MASK, TX_QUEUES, RX_QUEUES = 28, 29, 31, 32


class LinkInfo(IntEnum):
    """Attributes within IFLA_LINKINFO, IFLA_INFO_*."""

    KIND, DATA = 1, 2


VETH_PEER = 1  # VETH_INFO_PEER


class AddressAttr(IntEnum):
    ADDRESS, LOCAL, BROADCAST = 1, 2, 4


class RouteAttr(IntEnum):
    DESTINATION, OUT_INTERFACE, GATEWAY, TABLE = 1, 4, 5, 15


SKIP_STATISTICS = u32(LinkAttr.EXTENDED_MASK, 8)  # RTEXT_FILTER_SKIP_STATS
OPERATIONAL_UP = b"\x06"
MAIN_TABLE, LOCAL_TABLE = 254, 255
PROTOCOL_BOOT, SCOPE_UNIVERSE, UNICAST = 3, 0, 1
NEW = Flag.CREATE | Flag.EXCL
ONE_QUEUE = u32(LinkAttr.TX_QUEUES, 1) + u32(LinkAttr.RX_QUEUES, 1)  # else one of each per CPU is allocated


@dataclass(frozen=True, slots=True)
class Link:
    """An interface; ``master`` is the index of the bridge it is plugged into, or 0."""

    index: int
    name: str
    up: bool
    operational: bool  # RFC 2863: up, and with a carrier that the kernel has taken note of
    mac: bytes
    master: int
    kind: str


@dataclass(frozen=True, slots=True)
class Veth:
    """A veth pair to be: one end here, plugged into ``master``, the other born in a namespace."""

    host_name: str
    master: int
    inner_name: str
    netns_fd: int
    mac: bytes
    mtu: int = 1500


def ifinfo(index: int = 0, *, up: bool = False) -> bytes:
    """The fixed head of a message about an interface. Linux, rtnetlink(7) "struct ifinfomsg"."""
    return IFINFO.pack(0, 0, 0, index, int(up), int(up))


def create_veth(veth: Veth) -> Message:
    """Both ends in one message, down: the inner one cannot be born up, the outer one should not speak IPv6 first."""
    peer = (
        ifinfo(FIRST_INDEX)
        + text(LinkAttr.NAME, veth.inner_name)
        + u32(LinkAttr.NET_NS_FD, veth.netns_fd)
        + attribute(LinkAttr.ADDRESS, veth.mac)
        + u32(LinkAttr.MTU, veth.mtu)
        + ONE_QUEUE
    )
    data = nested(LinkInfo.DATA, attribute(VETH_PEER, peer))
    attributes = (
        text(LinkAttr.NAME, veth.host_name)
        + u32(LinkAttr.MASTER, veth.master)
        + u32(LinkAttr.MTU, veth.mtu)
        + ONE_QUEUE
        + nested(LinkAttr.INFO, text(LinkInfo.KIND, "veth"), data)
    )
    return Message(Kind.NEW_LINK, ifinfo() + attributes, NEW, about=veth.host_name)


def set_up(index: int) -> Message:
    """Bring the interface up."""
    return Message(Kind.NEW_LINK, ifinfo(index, up=True), about=f"interface {index}")


def set_down(index: int) -> Message:
    """Take the interface down; its routes go."""
    return Message(Kind.NEW_LINK, IFINFO.pack(0, 0, 0, index, 0, LinkFlag.UP), about=f"interface {index}")


def rename(index: int, name: str) -> Message:
    """Call the interface otherwise. EBUSY where the kernel wants it down for that."""
    return Message(Kind.NEW_LINK, ifinfo(index) + text(LinkAttr.NAME, name), about=f"interface {index}")


def settle(index: int) -> Message:
    """Ask for a link. The kernel (6.8 and later) first finishes what a new carrier brings; until then it may be up
    and yet drop what it is given to send, for a second at worst. net/core/rtnetlink.c, rtnl_getlink.
    """
    return Message(Kind.GET_LINK, ifinfo(index) + SKIP_STATISTICS, about=f"interface {index}")


def delete_link(index: int) -> Message:
    """Remove the interface; of a veth pair, the other end goes too."""
    return Message(Kind.DELETE_LINK, ifinfo(index), about=f"interface {index}")


def address_body(index: int, address: IPv4Interface) -> bytes:
    own = address.ip.packed
    broadcast = address.network.broadcast_address.packed
    return (
        IFADDR.pack(INET, address.network.prefixlen, 0, 0, index)
        + attribute(AddressAttr.LOCAL, own)
        + attribute(AddressAttr.ADDRESS, own)
        + attribute(AddressAttr.BROADCAST, broadcast)
    )


def add_address(index: int, address: IPv4Interface) -> Message:
    """Give the interface an IPv4 address with its broadcast address. EEXIST where it has it."""
    return Message(Kind.NEW_ADDRESS, address_body(index, address), NEW, about=str(address))


def delete_address(index: int, address: IPv4Interface) -> Message:
    """Take an IPv4 address from the interface."""
    return Message(Kind.DELETE_ADDRESS, address_body(index, address), about=str(address))


def default_route(index: int, gateway: IPv4Address) -> Message:
    head = RTMSG.pack(INET, 0, 0, 0, MAIN_TABLE, PROTOCOL_BOOT, SCOPE_UNIVERSE, UNICAST, 0)
    attributes = attribute(RouteAttr.GATEWAY, gateway.packed) + u32(RouteAttr.OUT_INTERFACE, index)
    return Message(Kind.NEW_ROUTE, head + attributes, NEW, about=f"default route via {gateway}")


def inside(address: IPv4Interface, gateway: IPv4Address) -> tuple[Message, ...]:
    """What makes a new namespace usable once its first interface is there."""
    return (
        set_up(LOOPBACK_INDEX),
        set_up(FIRST_INDEX),
        add_address(FIRST_INDEX, address),
        default_route(FIRST_INDEX, gateway),
    )


def read_link(reply: Reply) -> Link:
    _, _, _, index, flags, _ = IFINFO.unpack_from(reply.body)
    attributes = parse_attributes(reply.body, IFINFO.size)
    info = parse_attributes(attributes.get(LinkAttr.INFO, b""))
    return Link(
        index=index,
        name=text_of(attributes.get(LinkAttr.NAME, b"")),
        up=bool(flags & LinkFlag.UP),
        operational=attributes.get(LinkAttr.OPERATIONAL_STATE) == OPERATIONAL_UP,
        mac=attributes.get(LinkAttr.ADDRESS, b""),
        master=number_of(attributes.get(LinkAttr.MASTER)),
        kind=text_of(info.get(LinkInfo.KIND, b"")),
    )


def read_route(reply: Reply) -> Iterator[IPv4Network]:
    """The destination of a route, unless it is the default or a host's own address."""
    family, length, _, _, table, *_ = RTMSG.unpack_from(reply.body)
    destination = parse_attributes(reply.body, RTMSG.size).get(RouteAttr.DESTINATION)
    if family == INET and destination and table != LOCAL_TABLE:
        yield IPv4Network((destination, length), strict=False)


class Links:
    """The interfaces of the network namespace that the thread was in when this was made."""

    def __init__(self) -> None:
        self._netlink = Netlink()

    def close(self) -> None:
        """Let go of the kernel's socket. The interfaces stay."""
        self._netlink.close()

    def send(self, *messages: Message) -> None:
        """Have the kernel carry them out. OSError for one it refuses, with what that is about."""
        self._netlink.request(*messages)

    def find(self, name: str) -> Link | None:
        """The interface of that name; None where there is none."""
        return self._one(Message(Kind.GET_LINK, ifinfo() + text(LinkAttr.NAME, name), about=name))

    def at(self, index: int) -> Link | None:
        """The interface of that index; None where there is none."""
        return self._one(Message(Kind.GET_LINK, ifinfo(index) + SKIP_STATISTICS, about=f"interface {index}"))

    def _one(self, query: Message) -> Link | None:
        try:
            return read_link(self._netlink.request(query)[0])
        except OSError as error:
            if error.errno == 19:  # ENODEV
                return None
            raise

    def all(self) -> list[Link]:
        """Every interface of the namespace."""
        return [
            read_link(r) for r in self._netlink.dump(Message(Kind.GET_LINK, ifinfo(), about="interfaces"))
        ]

    def addresses(self, index: int) -> list[IPv4Interface]:
        """The IPv4 addresses of an interface."""
        query = Message(Kind.GET_ADDRESS, IFADDR.pack(INET, 0, 0, 0, 0), about="addresses")
        found = []
        for reply in self._netlink.dump(query):
            _, length, _, _, owner = IFADDR.unpack_from(reply.body)
            local = parse_attributes(reply.body, IFADDR.size).get(AddressAttr.LOCAL)
            if owner == index and local:
                found.append(IPv4Interface((local, length)))
        return found

    def routes(self) -> list[IPv4Network]:
        """The networks that this host has routes to, without the default."""
        query = Message(Kind.GET_ROUTE, RTMSG.pack(INET, 0, 0, 0, 0, 0, 0, 0, 0), about="routes")
        return [network for reply in self._netlink.dump(query) for network in read_route(reply)]


def changes_of(index: int) -> bytes:
    """A classic BPF program over a notification's first message: which has the index at the same place for links,
    addresses and filters."""
    kinds = (
        BPF.pack(BPF_JUMP_EQUAL, len(CHANGES) - place, 0, in_order(kind, 2))
        for place, kind in enumerate(CHANGES)
    )
    return b"".join(
        (
            BPF.pack(BPF_LOAD_HALF, 0, 0, TYPE_OFFSET),
            *kinds,
            BPF_DROP,
            BPF.pack(BPF_LOAD_WORD, 0, 0, INDEX_OFFSET),
            BPF.pack(BPF_JUMP_EQUAL, 0, 1, in_order(index, 4)),
            BPF_KEEP,
            BPF_DROP,
        )
    )


def watch(index: int) -> Watch:
    """For changes of an interface, and for what is taken from it: an address, a filter."""
    return Watch(Protocol.ROUTE, changes_of(index), *CHANGE_GROUPS)
