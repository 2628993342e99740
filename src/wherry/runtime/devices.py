"""Devices: which nodes a container has, and which it may open. OCI runtime-spec, config-linux.md "Devices"."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice

from wherry.errors import InvalidArgument
from wherry.linux.walk import DIRECTORY, walk
from wherry.messages.container import DeviceMapping
from wherry.runtime import oci_spec as oci
from wherry.runtime.steps import DEFAULT, Cause, MakeNode, Symlink, asked
from wherry.values.devices import ANY, parse_device_rule
from wherry.values.paths import cleaned

MOST_FILES = 10_000  # that one request may have looked at: more is no directory of devices
NOT_FROM_HOST = frozenset({"pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"})

KERNELS = frozenset({"/proc", "/sys", "/dev/pts", "/dev/mqueue"})

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
def default_steps() -> tuple[MakeNode | Symlink, ...]:
    """The nodes and links that every container has in /dev."""
    nodes = (MakeNode(f"/dev/{name}", "c", major, minor) for name, major, minor in DEFAULT_NODES)
    return (*nodes, *(Symlink(target, path) for target, path in DEFAULT_LINKS))


def device_at(path: str) -> oci.Device | None:
    """The device node at a path of the host, or None where there is something else."""
    return device_of(path, os.stat(path, follow_symlinks=False))


def device_of(path: str, status: os.stat_result) -> oci.Device | None:
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


def files_below(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """Every file in a directory of the host, in order of name. No link is followed: a container may write there."""
    top = os.open(path, DIRECTORY)
    try:
        for visit in walk(top):
            if stat.S_ISDIR(visit.status.st_mode):
                visit.descend = os.fsdecode(visit.name) not in NOT_FROM_HOST
            else:
                yield f"{path}/{os.fsdecode(visit.path)}", visit.status
    finally:
        os.close(top)


def requested(requests: Iterable[DeviceMapping]) -> tuple[HostDevice, ...]:
    """``--device host[:container[:rwm]]``: nodes, or directories full of nodes. Looks at the host."""
    left, found = MOST_FILES, list[HostDevice]()
    for request in requests:
        real = os.path.realpath(request.path_on_host)
        if os.path.isdir(real):
            files = list(islice(files_below(real), left + 1))
            left -= len(files)
            if left < 0:
                raise gathering_error(request, f"more than {MOST_FILES} files to look at")
            nodes = [node for file in files if (node := device_of(*file)) is not None]
        else:
            nodes = [one_device(request, real)]
        if not nodes:
            raise gathering_error(request, "no device nodes found")
        found += given(request, real, nodes)
    return tuple(found)


def given(request: DeviceMapping, real: str, nodes: Iterable[oci.Device]) -> Iterator[HostDevice]:
    inside = place_of(request)
    access = request.cgroup_permissions or "rwm"
    cause = asked(f"--device {request.path_on_host}:{inside}:{access}")
    return (HostDevice(moved(node, real, inside), access, cause) for node in nodes)


def place_of(request: DeviceMapping) -> str:
    """Where in the container it is to be."""
    return cleaned(request.path_in_container or request.path_on_host)


def check_places(requests: Iterable[DeviceMapping], mounted: Iterable[str]) -> None:
    """Refuse a place where no node can be, as far as the request tells. ``mounted`` are the targets of its mounts."""
    own = frozenset(mounted)
    known = own | no_directories()
    # Of these there are few, while a place may be a thousand directories deep.
    lengths = sorted(set(map(len, known)), reverse=True)
    for request in requests:
        inside = place_of(request)
        above = (inside[:length] for length in lengths if inside[length : length + 1] == "/")
        nearest = next((path for path in above if path in known), "")
        if inside == "/" or (nearest and nearest not in own):
            raise InvalidArgument(f"invalid PathInContainer of Devices: there can be no device at {inside}")


@cache
def no_directories() -> frozenset[str]:
    """What every container has, and can have no node in it: the kernel's file systems, and the files in /dev."""
    return KERNELS | {step.path for step in default_steps()}


def one_device(request: DeviceMapping, real: str) -> oci.Device:
    try:
        device = device_at(real)
    except OSError as error:
        raise gathering_error(request, os.strerror(error.errno or 0).lower()) from error
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
    found = (device_of(*file) for file in files_below(root))
    nodes = (node for node in found if node is not None and node.type in "cb")
    return tuple(
        HostDevice(node, "rwm", cause) for node in nodes if node.path not in ("/dev/console", "/dev/ptmx")
    )


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
