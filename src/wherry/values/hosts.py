"""Addresses, and the entries of ``--add-host``."""

from __future__ import annotations

from wherry.errors import InvalidArgument

HOST_GATEWAY = "host-gateway"


def address_family(text: str) -> int | None:
    """``AF_INET`` or ``AF_INET6`` of an IP address, None for anything else."""
    import socket

    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, text)
        except (OSError, ValueError):
            continue
        return int(family)
    return None


def is_address(text: str) -> bool:
    """Whether it is an IPv4 or IPv6 address, without port, prefix length or brackets."""
    return address_family(text) is not None


def is_name_server(text: str) -> bool:
    """An address, which may name an interface, as in ``fe80::1%eth0``. resolv.conf(5)."""
    address, percent, interface = text.partition("%")
    return is_address(address) and (not percent or (":" in address and bool(interface)))


def canonical_address(text: str) -> str:
    """The address in its shortest form. InvalidArgument where it is none."""
    import socket

    family = address_family(text.strip())
    if family is None:
        raise InvalidArgument(f"IP address is not correctly formatted: {text}")
    return socket.inet_ntop(family, socket.inet_pton(family, text.strip()))


def without_brackets(text: str) -> str:
    """``::1`` for ``[::1]``."""
    return text[1:-1] if text.startswith("[") and text.endswith("]") else text


def parse_extra_host(text: str) -> tuple[str, str]:
    """``name:address`` or ``name=address`` as (name, address); the address may be ``host-gateway``. InvalidArgument in
    Docker's words."""
    name, address = _split(text)
    if not name or not address:
        raise InvalidArgument(f'bad format for add-host: "{text}"')
    if address == HOST_GATEWAY:
        return name, address
    bare = without_brackets(address)
    if not is_address(bare):
        raise InvalidArgument(f'invalid IP address in add-host: "{address}"')
    return name, bare


def _split(text: str) -> tuple[str, str]:
    """At the first ``=`` or ``:``, as an address may hold more colons."""
    places = [place for place in (text.find("="), text.find(":")) if place >= 0]
    at = min(places, default=len(text))
    return text[:at], text[at + 1 :]
