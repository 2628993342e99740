"""Mounts: what a user may ask for (``-v``, ``--mount``, ``--tmpfs``).

Docker's texts are kept, because clients and their tests match on them.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from wherry.errors import InvalidArgument
from wherry.messages.container import HostConfig, Mount, TmpfsOptions
from wherry.runtime.mount_options import PROPAGATION, RPRIVATE, tmpfs_options
from wherry.runtime.steps import DEFAULT, Cause, asked
from wherry.values.paths import check_length, cleaned

BIND, VOLUME, TMPFS = "bind", "volume", "tmpfs"
PROC = "/proc"
NO_DIRECTORIES = (PROC, "/dev/pts", "/dev/mqueue")

BIND_PROPAGATION = frozenset(PROPAGATION) - {"unbindable", "runbindable"}
MODE_KINDS = (
    frozenset({"rw", "ro"}),
    frozenset({"z", "Z"}),
    BIND_PROPAGATION,
    frozenset({"nocopy"}),
    frozenset({"consistent", "cached", "delegated"}),
)

MOST_DIRECTORIES = 8192
PERMISSIONS = 0o7777


@dataclass(frozen=True, slots=True)
class MountPoint:
    """One thing to be mounted into a container, as the request has it.

    ``source`` is a path on the host for a bind, and for a volume once the engine has found its directory;
    ``name`` is a volume's (empty for an anonymous one); ``data`` are a tmpfs's options.
    """

    type: str
    target: str
    source: str = ""
    name: str = ""
    writable: bool = True
    mode: str = ""
    propagation: str = ""
    propagation_asked: bool = False
    recursive: bool = True
    read_only_recursive: bool = True
    create_source: bool = False
    copy: bool = True
    data: str = ""
    cause: Cause = DEFAULT


# ---------------------------------------------------------------- what may be asked


def requested(host: HostConfig) -> tuple[MountPoint, ...]:
    """All that ``Binds``, ``Mounts`` and ``Tmpfs`` ask for, checked as far as that needs no look at the host."""
    points = [
        *(parse_bind(raw) for raw in host.binds or ()),
        *(parse_mount(mount) for mount in host.mounts or ()),
    ]
    check_duplicates(points)
    check_depth(points)
    further = [tmpfs_point(target, data) for target, data in (host.tmpfs or {}).items()]
    check_duplicates([*(point for point in points if point.type != TMPFS), *distinct(further)])
    return (*points, *further)


def check_duplicates(points: Iterable[MountPoint]) -> None:
    seen: set[str] = set()
    for point in points:
        if point.target in seen:
            raise InvalidArgument(f"Duplicate mount point: {point.target}")
        seen.add(point.target)


def distinct(points: Iterable[MountPoint]) -> Iterable[MountPoint]:
    """One for each target: Docker minds no ``--tmpfs`` over another, or over that of a ``--mount``."""
    return {point.target: point for point in points}.values()


def check_depth(points: Iterable[MountPoint]) -> None:
    """Each directory that is missing on the way to a source is a step."""
    if sum(point.source.count("/") for point in points if point.create_source) > MOST_DIRECTORIES:
        raise InvalidArgument(
            f"invalid Binds: more than {MOST_DIRECTORIES} directories on the way to their sources"
        )


def parse_bind(raw: str) -> MountPoint:
    """``[source:]target[:mode]`` of ``-v``; a relative source is a volume's name."""
    parts = raw.split(":", 3)
    if not parts[0] or len(parts) > 3 or (len(parts) == 2 and valid_mode(parts[1])):
        raise InvalidArgument(f"invalid volume specification: '{raw}'")
    source, target, mode = ("", parts[0], "") if len(parts) == 1 else (parts[0], parts[1], "".join(parts[2:]))
    if not valid_mode(mode):
        raise InvalidArgument(f"invalid mode: {mode}")
    try:
        return bind_point(source, target, mode, asked(f"-v {raw}"))
    except InvalidArgument as error:
        raise InvalidArgument(f"invalid volume specification: '{raw}': {error.message}") from error


