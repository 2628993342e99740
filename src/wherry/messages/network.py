"""Networks, as the API tells of them. Engine API, Network."""

from __future__ import annotations

from msgspec import field

from wherry.messages.base import Model, Request


class NetworkCreate(Request, frozen=True):
    """Body of ``POST /networks/create``, as far as it says that it can be no network of one's own."""

    name: str = ""
    driver: str = ""


class SubnetConfig(Model):
    """A subnet of a network."""

    subnet: str = ""
    gateway: str = ""


class Ipam(Model):
    """How addresses are given."""

    driver: str = "default"
    options: dict[str, str] | None = None
    config: list[SubnetConfig] | None = None


class ConfigReference(Model):
    """Always empty: it concerns swarms."""

    network: str = ""


class EndpointResource(Model):
    """A container on a network, in ``GET /networks/{id}``."""

    name: str
    endpoint_id: str = field(name="EndpointID")
    mac_address: str
    ipv4_address: str = field(name="IPv4Address")
    ipv6_address: str = field(default="", name="IPv6Address")


class NetworkResource(Model):
    """``GET /networks/{id}``. Engine API, Network."""

    name: str
    id: str
    created: str
    scope: str = "local"
    driver: str = ""
    enable_ipv4: bool = field(default=True, name="EnableIPv4")
    enable_ipv6: bool = field(default=False, name="EnableIPv6")
    ipam: Ipam = field(default_factory=Ipam, name="IPAM")
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_from: ConfigReference = field(default_factory=ConfigReference)
    config_only: bool = False
    containers: dict[str, EndpointResource] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
