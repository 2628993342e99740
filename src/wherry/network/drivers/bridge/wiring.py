"""Making an endpoint: a namespace, its veth pair on the bridge, address and routes. About a millisecond."""

from __future__ import annotations

import os
from ipaddress import IPv4Interface

from wherry.linux import netns, sysctl
from wherry.linux.netlink import Netlink
from wherry.network.driver import PLAIN, EndpointWish, Network
from wherry.network.drivers.bridge.messages import set_port_up
from wherry.network.endpoint import Attachment, Endpoint
from wherry.network.ipam import Leases, mac_of
from wherry.network.link import FIRST_INDEX, Links, Veth, create_veth, inside, settle
from wherry.values.macs import format_mac, parse_mac

PREFIX = "wh"  # of the host's end of every veth pair


class Wiring:
    """Makes endpoints on one bridge of the network namespace that the thread was in when this was made.

    Safe to call from several threads; each is back in its namespace when a call returns.
    """

    def __init__(self, network: Network, links: Links, bridge_index: int, leases: Leases, mtu: int) -> None:
        self._network = network
        self._links, self._bridge_index, self._leases, self._mtu = links, bridge_index, leases, mtu
        self._home = netns.current()

    def close(self) -> None:
        """Let go of the home network namespace. What was wired stays."""
        os.close(self._home)

    def make(self, wish: EndpointWish = PLAIN) -> Endpoint:
        """A new endpoint with a free address. Unavailable where there is none, OSError where the kernel refuses."""
        address = self._leases.lease()
        try:
            return self._wire(self._attachment(address, wish), address)
        except BaseException:
            self._leases.free_address(address.ip)
            raise

    def _attachment(self, address: IPv4Interface, wish: EndpointWish) -> Attachment:
        return Attachment(
            network=self._network.name,
            network_id=self._network.id,
            endpoint_id=os.urandom(32).hex(),
            address=str(address),
            gateway=str(self._leases.gateway.ip),
            mac=format_mac(wish.mac or mac_of(address.ip)),
            interface=PREFIX + os.urandom(5).hex(),
            inside=wish.inside,
        )

    def _wire(self, attachment: Attachment, address: IPv4Interface) -> Endpoint:
        outer = attachment.interface
        fd, inner = netns.create(lambda: self._wire_inside(attachment, address), self._home)
        try:
            with inner:
                set_ipv6(outer, disabled=True)
                self._links.send(set_port_up(outer))
                inner.request(settle(FIRST_INDEX))
        except BaseException:
            os.close(fd)
            raise
        return Endpoint(attachment, address, fd)

    def _wire_inside(self, attachment: Attachment, address: IPv4Interface) -> Netlink:
        """In the new namespace: have the inner end born here, by the home socket, and make it usable."""
        here = netns.current()
        try:
            set_ipv6(
                "default", disabled=True
            )  # an interface is born with it; to change it later waits in a busy loop
            self._links.send(create_veth(self._veth(attachment, here)))
            set_ipv6("default", disabled=False)
        finally:
            os.close(here)
        inner = Netlink()
        try:
            inner.request(*inside(address, self._leases.gateway.ip))
        except BaseException:
            inner.close()
            raise
        return inner

    def _veth(self, attachment: Attachment, netns_fd: int) -> Veth:
        return Veth(
            attachment.interface,
            self._bridge_index,
            attachment.inside,
            netns_fd,
            parse_mac(attachment.mac),
            self._mtu,
        )

    def discard(self, endpoint: Endpoint) -> None:
        """Let go of an endpoint. The kernel takes it down in the background."""
        if endpoint.netns_fd >= 0:
            os.close(endpoint.netns_fd)
        if endpoint.address is not None:
            self._leases.free_address(endpoint.address.ip)


def set_ipv6(interface: str, *, disabled: bool) -> None:
    """Before the interface is up, so that it never speaks IPv6 at all. Fine where the kernel has none.

    "default" stands for interfaces to come. Others' setting waits for the lock of all networking, by asking again and
    again (addrconf_disable_ipv6 in net/ipv6/addrconf.c), which is dear while namespaces are taken down.
    """
    try:
        sysctl.ensure(f"net/ipv6/conf/{interface}/disable_ipv6", str(int(disabled)))
    except FileNotFoundError:
        return
