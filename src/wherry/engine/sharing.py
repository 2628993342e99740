"""Containers that another one shares namespaces with. Pure."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from wherry.errors import InvalidArgument
from wherry.messages.container import HostConfig

CONTAINER = "container:"


def by_id(host: HostConfig, id_of: Callable[[str], str]) -> HostConfig:
    """The others by their ids, so that it stays the same ones whatever they are called later.

    ``id_of`` gives "" where there is none. InvalidArgument for such a one; of networks, as with Docker, at start.
    """
    return replace(
        host,
        network_mode=mode_by_id(host.network_mode, id_of) or host.network_mode,
        ipc_mode=found(host.ipc_mode, id_of),
        pid_mode=found(host.pid_mode, id_of),
    )


def found(mode: str, id_of: Callable[[str], str]) -> str:
    wanted = mode_by_id(mode, id_of)
    if mode and not wanted:
        raise InvalidArgument(f"No such container: {mode.removeprefix(CONTAINER)}")
    return wanted


def mode_by_id(mode: str, id_of: Callable[[str], str]) -> str:
    """The mode with the container's id; "" where there is none such. What is no container's stays."""
    other = mode.removeprefix(CONTAINER)
    if other == mode or not other:
        return mode
    id = id_of(other)
    return f"{CONTAINER}{id}" if id else ""
