"""From a create request and an image to a container's record: Docker's merging and Docker's defaults. Pure."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from wherry.engine.config import EngineConfig
from wherry.engine.fates import refuse
from wherry.engine.image_record import ImageRecord
from wherry.engine.log_options import attributes, check_log, log_config
from wherry.engine.record import ContainerRecord
from wherry.engine.wanted_mounts import Points, placed
from wherry.errors import InvalidArgument
from wherry.messages.base import Nothing
from wherry.messages.container import (
    Config,
    ContainerCreate,
    EndpointSettings,
    HostConfig,
    LogConfig,
    MountPoint,
    NetworkingConfig,
    PortBinding,
)
from wherry.network.drivers.catalogue import DEFAULT_NETWORK, NO_NETWORK
from wherry.runtime import mounts
from wherry.runtime.bounds import MOST_MOUNTS, check_count, check_counts
from wherry.runtime.checks import check_cgroup_parent, check_conflicts, check_health
from wherry.runtime.image_config import Merged, merge, words
from wherry.runtime.resources import swap_limit
from wherry.values.hosts import is_address, is_name_server
from wherry.values.paths import cleaned
from wherry.values.ports import is_publishable, parse_host_port, with_protocol
from wherry.values.signals import parse_signal


class Wanted(NamedTuple):
    """A container's record, and the mounts that it asks for."""

    record: ContainerRecord
    mounts: Points


def wanted(
    id: str,
    name: str,
    request: ContainerCreate,
    image: ImageRecord,
    defaults: EngineConfig,
    *,
    recursive_read_only: bool = True,
) -> Wanted:
    """The record, as yet without its time of creation. InvalidArgument, in Docker's words, for what cannot be."""
    host = host_config(request.host_config or HostConfig(), defaults)
    check_counts(host)
    if request.network_disabled:
        host = msgspec.structs.replace(host, network_mode=NO_NETWORK)
    merged = merge(request, image.config.run)
    check_count("Volumes", merged.volumes, MOST_MOUNTS)
    argv = merged.argv
    endpoints = networks(request, host)
    endpoint = endpoints.get(host.network_mode) or EndpointSettings()
    check_mac_address(request, endpoint)
    config = container_config(id, request, merged, host, endpoint)
    check_whole(request, host)
    points = mounts.requested(host)  # what is no mount at all is told as that, and not as what is not here
    check_here(request, host)
    points = placed(points, defaults, recursive_read_only=recursive_read_only)
    record = ContainerRecord(
        id=id,
        name=name,
        created="",
        path=argv[0],
        args=list(argv[1:]),
        config=config,
        host_config=host,
        image=image.id,
        networks=endpoints,
        mounts=mount_points(host, points),
        recursive_read_only=recursive_read_only,
    )
    attributes(record)  # they have a length, too
    return Wanted(record, points)


def by_name(request: ContainerCreate, name_of: Callable[[str], str]) -> ContainerCreate:
    """The request with networks by their names, where it has ids."""
    if request.host_config is not None:
        host = msgspec.structs.replace(
            request.host_config, network_mode=name_of(request.host_config.network_mode)
        )
        request = msgspec.structs.replace(request, host_config=host)
    if request.networking_config is not None:
        settings = request.networking_config.endpoints_config or {}
        named = NetworkingConfig(endpoints_config={name_of(key): value for key, value in settings.items()})
        request = msgspec.structs.replace(request, networking_config=named)
    return request


def container_config(
    id: str, request: ContainerCreate, merged: Merged, host: HostConfig, endpoint: EndpointSettings
) -> Config:
    """``Config`` as inspect shows it: the request, completed by the image."""
    fields = {name: getattr(request, name) for name in Config.__struct_fields__}
    fields |= {
        "user": merged.user,
        "env": merged.env,
        "cmd": merged.cmd,
        "entrypoint": merged.entrypoint,
        "working_dir": cleaned(merged.working_dir),
        "labels": merged.labels,
        "shell": words(request.shell),
        "exposed_ports": {port: Nothing() for port in exposed(merged, host)} or None,
        "volumes": {path: Nothing() for path in merged.volumes} or None,
        "stop_signal": merged.stop_signal,
        "mac_address": request.mac_address or endpoint.mac_address,
        "hostname": request.hostname or own_hostname(id, host),
    }
    return Config(**fields)


def own_hostname(id: str, host: HostConfig) -> str:
    """What a container is called that was given no name: in another's network as that one, so not at all here."""
    if host.network_mode.startswith("container:"):
        return ""
    return socket.gethostname() if host.network_mode == "host" else id[:12]


def exposed(merged: Merged, host: HostConfig) -> list[str]:
    """Exposed ports; a published port is exposed too."""
    ports = [with_protocol(port) for port in (*merged.exposed_ports, *(host.port_bindings or ()))]
    return list(dict.fromkeys(ports))


