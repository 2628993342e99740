"""Putting back what somebody took from a bridge: the interface itself, its name, address, filter and settings.

What hangs on the interface goes with it, and opens nothing. But containers that run would be cut off until the engine
is started again, for what may have been one command of another program's.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Interface

from wherry.network import link
from wherry.network.drivers.bridge.guard import open_loopback
from wherry.network.drivers.bridge.messages import create_bridge, plug_in, set_port_up
from wherry.network.drivers.bridge.wiring import set_ipv6
from wherry.network.link import Link, Links


@dataclass(frozen=True, slots=True)
class Footing:
    """What a bridge is to be. Endpoints know it by its index."""

    index: int
    name: str
    address: IPv4Interface
    mac: bytes
    mtu: int


def put_back(
    links: Links, footing: Footing, found: Link | None, ports: Iterable[str]
) -> tuple[list[str], bool]:
    """Have the bridge, which was found so or not at all, as it is to be, and these interfaces on it.

    What was missing, in words, and whether its loopback is open. OSError, also where it went meanwhile.
    """
    missing = []
    if found is None:
        missing.append("the interface")
        links.send(create_bridge(footing.name, footing.mac, footing.mtu, index=footing.index))
    elif found.name != footing.name:
        missing.append("the name")
        rename(links, found, footing.name)
    set_ipv6(footing.name, disabled=True)
    loopback = open_loopback(links, footing.name, footing.index)
    if footing.address not in links.addresses(footing.index):
        missing.append("the address")
        links.send(link.add_address(footing.index, footing.address))
    if found is None or not found.up:
        missing.append("the state up")
        links.send(link.set_up(footing.index))
    if found is None:
        plug_all_in(links, footing.index, ports)
    return missing, loopback


def rename(links: Links, found: Link, name: str) -> None:
    """Older kernels want it down for that; it is up again afterwards if it was."""
    try:
        links.send(link.rename(found.index, name))
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        up = (link.set_up(found.index),) if found.up else ()
        links.send(link.set_down(found.index), link.rename(found.index, name), *up)


def plug_all_in(links: Links, index: int, ports: Iterable[str]) -> None:
    for name in ports:
        if links.find(name) is not None:
            links.send(plug_in(name, index), set_port_up(name))
