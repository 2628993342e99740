"""Whether a data root can hold overlays at all: asked once, at the start, and not of every container in vain."""

from __future__ import annotations

import os
from errno import EDQUOT, ENOSPC
from pathlib import Path
from tempfile import mkdtemp

from wherry.errors import Unavailable
from wherry.linux.mountinfo import mount_of
from wherry.linux.overlayfs import try_overlay
from wherry.linux.trees import remove_tree

PREFIX = ".overlay-"
FULL = (ENOSPC, EDQUOT)  # says nothing of overlays; and a full disk must not keep the engine from starting


def check_footing(data_root: Path) -> None:
    """Raises Unavailable, with the remedy, where no container could have a writable layer in the data root."""
    _clear(data_root)
    try:
        _try(Path(mkdtemp(prefix=PREFIX, dir=data_root)))
    except OSError as error:
        if error.errno not in FULL:
            raise _refusal(data_root, error) from None
    finally:
        _clear(data_root)


def _try(folder: Path) -> None:
    lower, upper, work = (folder / name for name in ("lower", "upper", "work"))
    for one in (lower, upper, work):
        one.mkdir()
    os.setxattr(upper, "trusted.overlay.opaque", b"y")  # how a directory hides what is below it
    try_overlay(lower, upper, work)


def _clear(data_root: Path) -> None:
    for left in data_root.glob(f"{PREFIX}*"):
        remove_tree(left)


def _refusal(data_root: Path, error: OSError) -> Unavailable:
    mount = mount_of(data_root)
    kind = mount.fstype if mount else "an unknown filesystem"
    where = "is itself on overlayfs" if kind == "overlay" else f"is on {kind}"
    return Unavailable(
        f"the data root {data_root} {where}, which cannot hold the containers' overlays ({error.strerror}): "
        "give --data-root a directory on ext4, xfs, btrfs or tmpfs; in a container, mount a volume there"
    )