def bind_point(source: str, target: str, mode: str, cause: Cause) -> MountPoint:
    kind = BIND if source.startswith("/") else VOLUME
    check_target(kind, target)
    if kind == BIND:
        check_absolute(kind, source)
    words = mode.split(",") if mode else []
    propagation = next((word for word in words if word in BIND_PROPAGATION), "")
    if propagation and kind == VOLUME:
        raise mount_error(kind, "field BindOptions must not be specified")
    if "nocopy" in words and kind == BIND:
        raise mount_error(kind, "field VolumeOptions must not be specified")
    if kind == VOLUME and not source and "ro" in words:
        raise mount_error(kind, "must not set ReadOnly mode when using anonymous volumes")
    return MountPoint(
        type=kind,
        target=cleaned(target),
        source=cleaned(source) if kind == BIND else "",
        name=source if kind == VOLUME else "",
        writable="ro" not in words,
        mode=mode,
        propagation=propagation or (RPRIVATE if kind == BIND else ""),
        propagation_asked=bool(propagation),
        create_source=True,
        copy="nocopy" not in words,
        cause=cause,
    )


def valid_mode(mode: str) -> bool:
    """Comma separated words, at most one of each kind. The empty mode is valid."""
    if not mode:
        return True
    words = mode.split(",")
    kinds = [next((index for index, kind in enumerate(MODE_KINDS) if word in kind), -1) for word in words]
    return -1 not in kinds and len(kinds) == len(set(kinds))


def clean_target(path: str) -> str:
    """Where a volume that is declared by its path alone goes; images have relative ones, too."""
    return cleaned(f"/{path}")


def mount_error(kind: str, text: str) -> InvalidArgument:
    return InvalidArgument(f'invalid mount config for type "{kind}": {text}')


def check_target(kind: str, target: str) -> None:
    if not target:
        raise mount_error(kind, "field Target must not be empty")
    if posixpath.normpath(target).lstrip("/") in ("", "."):
        raise mount_error(kind, "invalid specification: destination can't be '/'")
    check_absolute(kind, target)


def check_places(points: Iterable[MountPoint]) -> None:
    """InvalidArgument for what needs a directory of its own where nobody can make one. Looks at the host's /proc."""
    for point in points:
        if point.type == TMPFS and point.target == PROC:
            raise InvalidArgument(
                f"invalid Tmpfs or Mounts: a tmpfs on {PROC} would hide what the kernel shows there"
            )
        place = next((p for p in NO_DIRECTORIES if PurePosixPath(point.target).is_relative_to(p)), "")
        if place and (point.type == VOLUME or (point.type == TMPFS and not os.path.isdir(point.target))):
            field = "Volumes" if point.type == VOLUME else "Tmpfs or Mounts"
            raise InvalidArgument(f"invalid {field}: {point.target}: no directory can be made in {place}")


def check_absolute(kind: str, path: str) -> None:
    if not path.startswith("/"):
        raise mount_error(kind, f"invalid mount path: '{path}' mount path must be absolute")
    try:
        check_length(path, "mount path")
    except InvalidArgument as error:
        raise mount_error(kind, error.message) from None


def parse_mount(mount: Mount) -> MountPoint:
    """An entry of ``HostConfig.Mounts`` (``--mount``): bind, volume or tmpfs."""
    check_target(mount.type, mount.target)
    builders = {BIND: bind_mount, VOLUME: volume_mount, TMPFS: tmpfs_mount}
    builder = builders.get(mount.type)
    if builder is None:
        raise mount_error(mount.type, "mount type unknown")
    check_options(mount)
    point = builder(mount)
    source = f"source={mount.source}," if mount.source else ""
    cause = asked(f"--mount type={mount.type},{source}target={mount.target}")
    return replace(point, target=cleaned(mount.target), writable=not mount.read_only, cause=cause)


def check_options(mount: Mount) -> None:
    """No options of another type's."""
    theirs = (
        (BIND, "BindOptions", mount.bind_options),
        (VOLUME, "VolumeOptions", mount.volume_options),
        (TMPFS, "TmpfsOptions", mount.tmpfs_options),
    )
    for kind, name, options in theirs:
        if options is not None and kind != mount.type:
            raise InvalidArgument(f'{name} must not be specified on mount type "{mount.type}"')


