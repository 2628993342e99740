"""Where plan and kernel differ in a container's network: interfaces, addresses, routes, published ports. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Interface

from wherry.engine.explain.observed import Host, Observed
from wherry.engine.explain.planned import (
    LOOPBACK,
    Way,
    container_address,
    joined_containers,
    own_namespaces,
    planned_interfaces,
    planned_routes,
    published_port,
    steps_of,
)
from wherry.engine.preparation.networks import NetworkEndpoint, PublishPort
from wherry.linux.rtnetlink import Interface, NetworkState
from wherry.messages.explain import Drift
from wherry.network.ports import PublishedPort
from wherry.runtime.steps import Plan

LOOPBACK_ADDRESSES = {"127.0.0.1/8", "::1/128"}


def network_drift(plan: Plan, observed: Observed) -> Iterator[Drift]:
    """Of a network namespace that is the container's own; who joins another's is not asked for it."""
    own = own_namespaces(plan)
    if "net" not in own or "net" in joined_containers(plan):
        return
    endpoint = next(steps_of(plan, NetworkEndpoint), None)
    cause = str((endpoint or own["net"]).cause)
    yield from interface_drift(endpoint, observed, cause)
    yield from address_drift(endpoint, observed.network, cause)
    yield from route_drift(endpoint, observed.network, cause)


def interface_drift(endpoint: NetworkEndpoint | None, observed: Observed, cause: str) -> Iterator[Drift]:
    found = {interface.name: interface for interface in observed.network.interfaces}
    wanted = planned_interfaces(endpoint)
    for name in wanted:
        if name not in found:
            yield Drift(kind="interface", what=name, planned="up", actual="", cause=cause)
        elif not found[name].up:
            yield Drift(kind="interface", what=name, planned="up", actual="down", cause=cause)
    for name, interface in found.items():
        if name not in wanted and interface.up:
            yield Drift(kind="interface", what=name, planned="", actual=interface.kind or "up")
    if endpoint is not None and endpoint.inside in found:
        yield from wiring_drift(endpoint, found[endpoint.inside], observed, cause)


def wiring_drift(
    endpoint: NetworkEndpoint, inside: Interface, observed: Observed, cause: str
) -> Iterator[Drift]:
    if endpoint.mac and inside.mac != endpoint.mac:
        yield Drift(
            kind="interface", what=f"{inside.name} MAC", planned=endpoint.mac, actual=inside.mac, cause=cause
        )
    end = observed.outside.get(inside.peer)
    plug = observed.plugged_into(end) if end is not None else ""
    if end is not None and plug != endpoint.plugged_into:
        yield Drift(
            kind="interface", what=f"{end.name} on the host", planned=f"on {endpoint.plugged_into}",
            actual=f"on {plug}" if plug else "on no bridge", cause=cause,
        )  # fmt: skip


def address_drift(endpoint: NetworkEndpoint | None, network: NetworkState, cause: str) -> Iterator[Drift]:
    planned = {(LOOPBACK, address) for address in LOOPBACK_ADDRESSES}
    there = {(network.name_of(a.index), a.address) for a in network.addresses if not a.link_local}
    if endpoint is not None and endpoint.address:
        inside, address = endpoint.inside, endpoint.address
        planned.add((inside, address))
        if (inside, address) not in there:
            yield Drift(kind="address", what=inside, planned=address, actual="", cause=cause)
    for interface, address in sorted(there - planned):
        yield Drift(kind="address", what=interface, planned="", actual=address)


def route_drift(endpoint: NetworkEndpoint | None, network: NetworkState, cause: str) -> Iterator[Drift]:
    by_hand, planned = routes_by_hand(network), planned_routes(endpoint)
    if endpoint is not None and endpoint.address:
        connected = str(IPv4Interface(endpoint.address).network)
        if not any(r.destination == connected for r in network.routes):
            yield Drift(kind="route", what=connected, planned=f"on {endpoint.inside}", actual="", cause=cause)
    for destination, gateway, interface in sorted(planned - by_hand):
        yield Drift(kind="route", what=destination, planned=way(gateway, interface), actual="", cause=cause)
    for destination, gateway, interface in sorted(by_hand - planned):
        yield Drift(kind="route", what=destination, planned="", actual=way(gateway, interface))


def routes_by_hand(network: NetworkState) -> set[Way]:
    """The routes that did not come with an address."""
    kept = (route for route in network.routes if not route.by_kernel)
    return {(route.destination, route.gateway, network.name_of(route.index)) for route in kept}


def way(gateway: str, interface: str) -> str:
    return f"via {gateway} on {interface}" if gateway else f"on {interface}"


# ---------------------------------------------------------------- ports


def port_drift(plan: Plan, host: Host) -> Iterator[Drift]:
    """Published ports that the firewall lacks, has elsewhere, or has without a plan."""
    address = container_address(plan)
    if not address:
        return
    planned = {published_port(step, address): step for step in steps_of(plan, PublishPort) if step.host_port}
    by_key, keys = {host_key(found): found for found in host.ports}, {host_key(wanted) for wanted in planned}
    for wanted, step in planned.items():
        actual = by_key.get(host_key(wanted))
        if actual != wanted:
            yield Drift(
                kind="port",
                what=host_key(wanted),
                planned=container_end(wanted),
                actual=container_end(actual) if actual else "",
                cause=str(step.cause),
            )
    for found in sorted(host.ports, key=host_key):
        if found.container_ip == address and host_key(found) not in keys:
            yield Drift(kind="port", what=host_key(found), planned="", actual=container_end(found))


def host_key(port: PublishedPort) -> str:
    """The host's end of a published port, as ``0.0.0.0:80/tcp``."""
    return f"{port.host_ip}:{port.host_port}/{port.proto}"


def container_end(port: PublishedPort) -> str:
    """The container's end of a published port, as ``172.17.0.2:80``."""
    return f"{port.container_ip}:{port.container_port}"
