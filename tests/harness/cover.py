"""The machine's whole tree under an overlay: what is written goes to memory, and nothing outside can change."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

KERNELS = {  # what has no files of its own: it comes as it is
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "efivarfs",
    "fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "rpc_pipefs", "securityfs", "sysfs",
    "tracefs",
}  # fmt: skip
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC = 1, 32, 4096, 16384


class MountPoint(NamedTuple):
    """One line of mountinfo, as far as it matters here. proc(5)."""

    path: Path
    fstype: str


def mount(source: str | Path, target: Path, fstype: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2). OSError, with the target."""
    words = (str(source).encode(), str(target).encode(), fstype.encode())
    if ctypes.CDLL(None, use_errno=True).mount(*words, ctypes.c_ulong(flags), data.encode()) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


def mount_points() -> list[MountPoint]:
    """What is mounted, each place once and outer ones first."""
    found = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        path = Path(fields.split()[4].encode().decode("unicode_escape"))
        found[path] = MountPoint(path, rest.split()[0])
    return sorted(found.values(), key=lambda point: point.path.parts)


def outermost(points: list[MountPoint], apart: Path) -> Iterator[MountPoint]:
    """Those to be seen to: all but what lies in ``apart``, or in a filesystem of the kernel's, which comes whole."""
    whole = apart
    for point in points:
        if point.path.is_relative_to(whole) or point.path.is_relative_to(apart) or not point.path.exists():
            continue
        if point.fstype in KERNELS:
            whole = point.path
        yield point


def cover_one(point: MountPoint, target: Path, changes: Path) -> None:
    """An overlay where there can be one, else the thing itself; a file that is mounted by itself is only to be read."""
    if point.fstype in KERNELS:
        mount(point.path, target, flags=MS_BIND | MS_REC)
    elif point.path.is_dir():
        upper, status = changes / "upper", point.path.stat()  # the directory itself is as the upper one is
        upper.mkdir(parents=True)
        os.chown(upper, status.st_uid, status.st_gid)
        upper.chmod(status.st_mode)
        (changes / "work").mkdir()
        above = f"upperdir={upper},workdir={changes}/work"
        mount("overlay", target, "overlay", data=f"lowerdir={point.path},{above}")
    else:
        mount(point.path, target, flags=MS_BIND)
        mount(point.path, target, flags=MS_BIND | MS_REMOUNT | MS_RDONLY)


def cover_machine(base: Path) -> None:
    """Make the covered tree the root of this mount namespace. ``base`` alone is the machine's own; it is used, and left
    as it was."""
    root, changes = base / "root", base / "changes"
    root.mkdir()
    changes.mkdir()
    points = mount_points()
    mount("tmpfs", changes, "tmpfs")
    for number, point in enumerate(outermost(points, base)):
        cover_one(point, root / point.path.relative_to("/"), changes / str(number))
    mount(base, root / base.relative_to("/"), flags=MS_BIND)
    os.chdir(root)
    subprocess.run(["pivot_root", ".", "."], check=True)
    subprocess.run(["umount", "-l", "."], check=True)
    os.chdir("/")
    root.rmdir()
    changes.rmdir()
