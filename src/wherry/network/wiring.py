"""Making an endpoint: a namespace, its veth pair on the bridge, address and routes. About a millisecond."""

from __future__ import annotations

import os
from ipaddress import IPv4Interface

from wherry.linux import netns, sysctl
from wherry.linux.netlink import Netlink
from wherry.network.ipam import Leases, format_mac, mac_of
from wherry.network.link import INSIDE_INDEX, Links, Veth, create_veth, inside, set_port_up, settle
from wherry.network.pool import Endpoint

PREFIX = "wh"  # of the host's end of every veth pair


class Wiring:
    """Makes endpoints on one bridge of the network namespace that the thread was in when this was made.

    Safe to call from several threads; each is back in its namespace when a call returns.
    """

    def __init__(self, links: Links, bridge_index: int, leases: Leases, mtu: int = 1500) -> None:
        self._links, self._bridge_index, self._leases, self._mtu = links, bridge_index, leases, mtu
        self._home = netns.current()

    def close(self) -> None:
        os.close(self._home)

    def make(self, mac: bytes | None = None) -> Endpoint:
        """A new endpoint with a free address. Unavailable where there is none, OSError where the kernel refuses."""
        address = self._leases.lease()
        try:
            return self._wire(address, mac or mac_of(address.ip))
        except BaseException:
            self._leases.free_address(address.ip)
            raise

    def _wire(self, address: IPv4Interface, mac: bytes) -> Endpoint:
        name = PREFIX + os.urandom(5).hex()
        fd, inner = netns.create(lambda: self._wire_inside(name, address, mac), self._home)
        try:
            with inner:
                disable_ipv6(name)
                self._links.send(set_port_up(name))
                inner.request(settle(INSIDE_INDEX))
        except BaseException:
            os.close(fd)
            raise
        return Endpoint(
            netns_fd=fd,
            address=address,
            gateway=self._leases.gateway.ip,
            mac=format_mac(mac),
            host_interface=name,
            endpoint_id=os.urandom(32).hex(),
            sandbox_id=os.urandom(32).hex(),
        )

    def _wire_inside(self, name: str, address: IPv4Interface, mac: bytes) -> Netlink:
        """In the new namespace: have eth0 born here, by the home socket, and make it usable."""
        here = netns.current()
        try:
            self._links.send(create_veth(Veth(name, self._bridge_index, here, mac, self._mtu)))
        finally:
            os.close(here)
        disable_ipv6("eth0")
        inner = Netlink()
        try:
            inner.request(*inside(address, self._leases.gateway.ip))
        except BaseException:
            inner.close()
            raise
        return inner

    def discard(self, endpoint: Endpoint) -> None:
        """Let go of an endpoint. The kernel takes it down in the background."""
        if endpoint.netns_fd >= 0:
            os.close(endpoint.netns_fd)
        self._leases.free_address(endpoint.address.ip)


def disable_ipv6(interface: str) -> None:
    """Before the interface is up, so that it never speaks IPv6 at all. Fine where the kernel has none."""
    try:
        sysctl.write(f"net/ipv6/conf/{interface}/disable_ipv6", "1")
    except FileNotFoundError:
        return
