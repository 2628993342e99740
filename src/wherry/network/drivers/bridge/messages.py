"""What rtnetlink(7) has for bridges and their ports alone. Linux uapi/linux/if_link.h."""

from __future__ import annotations

from enum import IntEnum

from wherry.linux.netlink import Message, attribute, nested, text, u32
from wherry.network.link import NEW, Kind, LinkAttr, LinkInfo, ifinfo


class PortInfo(IntEnum):
    """IFLA_INFO_SLAVE_*, and IFLA_BRPORT_MODE within the data."""

    KIND, DATA = 4, 5
    MODE = 4


def create_bridge(name: str, mac: bytes, mtu: int = 1500, *, index: int = 0) -> Message:
    """A bridge with a MAC of its own: otherwise it takes on those of its ports, and changes with them.

    ``index`` 0: any that is free.
    """
    kind = nested(LinkAttr.INFO, text(LinkInfo.KIND, "bridge"))
    attributes = text(LinkAttr.NAME, name) + attribute(LinkAttr.ADDRESS, mac) + u32(LinkAttr.MTU, mtu) + kind
    return Message(Kind.NEW_LINK, ifinfo(index) + attributes, NEW, about=name)


def plug_in(name: str, index: int) -> Message:
    """Make an interface a port of the bridge."""
    return Message(
        Kind.NEW_LINK, ifinfo() + text(LinkAttr.NAME, name) + u32(LinkAttr.MASTER, index), about=name
    )


def set_port_up(name: str) -> Message:
    """Up, and in hairpin mode: where the kernel translates addresses within a bridge (br_netfilter), a container
    that asks for its own published port is answered through the port that it came by."""
    port = nested(PortInfo.DATA, attribute(PortInfo.MODE, b"\x01"))
    info = nested(LinkAttr.INFO, text(PortInfo.KIND, "bridge"), port)
    return Message(Kind.NEW_LINK, ifinfo(up=True) + text(LinkAttr.NAME, name) + info, about=name)
