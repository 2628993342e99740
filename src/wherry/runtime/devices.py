"""Devices: which nodes a container has, and which it may open. OCI runtime-spec, config-linux.md "Devices"."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from wherry.errors import InvalidArgument
from wherry.messages.container import DeviceMapping
from wherry.runtime import oci_spec as oci
from wherry.runtime.steps import DEFAULT, Cause, MakeNode, Step, Symlink, asked
from wherry.values.devices import ANY, parse_device_rule

NOT_FROM_HOST = frozenset({"pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"})

# config-linux.md "Default Devices", with their numbers
DEFAULT_NODES = (
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
)
DEFAULT_LINKS = (
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    ("/proc/kcore", "/dev/core"),
    ("pts/ptmx", "/dev/ptmx"),
)


@dataclass(frozen=True, slots=True)
class HostDevice:
    """A device of the host, and where and how the container may have it."""

    device: oci.Device
    access: str
    cause: Cause


@cache
def default_steps() -> tuple[Step, ...]:
    """The nodes and links that every container has in /dev."""
    nodes = (MakeNode(f"/dev/{name}", "c", major, minor) for name, major, minor in DEFAULT_NODES)
    return (*nodes, *(Symlink(target, path) for target, path in DEFAULT_LINKS))


def device_at(path: str) -> oci.Device | None:
    """The device node at a path of the host, or None where there is something else."""
    status = os.stat(path, follow_symlinks=False)
    kinds = {stat.S_IFCHR: "c", stat.S_IFBLK: "b", stat.S_IFIFO: "p"}
    kind = kinds.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        return None
    number = 0 if kind == "p" else status.st_rdev
    return oci.Device(
        path=path,
        type=kind,
        major=os.major(number),
        minor=os.minor(number),
        file_mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
    )


def devices_below(path: str) -> Iterator[oci.Device]:
    """Every device node in a directory of the host, deep, in order of name."""
    for directory, subdirectories, names in os.walk(path):
        subdirectories[:] = sorted(name for name in subdirectories if name not in NOT_FROM_HOST)
        for name in sorted(names):
            found = look(os.path.join(directory, name))
            if found is not None:
                yield found


def look(path: str) -> oci.Device | None:
    try:
        return device_at(path)
    except OSError:
        return None  # went away, or may not be seen: not offered


def requested(request: DeviceMapping) -> tuple[HostDevice, ...]:
    """``--device host[:container[:rwm]]``, a node or a directory full of nodes. Looks at the host."""
    real = os.path.realpath(request.path_on_host)
    inside = request.path_in_container or request.path_on_host
    access = request.cgroup_permissions or "rwm"
    cause = asked(f"--device {request.path_on_host}:{inside}:{access}")
    found = list(devices_below(real)) if os.path.isdir(real) else [one_device(request, real)]
    if not found:
        raise gathering_error(request, "no device nodes found")
    return tuple(HostDevice(moved(device, real, inside), access, cause) for device in found)


def one_device(request: DeviceMapping, real: str) -> oci.Device:
    try:
        device = device_at(real)
    except FileNotFoundError as error:
        raise gathering_error(request, "no such file or directory") from error
    if device is None:
        raise gathering_error(request, "not a device node")
    return device


def moved(device: oci.Device, real: str, inside: str) -> oci.Device:
    device.path = inside + device.path.removeprefix(real)
    return device


def gathering_error(request: DeviceMapping, reason: str) -> InvalidArgument:
    return InvalidArgument(
        f'error gathering device information while adding custom device "{request.path_on_host}": {reason}'
    )


def every_device(root: str = "/dev") -> tuple[HostDevice, ...]:
    """All of the host's devices, for ``--privileged``."""
    cause = asked("--privileged")
    found = (d for d in devices_below(root) if d.type in "cb" and d.path not in ("/dev/console", "/dev/ptmx"))
    return tuple(HostDevice(device, "rwm", cause) for device in found)


def parse_rule(text: str) -> oci.DeviceRule:
    """``--device-cgroup-rule 'c 13:* rwm'``."""
    kind, major, minor, access = parse_device_rule(text)
    return oci.DeviceRule(allow=True, type=kind, major=major, minor=minor, access=access)


@cache
def docker_rules() -> tuple[oci.DeviceRule, ...]:
    """Docker's own rules in a spec: nothing, then null, zero, random, urandom, tty and console; no fuse."""
    allowed = ((1, 5), (1, 3), (1, 9), (1, 8), (5, 0), (5, 1))
    return (
        oci.DeviceRule(allow=False, access="rwm"),
        *(oci.DeviceRule(allow=True, type="c", major=a, minor=b, access="rwm") for a, b in allowed),
        oci.DeviceRule(allow=False, type="c", major=10, minor=229, access="rwm"),
    )


@cache
def runtime_rules() -> tuple[oci.DeviceRule, ...]:
    """What runc allows: mknod of anything, the default devices, terminals, and /dev/net/tun."""
    default = ((1, 3), (1, 8), (1, 7), (5, 0), (1, 5), (1, 9), (136, ANY), (5, 2), (10, 200))
    return (
        oci.DeviceRule(allow=True, type="c", major=ANY, minor=ANY, access="m"),
        oci.DeviceRule(allow=True, type="b", major=ANY, minor=ANY, access="m"),
        *(oci.DeviceRule(allow=True, type="c", major=a, minor=b, access="rwm") for a, b in default),
    )


def node_step(device: oci.Device, cause: Cause = DEFAULT) -> MakeNode:
    """The step that makes a device node in the container. OCI runtime-spec, config-linux.md "Devices"."""
    return MakeNode(
        device.path,
        "c" if device.type == "u" else device.type,
        device.major,
        device.minor,
        0o666 if device.file_mode is None else device.file_mode & 0o7777,
        device.uid or 0,
        device.gid or 0,
        cause=cause,
    )
