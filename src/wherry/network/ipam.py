"""Which addresses are whose: leases in one subnet, and the choice of a subnet. All of it is arithmetic."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from wherry.errors import InvalidArgument, Unavailable


class Leases:
    """The addresses of one subnet. Given out next-fit: a freed address comes round again as late as possible.

    Safe to call from several threads.
    """

    def __init__(self, gateway: IPv4Interface) -> None:
        self.gateway = gateway
        network = gateway.network
        self._first, self._last = int(network.network_address) + 1, int(network.broadcast_address) - 1
        self._taken = {int(gateway.ip)}
        self._next = self._first
        self._lock = threading.Lock()

    @property
    def free(self) -> int:
        """How many addresses are left to lease."""
        return self._last - self._first + 1 - len(self._taken)

    def lease(self) -> IPv4Interface:
        """A free address. Unavailable when there is none."""
        with self._lock:
            if self.free <= 0:
                raise Unavailable(
                    f"no available IPv4 addresses on this network's address pools: {self.gateway.network}"
                )
            while self._next in self._taken:
                self._advance()
            number = self._next
            self._taken.add(number)
            self._advance()
        return self._interface(number)

    def _advance(self) -> None:
        self._next = self._first if self._next >= self._last else self._next + 1

    def _interface(self, number: int) -> IPv4Interface:
        return IPv4Interface((number, self.gateway.network.prefixlen))

    def claim(self, address: IPv4Address) -> bool:
        """Lease a certain address; whether it was free and of this subnet."""
        number = int(address)
        with self._lock:
            if number in self._taken or not self._first <= number <= self._last:
                return False
            self._taken.add(number)
            if number == self._next:
                self._advance()
        return True

    def free_address(self, address: IPv4Address) -> None:
        """Give an address back; one that is not leased is fine. The gateway's never is."""
        if address != self.gateway.ip:
            with self._lock:
                self._taken.discard(int(address))


def default_pools() -> Iterator[IPv4Network]:
    """Docker's local address pools, in its order."""
    for second in range(17, 32):
        yield IPv4Network(f"172.{second}.0.0/16")
    yield from IPv4Network("192.168.0.0/16").subnets(new_prefix=20)


def choose_subnet(in_use: Iterable[IPv4Network]) -> IPv4Network:
    """The first default pool that overlaps no route or address of the host."""
    taken = [network for network in in_use if network.prefixlen]
    for pool in default_pools():
        if not any(pool.overlaps(network) for network in taken):
            return pool
    raise Unavailable(
        "all predefined address pools overlap routes of this host: give --bip an address to use"
    )


def first_host(network: IPv4Network) -> IPv4Interface:
    """The network's first address, which is the gateway's where none was asked for."""
    return IPv4Interface((int(network.network_address) + 1, network.prefixlen))


def parse_bip(text: str) -> IPv4Interface:
    """``--bip``: the bridge's own address with its prefix length."""
    try:
        address = IPv4Interface(text)
    except ValueError:
        raise InvalidArgument(f"invalid bridge address {text!r} (write it as 172.17.0.1/16)") from None
    network = address.network
    if (
        "/" not in text
        or network.prefixlen > 30
        or address.ip in (network.network_address, network.broadcast_address)
    ):
        raise InvalidArgument(
            f"invalid bridge address {text!r}: it must be a host's address, with a prefix up to /30"
        )
    return address


def mac_of(address: IPv4Address) -> bytes:
    """A locally administered MAC that follows from the address, so that neighbours' caches stay right."""
    return b"\x02\x42" + address.packed