def host_config(asked: HostConfig, defaults: EngineConfig) -> HostConfig:
    """A copy with Docker's defaults filled in."""
    security = asked.security_opt
    if defaults.no_new_privileges and not any("no-new-privileges" in option for option in security or ()):
        security = [*(security or ()), "no-new-privileges"]
    policy = asked.restart_policy
    return msgspec.structs.replace(
        asked,
        network_mode=DEFAULT_NETWORK if asked.network_mode in ("default", "") else asked.network_mode,
        restart_policy=msgspec.structs.replace(policy, name=policy.name or "no"),
        log_config=log_config(asked.log_config, defaults),
        shm_size=asked.shm_size or defaults.shm_size,
        ipc_mode=asked.ipc_mode or "private",
        memory_swap=swap_limit(asked),
        init=True if asked.init is None and defaults.init else asked.init,
        security_opt=security,
        pids_limit=asked.pids_limit if (asked.pids_limit or 0) > 0 else None,
        port_bindings={with_protocol(port): b for port, b in (asked.port_bindings or {}).items()},
    )


def networks(request: ContainerCreate, host: HostConfig) -> dict[str, EndpointSettings]:
    """The endpoints as asked for, also on networks that there are not; addresses come at start."""
    if host.network_mode.startswith("container:") or request.network_disabled:
        return {}
    settings = (request.networking_config.endpoints_config if request.networking_config else None) or {}
    asked = {}
    for name, own in settings.items():
        if own is None:
            raise InvalidArgument(f"invalid config for network {name}: EndpointsConfig is nil")
        asked[host.network_mode if name == "default" else name] = own
    return asked or {host.network_mode: EndpointSettings()}


def mount_points(host: HostConfig, points: Iterable[mounts.MountPoint]) -> list[MountPoint]:
    """Inspect's ``Mounts``: binds and ``--mount`` ones, not ``--tmpfs``, as Docker shows them."""
    tmpfs = set(host.tmpfs or ())
    return [
        MountPoint(
            type=point.type,
            source=point.source,
            destination=point.target,
            mode=point.mode,
            rw=point.writable,
            propagation=point.propagation,
        )
        for point in points
        if not (point.type == mounts.TMPFS and point.target in tmpfs)
    ]


def check_whole(request: ContainerCreate, host: HostConfig) -> None:
    """What contradicts itself or is no value; ``runtime.checks`` has the rest of what nobody can do."""
    check_conflicts(request, host)
    check_health(request.healthcheck)
    if request.stop_signal:
        parse_signal(request.stop_signal)  # an image's may be none: SIGTERM ends its containers


def check_here(request: ContainerCreate, host: HostConfig) -> None:
    """What this engine cannot do, said at once."""
    refuse(request)
    check_ports(host.port_bindings or {})
    check_exposed(request, host)
    check_log(host.log_config)


def check_mac_address(request: ContainerCreate, endpoint: EndpointSettings) -> None:
    if request.mac_address and endpoint.mac_address not in ("", request.mac_address):
        raise InvalidArgument(
            "the container-wide MAC address must match the endpoint-specific MAC address for the main network, "
            "or be left empty"
        )


def check_ports(bindings: dict[str, list[PortBinding] | None]) -> None:
    for port, hosts in bindings.items():
        if not is_publishable(port):
            raise InvalidArgument(
                f"invalid port specification: {port!r}: only TCP and UDP ports from 1 to 65535 can be published"
            )
        for binding in hosts or ():
            parse_host_port(binding.host_port)
            if binding.host_ip and not is_address(binding.host_ip):
                raise InvalidArgument(
                    f"invalid HostIp of port {port}: {binding.host_ip!r} is not an IP address"
                )


def check_exposed(request: ContainerCreate, host: HostConfig) -> None:
    """With ``-P`` whoever names a port wants it published. Of an image's, those are left out that cannot be."""
    for port in (request.exposed_ports or ()) if host.publish_all_ports else ():
        if not is_publishable(with_protocol(port)):
            raise InvalidArgument(f"invalid ExposedPorts: {port!r} cannot be published")


def check_defaults(defaults: EngineConfig) -> None:
    """What every create request would stumble over, refused at the daemon's start."""
    check_log(log_config(LogConfig(), defaults))
    for server in defaults.dns:
        if not is_name_server(server):
            raise InvalidArgument(f"invalid name server: {server!r} is not an IP address")
    if defaults.shm_size <= 0:
        raise InvalidArgument(f"invalid size of /dev/shm: {defaults.shm_size}")
    if defaults.pool_size < 0:
        raise InvalidArgument(f"invalid size of the network pool: {defaults.pool_size}")
    check_cgroup_parent(defaults.cgroup_parent)
    if not defaults.cgroup_parent.strip("/."):
        raise InvalidArgument(f"invalid cgroup parent {defaults.cgroup_parent!r}: it is the host's own group")


def ignored(record: ContainerRecord, image: ImageRecord) -> list[str]:
    """What is accepted but not done, said to the user."""
    told = []
    if record.host_config.port_bindings and record.host_config.network_mode == "host":
        told.append("Published ports are discarded when using host network mode")
    if record.host_config.publish_all_ports:
        lost = [port for port in record.config.exposed_ports or () if not is_publishable(port)]
        told += [f"port {port} of the image cannot be published, and is left out" for port in lost]
    if image.config.run.healthcheck is not None and record.config.healthcheck is None:
        told.append("the health check of the image is not supported yet: the container has no health")
    return told
