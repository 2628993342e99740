"""Propagation of binds: which mounts pass between host and container, and what their source must be for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from wherry.errors import InvalidArgument
from wherry.linux import mountinfo
from wherry.linux.mountinfo import MountEntry
from wherry.runtime.mount_options import RSHARED, RSLAVE
from wherry.runtime.mounts import BIND, MountPoint

MOST_HELD = 256  # native/launch.h, HELD_MAX
SLAVES, PEERS = frozenset({"slave", RSLAVE}), frozenset({"shared", RSHARED})


def within_daemon_root(point: MountPoint, root: str) -> MountPoint:
    """A bind with the engine's own mounts in it or around it lets go of them when the engine does: as a slave.

    InvalidArgument, in Docker's words, where the request wants to keep hold of them.
    """
    if point.type != BIND or not overlap(point.source, root):
        return point
    if not point.propagation_asked or point.propagation == RSLAVE:
        return replace(point, propagation=RSLAVE, propagation_asked=False)  # whether there is a peer or not
    if point.propagation not in (RSLAVE, RSHARED):
        raise InvalidArgument(
            'invalid mount config: must use either propagation mode "rslave" or "rshared" when mount source is '
            f'within the daemon root, daemon root: "{root}", bind mount source: "{point.source}", '
            f'propagation: "{point.propagation}"'
        )
    return point


def overlap(path: str, other: str) -> bool:
    """Whether one of two paths is within the other."""
    one, two = PurePosixPath(path), PurePosixPath(other)
    return one.is_relative_to(two) or two.is_relative_to(one)


def check_count(points: Iterable[MountPoint]) -> None:
    """InvalidArgument for more such binds than a launcher holds while it makes the others."""
    held = sum(point.type == BIND and point.propagation in SLAVES | PEERS for point in points)
    if held > MOST_HELD:
        raise InvalidArgument(
            f"invalid Binds or Mounts: {held} slave or shared binds are more than {MOST_HELD} (those of the engine's "
            "own directories, and of directories above them, are slaves)"
        )


def check_sources(points: Iterable[MountPoint]) -> None:
    """Refuse, at start as Docker, a propagation that would do nothing. Looks at the host, where one is asked for."""
    asked = [p for p in points if p.propagation_asked and p.propagation in SLAVES | PEERS]
    table = mountinfo.parse(mountinfo.MOUNTS.read_bytes()) if asked else ()
    for point in asked:
        check_source(point, mountinfo.showing(Path(point.source).resolve(), table))


def check_source(point: MountPoint, mount: MountEntry | None) -> None:
    """InvalidArgument, in Docker's words, where the mount that a source lies on has no peers."""
    if mount is None:  # in a chroot
        raise InvalidArgument(f"Could not find source mount of {point.source}")
    wanted = ("shared",) if point.propagation in PEERS else ("shared", "slave")
    if not (mount.shared or (mount.receives and "slave" in wanted)):
        raise InvalidArgument(
            f"path {point.source} is mounted on {mount.target} but it is not a {' or '.join(wanted)} mount"
        )
