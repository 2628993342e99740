"""What Docker can do and this version cannot: refused at create, so that nobody believes in what is not done. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.errors import InvalidArgument
from wherry.messages.container import ContainerCreate, EndpointSettings, HealthConfig, HostConfig
from wherry.runtime import mounts

NOT_HERE = "not supported by this version of wherry"
RUNTIMES = (
    "",
    "wherry",
    "runc",
    "io.containerd.runc.v2",
)  # the last two: what clients of Docker name by habit


def refuse(request: ContainerCreate, host: HostConfig, endpoint: EndpointSettings) -> None:
    """InvalidArgument with everything in the request that would be silently left undone."""
    found = [f"{option} is {NOT_HERE}" for option in missing(request, host, endpoint)]
    if found:
        raise InvalidArgument("; ".join(found))


def missing(request: ContainerCreate, host: HostConfig, endpoint: EndpointSettings) -> Iterator[str]:
    yield from missing_storage(host)
    yield from missing_network(host, endpoint)
    if host.restart_policy.name != "no":
        yield f"restart policy {host.restart_policy.name!r} (--restart)"
    if wants_health(request.healthcheck):
        yield "a health check (--health-cmd)"
    if host.runtime not in RUNTIMES:
        yield f"runtime {host.runtime!r} (--runtime)"
    if host.isolation not in ("", "default"):
        yield f"isolation {host.isolation!r} (--isolation)"
    if host.userns_mode not in ("", "host"):
        yield f"user namespace mode {host.userns_mode!r} (--userns)"
    if host.device_requests:
        yield "a device request (--gpus)"


def missing_storage(host: HostConfig) -> Iterator[str]:
    for point in mounts.requested(host):
        if point.type == mounts.VOLUME:
            yield f"a volume (mount of {point.target}; bind a directory of the host, or use a tmpfs)"
    if host.volumes_from:
        yield "--volumes-from"
    if host.storage_opt:
        yield "--storage-opt"


def missing_network(host: HostConfig, endpoint: EndpointSettings) -> Iterator[str]:
    if host.links or endpoint.links:
        yield "--link"
    if endpoint.ipam_config and any(endpoint.ipam_config.values()):
        yield "an address of one's own choice (--ip)"
    if endpoint.aliases:
        yield "a network alias (--network-alias)"


def wants_health(check: HealthConfig | None) -> bool:
    return check is not None and bool(check.test) and check.test != ["NONE"]
