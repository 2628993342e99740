"""``-p`` and ``--expose``: which ports of the container the host answers for."""

from __future__ import annotations

import socket
from typing import Any

from wherry.cli.csv_fields import key_values

Json = dict[str, Any]
PROTOCOLS = ("tcp", "udp", "sctp")


def parse_publish(specs: list[str]) -> tuple[dict[str, Json], dict[str, list[Json]]]:
    """``-p`` as the API's ``ExposedPorts`` and ``PortBindings``. ValueError in Docker's words."""
    exposed: dict[str, Json] = {}
    bindings: dict[str, list[Json]] = {}
    for spec in specs:
        for port, host_ip, host_port in _mappings(_short_form(spec)):
            exposed[port] = {}
            bindings.setdefault(port, []).append({"HostIp": host_ip, "HostPort": host_port})
    return exposed, bindings


def _short_form(spec: str) -> str:
    """``target=80,published=8080,protocol=tcp`` as ``8080:80/tcp``; any other form as it is."""
    if "=" not in spec:
        return spec
    fields = {key: given or "" for key, given in key_values(spec)}
    published, protocol = fields.get("published", ""), fields.get("protocol") or "tcp"
    return f"{published}:{fields.get('target', '')}/{protocol}"


def _mappings(spec: str) -> list[tuple[str, str, str]]:
    """All (container port, host address, host port) that one ``-p`` asks for."""
    address, _, protocol = spec.partition("/")
    protocol = protocol.lower() or "tcp"
    head, _, container = address.rpartition(":")
    host_ip, _, host = head.rpartition(":")
    if not container:
        raise ValueError(f"no port specified: {spec}<empty>")
    host_ip = _host_ip(host_ip)
    first, last = _range(container, f"invalid containerPort: {container}")
    host_first, host_last = _range(host, f"invalid hostPort: {host}") if host else (0, 0)
    if protocol not in PROTOCOLS:
        raise ValueError(f"invalid proto: {protocol}")
    if host and host_last - host_first != last - first:
        if first != last:
            raise ValueError(f"invalid ranges specified for container and host Ports: {container} and {host}")
        return [(f"{first}/{protocol}", host_ip, f"{host_first}-{host_last}")]
    return [
        (f"{first + n}/{protocol}", host_ip, str(host_first + n) if host else "")
        for n in range(last - first + 1)
    ]


def _host_ip(text: str) -> str:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if bare and not is_address(bare):
        raise ValueError(f"invalid IP address: {text}")
    return bare


def _range(text: str, complaint: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    if not first.isascii() or not first.isdecimal() or (dash and not (last.isascii() and last.isdecimal())):
        raise ValueError(complaint)
    low, high = int(first), int(last or first)
    if high < low or high > 65535:
        raise ValueError(complaint)
    return low, high


def parse_expose(specs: list[str]) -> dict[str, Json]:
    """``--expose 80-82/udp`` as the API's ``ExposedPorts``."""
    exposed: dict[str, Json] = {}
    for spec in specs:
        if ":" in spec:
            raise ValueError(f"invalid port format for --expose: {spec}")
        ports, _, protocol = spec.partition("/")
        first, last = _range(
            ports, f"invalid range format for --expose: {spec}, error: {_range_error(ports)}"
        )
        exposed.update({f"{port}/{protocol.lower() or 'tcp'}": {} for port in range(first, last + 1)})
    return exposed


def _range_error(ports: str) -> str:
    for part in ports.split("-", 1):
        if not part.isdecimal():
            return f'strconv.ParseUint: parsing "{part}": invalid syntax'
        if int(part) > 65535:
            return f'strconv.ParseUint: parsing "{part}": value out of range'
    return f"invalid range specified for port: {ports}"


def address_family(text: str) -> int | None:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, text)
        except (OSError, UnicodeError, ValueError):
            continue
        return int(family)
    return None


def is_address(text: str) -> bool:
    return address_family(text) is not None


def canonical_address(text: str) -> str:
    """The address in its shortest form; ValueError where it is none."""
    family = address_family(text.strip())
    if family is None:
        raise ValueError(f"IP address is not correctly formatted: {text}")
    return socket.inet_ntop(family, socket.inet_pton(family, text.strip()))


def parse_extra_host(text: str) -> str:
    """``name:address`` or ``name=address`` as ``name:address``; ``host-gateway`` is an address too."""
    equals, colon = text.find("="), text.find(":")
    at = equals if equals >= 0 and (colon < 0 or equals < colon) else colon
    name, address = (text[:at], text[at + 1 :]) if at >= 0 else (text, "")
    if not name or not address:
        raise ValueError(f'bad format for add-host: "{text}"')
    if address == "host-gateway":
        return f"{name}:{address}"
    bare = (
        address[1:-1] if len(address) > 2 and address.startswith("[") and address.endswith("]") else address
    )
    if not is_address(bare):
        raise ValueError(f'invalid IP address in add-host: "{address}"')
    return f"{name}:{bare}"
