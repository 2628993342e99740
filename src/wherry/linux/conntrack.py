"""Forgetting tracked connections. Linux uapi/linux/netfilter/nfnetlink_conntrack.h.

Address translation is decided by a flow's first packet. A UDP client that keeps sending never has another first
packet, so its flow must be forgotten when the port that it sends to changes hands.
"""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from enum import IntEnum, IntFlag
from ipaddress import IPv4Address

from wherry.linux.netlink import Message, Netlink, Protocol, attribute, nested, u32
from wherry.linux.nftables import header

DELETE = 1 << 8 | 2  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE


class Attribute(IntEnum):
    """CTA_*: the flow as its first packet had it, and as replies to it have it."""

    ORIGINAL, REPLY, FILTER = 1, 2, 25
    IP, PROTO = 1, 2
    SOURCE, DESTINATION = 1, 2
    NUMBER, DESTINATION_PORT = 1, 3


class Match(IntFlag):
    """CTA_FILTER_F_*: what of a tuple must be equal."""

    SOURCE = 1
    PROTOCOL = 8
    DESTINATION_PORT = 32


def forget_udp_to_port(port: int) -> Message:
    """All UDP flows that were sent to a port, at whatever address."""
    proto = nested(
        Attribute.PROTO,
        attribute(Attribute.NUMBER, bytes((socket.IPPROTO_UDP,))),
        attribute(Attribute.DESTINATION_PORT, port.to_bytes(2, "big")),
    )
    flags = nested(Attribute.FILTER, u32(Attribute.ORIGINAL, Match.PROTOCOL | Match.DESTINATION_PORT))
    return Message(
        DELETE, header() + nested(Attribute.ORIGINAL, proto) + flags, about=f"UDP flows to port {port}"
    )


def forget_udp_answered_by(ip: IPv4Address) -> Message:
    """All UDP flows that an address answers, under whatever address it was asked."""
    source = nested(Attribute.IP, attribute(Attribute.SOURCE, ip.packed))
    proto = nested(Attribute.PROTO, attribute(Attribute.NUMBER, bytes((socket.IPPROTO_UDP,))))
    flags = nested(Attribute.FILTER, u32(Attribute.REPLY, Match.SOURCE | Match.PROTOCOL))
    return Message(
        DELETE, header() + nested(Attribute.REPLY, source, proto) + flags, about=f"UDP flows to {ip}"
    )


class Connections:
    """The connections tracked in the network namespace that the thread was in when this was made."""

    def __init__(self) -> None:
        self._netlink = Netlink(Protocol.NETFILTER)

    def close(self) -> None:
        """Let go of the socket."""
        self._netlink.close()

    def forget(self, *messages: Message) -> bool:
        """Forget flows; False where the kernel (before 6.6 or so) cannot select them, and keeps all."""
        try:
            for message in messages:
                with suppress(FileNotFoundError):  # there is none
                    self._netlink.request(message)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.EOPNOTSUPP):
                return False
            raise
        return True
