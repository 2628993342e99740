"""``--network`` and what goes with it: the endpoints that a container gets."""

from __future__ import annotations

from wherry.cli.csv_fields import key_values
from wherry.errors import InvalidArgument
from wherry.values.macs import parse_mac

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Json = dict[str, Any]

BUILT_IN = ("default", "bridge", "host", "none")
NETWORK_TEXTS = {"name": "target", "ip": "ipv4", "ip6": "ipv6"}
NETWORK_LISTS = {"alias": "aliases", "link-local-ip": "link_local"}


class Attachment:
    """One ``--network``: its target, and what the container is to be in that network."""

    def __init__(
        self,
        target: str,
        aliases: tuple[str, ...] = (),
        links: tuple[str, ...] = (),
        ipv4: str = "",
        ipv6: str = "",
        link_local: tuple[str, ...] = (),
        mac: str = "",
        driver_options: tuple[tuple[str, str], ...] = (),
        priority: int = 0,
    ) -> None:
        self.target, self.aliases, self.links = target, aliases, links
        self.ipv4, self.ipv6, self.link_local, self.mac = ipv4, ipv6, link_local, mac
        self.driver_options, self.priority = driver_options, priority

    def changed(self, **fields: Any) -> Attachment:
        """The same with other values for some fields."""
        return Attachment(**{**vars(self), **fields})

    @property
    def user_defined(self) -> bool:
        """Whether the network is one that somebody has created."""
        return self.target not in BUILT_IN and not self.target.startswith("container:")

    @property
    def plain(self) -> bool:
        """Whether nothing but the network is asked for."""
        return vars(self) == vars(Attachment(self.target))

    def settings(self) -> Json:
        """The API's ``EndpointSettings``."""
        ipam = {"IPv4Address": self.ipv4, "IPv6Address": self.ipv6, "LinkLocalIPs": list(self.link_local)}
        return {
            "IPAMConfig": {key: given for key, given in ipam.items() if given} or None,
            "Links": list(self.links) or None,
            "Aliases": list(self.aliases) or None,
            "MacAddress": self.mac,
            "DriverOpts": dict(self.driver_options) or None,
            "GwPriority": self.priority,
            "NetworkID": "",
            "EndpointID": "",
            "Gateway": "",
            "IPAddress": "",
            "IPPrefixLen": 0,
            "IPv6Gateway": "",
            "GlobalIPv6Address": "",
            "GlobalIPv6PrefixLen": 0,
            "DNSNames": None,
        }


def parse_network(text: str) -> Attachment:
    """``NAME``, or ``name=NAME,alias=…,ip=…``. ValueError in Docker's words."""
    if "=" not in text or not any(key for key, given in key_values(text) if given is not None):
        return Attachment(text)
    made = Attachment("")
    for key, given in key_values(text):
        if given is None:
            raise ValueError(f"invalid field {key}")
        made = _with_field(made, key, given.strip())
    if not made.target:
        raise ValueError("network name/id is not specified")
    return made


def _with_field(made: Attachment, key: str, given: str) -> Attachment:
    if key in NETWORK_TEXTS:
        return made.changed(**{NETWORK_TEXTS[key]: given})
    if key in NETWORK_LISTS:
        name = NETWORK_LISTS[key]
        return made.changed(**{name: (*getattr(made, name), given)})
    if key == "mac-address":
        return made.changed(mac=hardware_address(given))
    if key == "driver-opt":
        option, _, chosen = given.partition("=")
        return made.changed(driver_options=(*made.driver_options, (option, chosen)))
    if key == "gw-priority":
        return made.changed(priority=int(given))
    raise ValueError(f"invalid field key {key}")


def hardware_address(text: str) -> str:
    """A flag's MAC address, as it was written. ValueError where it is none."""
    try:
        if text:
            parse_mac(text)
    except InvalidArgument:
        raise ValueError(f"{text} is not a valid mac address") from None
    return text


def endpoints(networks: Sequence[Attachment], own: Attachment) -> tuple[str, dict[str, Json]]:
    """The network mode, and the endpoints by network. ``own`` is what options beside ``--network`` asked for; it
    goes to the first network."""
    if not networks:
        _check_scope(own)
        return "default", {"default": own.settings()}
    first = own.changed(target=networks[0].target) if networks[0].plain else _merged(networks[0], own)
    chosen = [first, *networks[1:]]
    found: dict[str, Json] = {}
    if len({attachment.user_defined for attachment in chosen}) > 1:
        raise ValueError(
            "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
        )
    for attachment in chosen:
        _check_scope(attachment)
        if attachment.target in found:
            raise ValueError(f'network "{attachment.target}" is specified multiple times')
        found[attachment.target] = attachment.settings()
    return first.target, {} if len(chosen) == 1 and first.plain else found


def _merged(network: Attachment, own: Attachment) -> Attachment:
    for name, long, short in (
        ("--network-alias", network.aliases, own.aliases),
        ("--link", network.links, own.links),
        ("--ip", network.ipv4, own.ipv4),
        ("--ip6", network.ipv6, own.ipv6),
        ("--mac-address", network.mac, own.mac),
    ):
        if long and short:
            raise ValueError(f"conflicting options: cannot specify both {name} and per-network options")
    return network.changed(
        aliases=network.aliases or own.aliases,
        links=network.links or own.links,
        ipv4=network.ipv4 or own.ipv4,
        ipv6=network.ipv6 or own.ipv6,
        mac=network.mac or own.mac,
        link_local=network.link_local or own.link_local,
    )


def _check_scope(attachment: Attachment) -> None:
    if attachment.aliases and not attachment.user_defined:
        raise ValueError("network-scoped aliases are only supported for user-defined networks")
