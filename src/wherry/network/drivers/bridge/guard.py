"""What the host takes from a bridge: nothing of its own loopback but answers of published ports, and no IPv6.

What the host sends to a port published on 127.0.0.1 leaves by the bridge, and its answers come back by it. The kernel
lets 127.0.0.0/8 pass there only with ``route_localnet``, and then it also delivers what a container sends to it
(CVE-2020-8558). So there is no ``route_localnet`` without a filter on the interface itself, which sees a packet before
netfilter does: it holds whatever becomes of nftables, and when no engine runs. docs/decisions/0014-loopback.md;
tc-bpf(8), Linux net/sched/cls_bpf.c.

The networks have no IPv6, and ``disable_ipv6`` is one ``sysctl`` from being undone for all interfaces of a host. A
container would be on one link with it then, and could offer itself as its router (CVE-2020-13401).
"""

from __future__ import annotations

import errno
import logging
import socket
import struct
from contextlib import suppress

from wherry.errors import sentence
from wherry.linux import sysctl
from wherry.linux.netlink import BPF, Flag, Message, attribute, text, u32
from wherry.network.firewall import ANSWER_MARK
from wherry.network.link import Links

NEW_QDISC, NEW_FILTER, DELETE_FILTER = 36, 44, 45  # RTM_*
TCMSG = struct.Struct("=BxxxiIII")  # family, interface, handle, parent, info
CLSACT, INGRESS = 0xFFFFFFF1, 0xFFFFFFF2  # TC_H_CLSACT, and its parent for what comes in
CLSACT_HANDLE, CLSACT_KIND = 0xFFFF0000, "clsact"
PREFERENCE, FILTER_HANDLE = 1, 1
ETH_P_ALL = 0x0003
TC_KIND, TC_OPTIONS = 1, 2
BPF_LENGTH, BPF_PROGRAM, BPF_FLAGS = 4, 5, 8  # TCA_BPF_*
DIRECT = 1  # TCA_BPF_FLAG_ACT_DIRECT: the program's answer is the verdict

LOAD_WORD, LOAD_HALF, LOAD_BYTE, AND, EQUAL, RETURN = 0x20, 0x28, 0x30, 0x54, 0x15, 0x06
ETHERTYPE, MARK, VLAN_TAG = 0xFFFFF000, 0xFFFFF000 + 20, 0xFFFFF000 + 44  # SKF_AD_OFF and what is there
SOURCE, DESTINATION = 0xFFF00000 + 12, 0xFFF00000 + 16  # SKF_NET_OFF and where an IPv4 header has them
IPV4, IPV6, VLAN, PROVIDER_VLAN = 0x0800, 0x86DD, 0x8100, 0x88A8
VLAN_NUMBER = 0x0FFF
LOOPBACK = 127
PASS, DROP = 0xFFFFFFFF, 2  # TC_ACT_UNSPEC, TC_ACT_SHOT

log = logging.getLogger(__name__)


def guard() -> bytes:
    """The filter: no IPv6, and no IPv4 from or to 127.0.0.0/8 but for answers that netfilter has translated already.

    That it has, where the bridge's packets go through netfilter before they leave the bridge (br_netfilter), is told by
    their mark, which nobody outside can give. The kernel takes off tags of VLAN 0 one after the other, the later ones
    behind this filter; so what has such a tag, and another behind it, is dropped.
    """
    lines = (
        (LOAD_HALF, 0, 0, ETHERTYPE),
        (EQUAL, 6, 0, IPV4),
        (EQUAL, 12, 0, IPV6),  # drop
        (EQUAL, 1, 0, VLAN),
        (EQUAL, 0, 9, PROVIDER_VLAN),  # else pass
        (LOAD_HALF, 0, 0, VLAN_TAG),
        (AND, 0, 0, VLAN_NUMBER),
        (EQUAL, 7, 6, 0),  # drop, else pass
        (LOAD_BYTE, 0, 0, SOURCE),
        (EQUAL, 5, 0, LOOPBACK),  # drop
        (LOAD_BYTE, 0, 0, DESTINATION),
        (EQUAL, 0, 2, LOOPBACK),  # else pass
        (LOAD_WORD, 0, 0, MARK),
        (EQUAL, 0, 1, ANSWER_MARK),  # else drop
        (RETURN, 0, 0, PASS),
        (RETURN, 0, 0, DROP),
    )
    return b"".join(BPF.pack(*line) for line in lines)


def queue(index: int) -> Message:
    """What filters can be attached to. EEXIST where an interface has one."""
    head = TCMSG.pack(0, index, CLSACT_HANDLE, CLSACT, 0)
    return Message(NEW_QDISC, head + text(TC_KIND, CLSACT_KIND), Flag.CREATE | Flag.EXCL, about="clsact")


def incoming_filter(index: int, program: bytes) -> Message:
    """A program that judges what comes in by an interface, in place of one that we have put there before."""
    options = (
        attribute(BPF_LENGTH, struct.pack("=H", len(program) // BPF.size))
        + attribute(BPF_PROGRAM, program)
        + u32(BPF_FLAGS, DIRECT)
    )
    body = filter_head(index) + attribute(TC_OPTIONS, options)
    return Message(NEW_FILTER, body, Flag.CREATE, about="cls_bpf")


def filter_head(index: int) -> bytes:
    info = PREFERENCE << 16 | socket.htons(ETH_P_ALL)
    return TCMSG.pack(0, index, FILTER_HANDLE, INGRESS, info) + text(TC_KIND, "bpf")


def attach(links: Links, index: int) -> None:
    """Have the filter on an interface. FileNotFoundError where the kernel has no such thing."""
    with suppress(FileExistsError):
        links.send(queue(index))
    links.send(incoming_filter(index, guard()))


def open_loopback(links: Links, name: str, index: int) -> bool:
    """Have ``route_localnet`` on an interface, behind the filter; neither of them, and False, where that cannot be."""
    try:
        attach(links, index)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EOPNOTSUPP):
            raise
        log.warning(
            "no port can be published on 127.0.0.1: the kernel has no filter for it: %s", sentence(error)
        )
        sysctl.ensure(f"net/ipv4/conf/{name}/route_localnet", "0")
        return False
    sysctl.ensure(f"net/ipv4/conf/{name}/route_localnet", "1")
    return True


def close_loopback(links: Links, name: str, index: int) -> None:
    """Leave an interface that was there before us: first without ``route_localnet``, then without the filter."""
    with suppress(FileNotFoundError):  # one or the other, or the interface
        sysctl.ensure(f"net/ipv4/conf/{name}/route_localnet", "0")
        links.send(Message(DELETE_FILTER, filter_head(index), about="cls_bpf"))
