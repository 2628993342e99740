"""What Docker puts into every container's root beside the image's files, whatever the image has there.

``/.dockerenv``, by which programs tell that they run in a container, and ``/etc/mtab``, the list of mounts for programs
that are older than ``/proc/mounts``. It is there from the creation on and is the container's own then.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

EMPTY_FILE, FOLDER, LINK = ".dockerenv", "etc", ("mtab", "/proc/mounts")


def furnish(tree: Path, layers: Iterable[Path]) -> None:
    """Fill a new writable tree, on ``layers``, topmost first. What is there already stays."""
    file = os.open(tree / EMPTY_FILE, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(file, 0o755)
    finally:
        os.close(file)
    mode, uid, gid = folder_of(layers)
    if not os.path.lexists(tree / FOLDER / LINK[0]):
        (tree / FOLDER).mkdir(exist_ok=True)
        os.symlink(LINK[1], tree / FOLDER / LINK[0])
    os.chown(tree / FOLDER, uid, gid)
    os.chmod(tree / FOLDER, mode)


def folder_of(layers: Iterable[Path]) -> tuple[int, int, int]:
    """Mode and owners of the image's directory: the tree's hides it, so that it must look the same."""
    for layer in layers:
        try:
            status = os.stat(layer / FOLDER, follow_symlinks=False)
        except FileNotFoundError:
            continue
        if stat.S_ISDIR(status.st_mode):
            return stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
        break  # a whiteout, or a link or file, which gives way to a directory, as with Docker
    return 0o755, 0, 0
