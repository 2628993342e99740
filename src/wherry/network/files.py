"""The contents of a container's /etc/hosts, /etc/hostname and /etc/resolv.conf, as Docker writes them.

Text in, text out; only ``HostResolver`` looks at the host. hosts(5), resolv.conf(5).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from wherry.errors import InvalidArgument
from wherry.values.hosts import HOST_GATEWAY, canonical_address, is_name_server, parse_extra_host

LOCAL_NAMES = (
    ("127.0.0.1", "localhost"),
    ("::1", "localhost ip6-localhost ip6-loopback"),
    ("fe00::", "ip6-localnet"),
    ("ff00::", "ip6-mcastprefix"),
    ("ff02::1", "ip6-allnodes"),
    ("ff02::2", "ip6-allrouters"),
)
FALLBACK_NAMESERVERS = ("8.8.8.8", "8.8.4.4")
HOST_RESOLV_CONF = Path("/etc/resolv.conf")
SYSTEMD_RESOLV_CONF = Path("/run/systemd/resolve/resolv.conf")
SYSTEMD_STUB = "127.0.0.53"
LARGEST = 1 << 20  # bytes of the host's resolv.conf


@dataclass(frozen=True, slots=True)
class Resolver:
    """A resolv.conf, taken apart. ``other`` are lines of directives that are passed on as they are."""

    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    other: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Overrides:
    """``--dns``, ``--dns-search`` and ``--dns-option``, of the container or else of the daemon."""

    dns: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def extra_host(entry: str, host_gateway: IPv4Address | None) -> tuple[str, str]:
    """An entry of ``--add-host`` as (address, name). InvalidArgument where it is none."""
    name, address = parse_extra_host(entry)
    if address != HOST_GATEWAY:
        return canonical_address(address), name
    if host_gateway is None:
        raise InvalidArgument("unable to derive the IP value for host-gateway")
    return str(host_gateway), name


def own_names(hostname: str, domainname: str = "") -> str:
    """The full name and the bare one, however they were split between the two options."""
    full = f"{hostname}.{domainname}" if domainname else hostname
    bare, dot, _ = full.partition(".")
    return f"{full} {bare}" if dot else full


def render_hosts(
    hostname: str,
    domainname: str = "",
    *,
    address: IPv4Address | None = None,
    extra_hosts: Iterable[str] = (),
    host_gateway: IPv4Address | None = None,
) -> str:
    """/etc/hosts of a container with an endpoint (at ``address``) or without a network."""
    records = [*LOCAL_NAMES, *(extra_host(entry, host_gateway) for entry in extra_hosts)]
    if address is not None:
        records.append((str(address), own_names(hostname, domainname)))
    return render_records(records)


def render_host_network_hosts(
    host_text: str, extra_hosts: Iterable[str] = (), host_gateway: IPv4Address | None = None
) -> str:
    """/etc/hosts on the host's network: the host's own, and what was asked for."""
    head = host_text if not host_text or host_text.endswith("\n") else host_text + "\n"
    return head + render_records(extra_host(entry, host_gateway) for entry in extra_hosts)


def render_records(records: Iterable[tuple[str, str]]) -> str:
    return "".join(f"{address}\t{names}\n" for address, names in records)


def render_hostname(hostname: str) -> str:
    """The content of /etc/hostname. hostname(5)."""
    return hostname + "\n"


@lru_cache(8)
def parse_resolv_conf(content: str) -> Resolver:
    """Invalid name servers are left out; of several ``search`` or ``domain`` lines the last counts."""
    nameservers: list[str] = []
    search: list[str] = []
    options: list[str] = []
    other: list[str] = []
    for line in content.splitlines():
        match [] if line.startswith(("#", ";")) else line.split():
            case [] | ["nameserver" | "search" | "domain" | "options"]:
                continue
            case ["nameserver", address, *_]:
                nameservers += [address] if is_name_server(address) else []
            case ["search" | "domain", *words]:
                search = words
            case ["options", *words]:
                options += words
            case _:
                other.append(line)
    return Resolver(tuple(nameservers), tuple(search), tuple(options), tuple(other))


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def reachable_over_ipv4(nameserver: str) -> bool:
    """Whether a container on a network of ours, without IPv6, can ask it: the host's loopback is not its own."""
    address = parse_address(nameserver)
    return isinstance(address, IPv4Address) and not address.is_loopback


def override(host: Resolver, overrides: Overrides) -> Resolver:
    """The host's resolver, but for what the user gave instead; a search list of ``.`` alone means none."""
    return Resolver(
        tuple(overrides.dns) or host.nameservers,
        tuple(word for word in overrides.search if word != ".") if overrides.search else host.search,
        tuple(overrides.options) or host.options,
        host.other,
    )


def for_own_network(host: Resolver, overrides: Overrides) -> Resolver:
    """The host's resolver as a container on the default network can use it."""
    usable = tuple(n for n in host.nameservers if reachable_over_ipv4(n)) or FALLBACK_NAMESERVERS
    return override(Resolver(usable, host.search, host.options, host.other), overrides)


def format_resolver(resolver: Resolver) -> str:
    lines = [f"nameserver {n}" for n in resolver.nameservers]
    if resolver.search:
        lines.append("search " + " ".join(resolver.search))
    if resolver.options:
        lines.append("options " + " ".join(resolver.options))
    return "".join(line + "\n" for line in [*lines, *resolver.other])


@lru_cache(64)  # the host's and the daemon's seldom change
def render_resolv_conf(host_text: str, overrides: Overrides, *, host_network: bool = False) -> str:
    """/etc/resolv.conf from the host's; on the host's network it is the host's, but for overrides."""
    if host_network and not (overrides.dns or overrides.search or overrides.options):
        return host_text
    host = parse_resolv_conf(host_text)
    return format_resolver(override(host, overrides) if host_network else for_own_network(host, overrides))


class HostResolver:
    """The host's resolv.conf, which each start asks for: it is read again when it is another file, or was changed."""

    def __init__(self) -> None:
        self._read: dict[Path, tuple[tuple[int, ...], str]] = {}

    def text(self, *, host_network: bool = False) -> str:
        """For other networks than the host's the one behind systemd-resolved's stub, where that is all there is.

        OSError, with the path, for what is there and cannot be read.
        """
        text = self._text(HOST_RESOLV_CONF)
        if not host_network and parse_resolv_conf(text).nameservers == (SYSTEMD_STUB,):
            return self._text(SYSTEMD_RESOLV_CONF) or text
        return text

    def _text(self, path: Path) -> str:
        try:
            status = os.stat(path)
        except FileNotFoundError:
            return ""
        stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        known = self._read.get(path)
        if known is None or known[0] != stamp:
            known = self._read[path] = (stamp, read_if_there(path))
        return known[1]


def read_if_there(path: Path) -> str:
    """The text, with bytes that are not UTF-8 as surrogates; empty where there is no such file.

    OSError for what is no file: a FIFO would hold the engine, and a device have no end.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", opener=at_once) as content:
            status = os.fstat(content.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
                raise OSError(errno.EINVAL, f"no regular file of at most {LARGEST} bytes", str(path))
            return content.read(LARGEST)
    except FileNotFoundError:
        return ""


def at_once(path: str, flags: int) -> int:
    """Open without waiting for who would write."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
