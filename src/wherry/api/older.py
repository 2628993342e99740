"""What a request of an older API means in the words of today's. Pure. Engine API, version history.

A client that speaks an older version was written when some fields were not there, and counts on what was done then.
"""

from __future__ import annotations

from typing import TypeVar

from msgspec.structs import replace

from wherry.api.version import Version
from wherry.errors import InvalidArgument
from wherry.messages.container import (
    BindOptions,
    ContainerCreate,
    EndpointSettings,
    HealthConfig,
    HostConfig,
    Mount,
    NetworkingConfig,
)
from wherry.messages.exec import ExecCreate, ExecStart

AnyExec = TypeVar("AnyExec", ExecCreate, ExecStart)

LEAST_MEMORY = 6 << 20
MAC_ADDRESS_MOVED = (
    "The container-wide MacAddress field is now deprecated. "
    "It should be specified in EndpointsConfig instead."
)


def in_words_of_today(request: ContainerCreate, version: Version) -> ContainerCreate:
    """The request as its client means it. InvalidArgument for what it cannot mean."""
    if version >= (1, 48):
        return without_kernel_memory(request)
    if version < (1, 44):
        check_mac_address(request)
    return replace(
        request,
        host_config=host_config(request.host_config or HostConfig(), version),
        networking_config=networking(request.networking_config, version),
        healthcheck=healthcheck(request.healthcheck, version),
    )


def exec_of_today(request: AnyExec, version: Version) -> AnyExec:
    """The same of an exec, made or started: a terminal has a size from the first since 1.42."""
    return request if version >= (1, 42) else replace(request, console_size=None)


def deprecated(request: ContainerCreate, version: Version) -> list[str]:
    """Warnings of what a client of this version should say in another way."""
    return [MAC_ADDRESS_MOVED] if request.mac_address and version >= (1, 44) else []


def check_mac_address(request: ContainerCreate) -> None:
    """Since 1.44 one that no network has a use for is only ignored."""
    mode = (request.host_config or HostConfig()).network_mode
    if request.mac_address and (mode in ("none", "host") or mode.startswith("container:")):
        raise InvalidArgument("conflicting options: mac-address and the network mode")


def check_kernel_memory(limit: int) -> None:
    """Until 1.42 there was such a limit, with a least value."""
    if 0 < limit < LEAST_MEMORY:
        raise InvalidArgument("Minimum kernel memory limit allowed is 6MB")


def without_kernel_memory(request: ContainerCreate) -> ContainerCreate:
    host = request.host_config
    if host is None or not host.kernel_memory:
        return request
    return replace(request, host_config=replace(host, kernel_memory=0))


def platform(asked: str | None, version: Version) -> str | None:
    """The platform of an image has counted since 1.41."""
    return asked or None if version >= (1, 41) else None


def recursive_read_only(version: Version) -> bool:
    """Before 1.44 what is mounted below a read-only bind stays writable."""
    return version >= (1, 44)


def host_config(host: HostConfig, version: Version) -> HostConfig:
    mounts = [mount_of(mount, version) for mount in host.mounts] if host.mounts else host.mounts
    host = replace(host, mounts=mounts)
    if version < (1, 43):
        host = replace(host, annotations=None)
    if version < (1, 42):
        check_kernel_memory(host.kernel_memory)
        host = replace(host, console_size=(0, 0))
    else:
        host = replace(host, kernel_memory=0)
    if version < (1, 40):
        host = replace(host, ipc_mode=host.ipc_mode or "shareable")
    return host


def mount_of(mount: Mount, version: Version) -> Mount:
    if mount.bind_options is not None:
        mount = replace(mount, bind_options=bind_options(mount, mount.bind_options, version))
    if version < (1, 42) and mount.type != "tmpfs":  # which nobody looked at
        mount = replace(mount, tmpfs_options=None)
    return mount


def bind_options(mount: Mount, options: BindOptions, version: Version) -> BindOptions:
    if version < (1, 44):
        if options.read_only_force_recursive:  # to ignore it would be to leave writable what is not to be
            raise InvalidArgument("BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer")
        options = replace(options, read_only_non_recursive=mount.read_only or options.read_only_non_recursive)
    if version < (1, 42):
        options = replace(options, create_mountpoint=False)
    if version < (1, 40):
        options = replace(options, non_recursive=False)
    return options


def healthcheck(check: HealthConfig | None, version: Version) -> HealthConfig | None:
    return replace(check, start_interval=0) if check is not None and version < (1, 44) else check


def networking(config: NetworkingConfig | None, version: Version) -> NetworkingConfig | None:
    endpoints = config.endpoints_config if config is not None else None
    if config is None or not endpoints:
        return config
    if version < (1, 44) and len(endpoints) > 1:
        names = ", ".join(endpoints)
        raise InvalidArgument(f"Container cannot be created with multiple network endpoints: {names}")
    found = {name: endpoint_of(settings, version) for name, settings in endpoints.items()}
    return replace(config, endpoints_config=found)


def endpoint_of(settings: EndpointSettings | None, version: Version) -> EndpointSettings | None:
    """Gateways have priorities since 1.48; before 1.44 only a container has a MAC address."""
    if settings is None:
        return None
    mac = settings.mac_address if version >= (1, 44) else ""
    return replace(settings, gw_priority=0, mac_address=mac)