def bind_mount(mount: Mount) -> MountPoint:
    if not mount.source:
        raise mount_error(BIND, "field Source must not be empty")
    if mount.bind_options and mount.bind_options.propagation not in BIND_PROPAGATION | {""}:
        raise mount_error(BIND, f"invalid propagation mode: {mount.bind_options.propagation}")
    check_absolute(BIND, mount.source)
    point = MountPoint(BIND, mount.target, source=cleaned(mount.source), propagation=RPRIVATE)
    return with_bind_options(point, mount)


def with_bind_options(point: MountPoint, mount: Mount) -> MountPoint:
    options = mount.bind_options
    if options is None:
        return point
    if options.read_only_non_recursive and options.read_only_force_recursive:
        raise mount_error(BIND, "mount options conflict: ReadOnlyNonRecursive && ReadOnlyForceRecursive")
    if not mount.read_only and options.read_only_non_recursive:
        raise mount_error(BIND, "mount options conflict: !ReadOnly && BindOptions.ReadOnlyNonRecursive")
    if not mount.read_only and options.read_only_force_recursive:
        raise mount_error(BIND, "mount options conflict: !ReadOnly && BindOptions.ReadOnlyForceRecursive")
    return replace(
        point,
        propagation=options.propagation or RPRIVATE,
        propagation_asked=bool(options.propagation),
        recursive=not options.non_recursive,
        read_only_recursive=not options.read_only_non_recursive,
        create_source=options.create_mountpoint,
    )


def volume_mount(mount: Mount) -> MountPoint:
    if mount.read_only and not mount.source:
        raise mount_error(VOLUME, "must not set ReadOnly mode when using anonymous volumes")
    no_copy = mount.volume_options is not None and mount.volume_options.no_copy
    return MountPoint(VOLUME, mount.target, name=mount.source, copy=not no_copy)


def tmpfs_mount(mount: Mount) -> MountPoint:
    if mount.source:
        raise mount_error(TMPFS, "field Source must not be specified")
    return MountPoint(TMPFS, mount.target, data=tmpfs_data(mount.tmpfs_options, read_only=mount.read_only))


def tmpfs_data(options: TmpfsOptions | None, *, read_only: bool) -> str:
    """``TmpfsOptions`` as mount options, in Docker's order."""
    words = ["ro"] if read_only else []
    if options is not None and options.mode:
        words.append(f"mode={options.mode & PERMISSIONS:o}")  # the kernel takes no others, either
    if options is not None and options.size_bytes < 0:
        raise mount_error(TMPFS, f"invalid TmpfsOptions.SizeBytes: {options.size_bytes}")
    if options is not None and options.size_bytes:
        words.append(f"size={size_word(options.size_bytes)}")
    for option in (options.options if options is not None else None) or ():
        if not 1 <= len(option) <= 2:
            raise mount_error(TMPFS, "invalid option array length")
        if option[0] not in ("exec", "noexec"):
            raise mount_error(TMPFS, f"invalid option: {option[0]}")
        words.append("=".join(option))
    return ",".join(words)


def size_word(size: int) -> str:
    """A number of bytes in the largest unit that divides it: ``64m``."""
    for suffix, unit in (("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)):
        if size % unit == 0:
            return f"{size // unit}{suffix}"
    return str(size)


def tmpfs_point(target: str, data: str) -> MountPoint:
    """An entry of ``HostConfig.Tmpfs`` (``--tmpfs``)."""
    if posixpath.normpath(target).lstrip("/") in ("", "."):
        raise InvalidArgument("invalid specification: destination can't be '/'")
    if not target.startswith("/"):
        raise InvalidArgument(f"invalid mount path: '{target}' mount path must be absolute")
    check_length(target, "Tmpfs")
    tmpfs_options(data)
    cause = asked(f"--tmpfs {target}{':' + data if data else ''}")
    return MountPoint(TMPFS, cleaned(target), data=data, cause=cause)


def missing_source(point: MountPoint) -> InvalidArgument:
    """The error for a ``--mount type=bind`` whose source is not there."""
    return mount_error(BIND, f"bind source path does not exist: {point.source}")


def depth(target: str) -> int:
    """How deep a mount point lies: Docker mounts shallow ones first."""
    return target.rstrip("/").count("/")


def in_mount_order(points: Iterable[MountPoint]) -> list[MountPoint]:
    """Shallow before deep, and by name where that is equal, so that a parent never hides its child."""
    return sorted(points, key=lambda point: (depth(point.target), point.target))
