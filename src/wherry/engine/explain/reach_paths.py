"""What a container can do with a path of the host that is bound into it, in words. Looks at the host."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from enum import Enum
from typing import Self

from wherry.linux import mountinfo
from wherry.runtime.mounts import MountPoint

ROOT = ("", "0", "root")
ENGINES = frozenset(
    {"docker.sock", "wherry.sock", "containerd.sock", "podman.sock", "crio.sock", "cri-dockerd.sock"}
)
# Who changes one of these, or what is above it, becomes root.
MAKE_ROOT = (
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/opt", "/proc", "/root", "/sbin", "/sys", "/usr",
    "/usr/local", "/var", "/etc/passwd", "/etc/shadow", "/etc/group", "/etc/sudoers", "/etc/crontab",
    "/etc/ld.so.preload", "/etc/profile",
)  # fmt: skip
# And who changes anything in these.
ALL_MAKES_ROOT = (
    "/bin", "/boot", "/lib", "/lib64", "/proc/sys", "/root", "/sbin", "/usr/bin", "/usr/lib", "/usr/lib64",
    "/usr/local/bin", "/usr/local/sbin", "/usr/sbin", "/etc/apt", "/etc/cron.d", "/etc/cron.daily",
    "/etc/cron.hourly", "/etc/cron.weekly", "/etc/init.d", "/etc/ld.so.conf.d", "/etc/pam.d", "/etc/profile.d",
    "/etc/ssh", "/etc/sudoers.d", "/etc/systemd", "/etc/udev", "/var/lib/docker", "/var/lib/containerd",
    "/var/spool/cron",
)  # fmt: skip
SECRETS = ("/etc", "/root", "/home", "/proc", "/var")
SOCKETS = ("/run", "/var/run")


class Kind(Enum):
    """What a path of the host is."""

    SOCKET = "socket"
    FILE = "file"
    DIRECTORY = "directory"


@dataclass(frozen=True, slots=True)
class Place:
    """What a bind shows. ``path`` is where its source leads, by whatever links; ``open_below``: the mount is read-only,
    and others below it are not."""

    point: MountPoint
    path: str
    kind: Kind
    open_below: bool = False

    @classmethod
    def of(cls, point: MountPoint) -> Self:
        """Looks at the host; what is not there yet will be a directory."""
        path = os.path.realpath(point.source)
        partly = not point.writable and point.recursive and not point.read_only_recursive
        return cls(point, path, kind_of(path), partly and has_mounts_below(path))

    @property
    def is_given(self) -> bool:
        """Worth a warning: it can be written to, is a socket, or shows what is secret."""
        changes = self.point.writable or self.open_below
        return changes or self.kind is Kind.SOCKET or holds(self.path, (*SECRETS, *SOCKETS))


def kind_of(path: str) -> Kind:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return Kind.DIRECTORY
    return Kind.SOCKET if stat.S_ISSOCK(mode) else Kind.DIRECTORY if stat.S_ISDIR(mode) else Kind.FILE


def has_mounts_below(path: str) -> bool:
    within = f"{path.rstrip('/')}/"
    mounts = mountinfo.parse(mountinfo.MOUNTS.read_bytes())
    return any(mount.target.startswith(within) and not mount.read_only for mount in mounts)


def holds(path: str, folders: tuple[str, ...]) -> bool:
    """Whether a path is one of the folders, or above it."""
    return path == "/" or any(folder == path or folder.startswith(f"{path}/") for folder in folders)


def lies_in(path: str, folders: tuple[str, ...]) -> bool:
    """Whether a path is one of the folders, or below it."""
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def bound(place: Place, user: str, own: tuple[str, ...] = ()) -> str:
    """What ``user`` of a container can do there. ``own`` are the engine's folders."""
    path, limited = place.path, "" if user in ROOT else f", as far as user {user} may"
    if place.kind is Kind.SOCKET:
        return socket_words(path)
    words = f"It can change {named(place)}"
    if place.kind is Kind.DIRECTORY:
        words = f"It can change, add and delete files in {named(place)}"
    if not place.point.writable:
        words = f"It can read all files in {named(place)}"
        words += ", secrets among them" if holds(path, SECRETS) else ""
    words += limited
    if place.open_below:
        words += ", and change those on other filesystems that are mounted below it"
    elif place.point.writable and not limited and makes_root(path, own):
        words += ", which is enough to become root on the host"
    if holds(path, SOCKETS):
        words += "; and talk to the services whose sockets are there"
    if place.point.propagation in ("shared", "rshared"):
        words += "; what it mounts there, if it may mount, appears on the host"
    return f"{words}."


def makes_root(path: str, own: tuple[str, ...]) -> bool:
    return holds(path, (*MAKE_ROOT, *own)) or lies_in(path, (*ALL_MAKES_ROOT, *own))


def named(place: Place) -> str:
    """As it was written, and as what it is where that is another path."""
    if place.path == "/":
        whole = "the host's whole filesystem"
        return whole if place.point.source == "/" else f"{whole} (by {place.point.source})"
    file = "file " if place.kind is Kind.FILE else ""
    led = f" (by {place.point.source})" if place.path != place.point.source else ""
    return f"the host's {file}{place.path}{led}"


def socket_words(path: str) -> str:
    if os.path.basename(path) in ENGINES:
        return (
            f"It can give orders to the engine behind {path}, such as to start a privileged container, "
            "which is enough to become root on the host."
        )
    return f"It can talk to the service behind {path}, with whatever that service allows."
