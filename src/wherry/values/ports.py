"""Ports: ``-p`` and ``--expose``, the API's ``80/tcp`` and ``HostPort``, and ranges of them."""

from __future__ import annotations

from wherry.errors import InvalidArgument
from wherry.values.hosts import is_address, without_brackets
from wherry.values.numbers import LONGEST, is_number

PROTOCOLS = ("tcp", "udp", "sctp")
PUBLISHED = ("tcp", "udp")
DEFAULT_PROTOCOL = "tcp"
HIGHEST = 65535

# ---------------------------------------------------------------- the API's keys: "80/tcp"


def with_protocol(port: str) -> str:
    """``80/tcp`` for ``80``."""
    return port if "/" in port else f"{port}/{DEFAULT_PROTOCOL}"


def split_port(key: str) -> tuple[int, str]:
    """``80/tcp`` as number and protocol; 0 for what is no number, such as a range that an image exposes."""
    number, _, protocol = key.partition("/")
    return (int(number) if is_number(number) and len(number) <= LONGEST else 0), protocol or DEFAULT_PROTOCOL


def is_publishable(key: str) -> bool:
    """Whether it is one port, of a protocol that can be published."""
    number, protocol = split_port(key)
    return 1 <= number <= HIGHEST and protocol in PUBLISHED and not key.endswith("/")


def parse_host_port(text: str) -> tuple[int, int]:
    """``8080``, ``8000-8010`` or "" (any) as first and last; last is 0 where it is no range. Engine API,
    PortBinding.HostPort."""
    if not text:
        return 0, 0
    try:
        first, last = _range(text)
    except InvalidArgument:
        raise InvalidArgument(f"invalid port specification: {text!r}") from None
    if first == 0 < last:
        raise InvalidArgument(f"invalid port specification: {text!r}")
    return first, (0 if last == first else last)


def parse_port_range(text: str) -> tuple[int, int, str]:
    """``80``, ``80/udp`` or ``8000-8080/tcp`` of a filter as first, last and protocol."""
    ports, slash, protocol = text.partition("/")
    try:
        first, last = _range(ports)
    except InvalidArgument:
        first = last = -1
    if first < 0 or (slash and protocol not in PROTOCOLS):
        raise InvalidArgument(f"invalid filter: '{text}' is not a port or a range of ports")
    return first, last, protocol or DEFAULT_PROTOCOL


def _range(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    if not is_number(first) or (dash and not is_number(last)) or len(text) > len(f"{HIGHEST}-{HIGHEST}"):
        raise InvalidArgument(f"invalid range of ports: {text}")
    low, high = int(first), int(last or first)
    if high < low or high > HIGHEST:
        raise InvalidArgument(f"invalid range of ports: {text}")
    return low, high


# ---------------------------------------------------------------- options


def parse_publish(spec: str) -> list[tuple[str, str, str]]:
    """All (container port, host address, host port) that one ``-p [ADDRESS:][PORTS:]PORTS[/PROTOCOL]`` asks for, as the
    API writes them. InvalidArgument in Docker's words."""
    ports, _, protocol = spec.partition("/")
    protocol = protocol.lower() or DEFAULT_PROTOCOL
    head, _, container = ports.rpartition(":")
    host_ip, _, host = head.rpartition(":")
    if not container:
        raise InvalidArgument(f"no port specified: {spec}<empty>")
    address = without_brackets(host_ip)
    if address and not is_address(address):
        raise InvalidArgument(f"invalid IP address: {host_ip}")
    inside = _range_or(container, f"invalid containerPort: {container}")
    outside = _range_or(host, f"invalid hostPort: {host}") if host else None
    if protocol not in PROTOCOLS:
        raise InvalidArgument(f"invalid proto: {protocol}")
    if outside and outside[1] - outside[0] != inside[1] - inside[0]:
        if inside[0] != inside[1]:
            raise InvalidArgument(
                f"invalid ranges specified for container and host Ports: {container} and {host}"
            )
        return [(f"{inside[0]}/{protocol}", address, f"{outside[0]}-{outside[1]}")]
    return [
        (f"{inside[0] + n}/{protocol}", address, str(outside[0] + n) if outside else "")
        for n in range(inside[1] - inside[0] + 1)
    ]


def parse_expose(spec: str) -> list[str]:
    """``--expose 80-82/udp`` as the API's keys. InvalidArgument in Docker's words."""
    if ":" in spec:
        raise InvalidArgument(f"invalid port format for --expose: {spec}")
    ports, _, protocol = spec.partition("/")
    complaint = f"invalid range format for --expose: {spec}, error: {_range_error(ports)}"
    first, last = _range_or(ports, complaint)
    return [f"{port}/{protocol.lower() or DEFAULT_PROTOCOL}" for port in range(first, last + 1)]


def _range_or(text: str, complaint: str) -> tuple[int, int]:
    try:
        return _range(text)
    except InvalidArgument:
        raise InvalidArgument(complaint) from None


def _range_error(ports: str) -> str:
    for part in ports.split("-", 1):
        if not is_number(part):
            return f'strconv.ParseUint: parsing "{part}": invalid syntax'
        if len(part) > len(str(HIGHEST)) or int(part) > HIGHEST:
            return f'strconv.ParseUint: parsing "{part}": value out of range'
    return f"invalid range specified for port: {ports}"
