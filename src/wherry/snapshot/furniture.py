"""What Docker puts into every container's root beside the image's files, whatever the image has there.

``/.dockerenv``, by which programs tell that they run in a container, and ``/etc/mtab``, the list of mounts for programs
that are older than ``/proc/mounts``. It is there from the creation on and is the container's own then.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from errno import ELOOP, ENOTDIR
from pathlib import Path

from wherry.linux.walk import DIRECTORY
from wherry.snapshot.files import set_xattrs, xattrs_of

EMPTY_FILE, FOLDER, LINK = ".dockerenv", "etc", ("mtab", "/proc/mounts")


def furnish(tree: Path, layers: Iterable[Path]) -> None:
    """Fill a new writable tree, on ``layers``, topmost first. What is there already stays."""
    file = os.open(tree / EMPTY_FILE, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(file, 0o755)
    finally:
        os.close(file)
    if not os.path.lexists(tree / FOLDER / LINK[0]):
        (tree / FOLDER).mkdir(exist_ok=True)
        os.symlink(LINK[1], tree / FOLDER / LINK[0])
    looks = folder_of(layers)
    folder = os.open(tree / FOLDER, DIRECTORY)
    try:
        os.fchown(folder, looks.uid, looks.gid)
        os.fchmod(folder, looks.mode)
        set_xattrs(folder, looks.xattrs, follow=True)
    finally:
        os.close(folder)


@dataclass(frozen=True, slots=True)
class Looks:
    """Mode, owners and extended attributes of a directory; those of one that no image has."""

    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    xattrs: dict[bytes, bytes] = field(default_factory=dict)


def folder_of(layers: Iterable[Path]) -> Looks:
    """Of the image's directory: the tree's hides it, so that it must look the same."""
    for layer in layers:
        try:
            folder = os.open(layer / FOLDER, DIRECTORY)
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno not in (ENOTDIR, ELOOP):
                raise
            break  # a whiteout, or a link or file, which gives way to a directory, as with Docker
        try:
            status = os.fstat(folder)
            return Looks(stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, xattrs_of(folder))
        finally:
            os.close(folder)
    return Looks()
