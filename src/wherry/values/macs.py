"""Hardware addresses: ``02:42:ac:11:00:02``."""

from __future__ import annotations

from wherry.errors import InvalidArgument

HEX = frozenset("0123456789abcdefABCDEF")
FORMS = ((":", 6), ("-", 6), (".", 3))  # the separator, and how many parts it makes of twelve digits
DIGITS = 12


def parse_mac(text: str) -> bytes:
    """Six octets, written ``02:42:ac:11:00:02``, ``02-42-…`` or ``0242.ac11.0002`` as Go's net.ParseMAC reads them.
    InvalidArgument otherwise."""
    for separator, count in FORMS:
        parts = text.split(separator)
        if len(parts) == count and all(
            len(part) == DIGITS // count and HEX.issuperset(part) for part in parts
        ):
            return bytes.fromhex("".join(parts))
    raise InvalidArgument(f"invalid MAC address: {text!r}")


def station(text: str) -> bytes:
    """A MAC address that one interface can have. InvalidArgument for others, such as one of a group."""
    mac = parse_mac(text)
    if mac[0] & 1 or not any(mac):
        raise InvalidArgument(f"invalid MAC address: {text!r}")
    return mac


def format_mac(mac: bytes) -> str:
    """Six bytes as ``02:42:ac:11:00:02``."""
    return mac.hex(":")
