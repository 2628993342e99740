"""The mounts that a container is to have, by its request and by where the engine keeps its own. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from wherry.engine.config import EngineConfig
from wherry.messages.container import Config, HostConfig
from wherry.runtime import mounts
from wherry.runtime.mounts import MountPoint
from wherry.runtime.propagation import check_count, within_daemon_root
from wherry.runtime.steps import Cause, Origin, asked

Points = tuple[MountPoint, ...]


def wanted_mounts(host: HostConfig, config: EngineConfig, *, recursive_read_only: bool) -> Points:
    """What is asked for, as ``placed`` has it. InvalidArgument, in Docker's words, for what cannot be."""
    return placed(mounts.requested(host), config, recursive_read_only=recursive_read_only)


def placed(points: Points, config: EngineConfig, *, recursive_read_only: bool) -> Points:
    """As they are to be here. InvalidArgument, in Docker's words, for what would keep hold of the engine's own mounts.

    ``recursive_read_only``: whether a read-only bind is so with all that is mounted below it, where it does not say.
    """
    if not recursive_read_only:
        points = tuple(replace(point, read_only_recursive=False) for point in points)
    points = tuple(within_daemon_root(point, str(config.data_root)) for point in points)
    check_count(points)
    return points


def declared_volumes(
    config: Config, of_image: Iterable[str] | None, points: Iterable[MountPoint], root: str
) -> Iterator[MountPoint]:
    """The volumes that an image declares, or a request by ``-v /data``, where nothing else is mounted.

    They are directories of the root itself as yet, ``root`` being where that is; so they hold what the image has there.
    """
    taken, by_image = {point.target for point in points}, set(of_image or ())
    for path in config.volumes or ():
        target = mounts.clean_target(path)
        mounts.check_target(mounts.VOLUME, target)
        if target not in taken:
            taken.add(target)
            cause = Cause(Origin.IMAGE, "VOLUME") if path in by_image else asked(f"-v {path}")
            yield MountPoint(mounts.VOLUME, target, source=f"{root}{target}", recursive=False, cause=cause)
