"""The mounts that a container is to have, by its request and by where the engine keeps its own. Pure."""

from __future__ import annotations

from wherry.engine.config import EngineConfig
from wherry.messages.container import HostConfig
from wherry.runtime import mounts
from wherry.runtime.mounts import MountPoint
from wherry.runtime.propagation import within_daemon_root


def wanted_mounts(
    host: HostConfig, config: EngineConfig, *, recursive_read_only: bool = True
) -> tuple[MountPoint, ...]:
    """InvalidArgument, in Docker's words, for what cannot be; ``recursive_read_only`` as in ``mounts.requested``."""
    points = mounts.requested(host, recursive_read_only=recursive_read_only)
    return tuple(within_daemon_root(point, str(config.data_root)) for point in points)
