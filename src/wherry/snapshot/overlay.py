"""A container's root: image layers below, its own writable directory on top. Kernel, overlayfs.rst.

Nothing is mounted here: the launcher mounts, in the container's own mount namespace.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from wherry.errors import InvalidArgument
from wherry.linux.trees import remove_tree

_TRASH = ".trash"
_EMPTY = "empty"  # the layer store's tree for images without layers
_NAME_LENGTH = 24
_LAYERS = 127  # such names fit in the 4096 bytes of mount options


@dataclass(frozen=True, slots=True)
class OverlaySnapshot:
    """What the launcher needs to mount: ``lower`` are names in ``layers_root``, topmost first."""

    layers_root: Path
    lower: tuple[str, ...]
    upper: Path
    work: Path


class OverlayStore:
    """The writable directories of containers, ``<containers_root>/<id>/{upper,work}``."""

    def __init__(self, layers_root: Path, containers_root: Path) -> None:
        self.layers_root = layers_root
        self.containers_root = containers_root
        self._trash = containers_root / _TRASH
        self._trash.mkdir(mode=0o700, parents=True, exist_ok=True)
        containers_root.chmod(0o700)

    def prepare(self, container_id: str, chain_ids: Sequence[str]) -> OverlaySnapshot:
        """Make the writable directories of a container on its image's layers, lowest first.

        The top of the container's root has the owner and mode of the topmost layer's. If they exist, as
        after a restart, they stay as they are.
        """
        if len(chain_ids) > _LAYERS:
            raise InvalidArgument(f"the image has {len(chain_ids)} layers; overlayfs takes {_LAYERS}")
        snapshot = self.snapshot(container_id, chain_ids)
        if not snapshot.upper.exists():
            snapshot.work.mkdir(mode=0o700, parents=True, exist_ok=True)
            made = snapshot.upper.with_name("upper.new")
            made.mkdir(mode=0o755, exist_ok=True)
            _copy_owner(self.layers_root / snapshot.lower[0], made)
            os.rename(made, snapshot.upper)
        return snapshot

    def snapshot(self, container_id: str, chain_ids: Sequence[str]) -> OverlaySnapshot:
        """The same without touching anything."""
        home = self.containers_root / container_id
        lower = tuple(_directory(chain_id) for chain_id in reversed(chain_ids)) or (_EMPTY,)
        return OverlaySnapshot(self.layers_root, lower, home / "upper", home / "work")

    def remove(self, container_id: str) -> None:
        """Put a container's directory aside; ``sweep`` deletes it. Absent is fine."""
        with suppress(FileNotFoundError):
            os.rename(self.containers_root / container_id, self._trash / f"{container_id}.{uuid4().hex}")

    def sweep(self, keep: Collection[str] | None = None) -> None:
        """Delete what was removed and, with ``keep``, every container's directory but these. May take long."""
        for container_id in [name for name in self.list() if keep is not None and name not in keep]:
            self.remove(container_id)
        for name in os.listdir(self._trash):
            remove_tree(self._trash / name)

    def list(self) -> Iterator[str]:
        """Ids of the containers that have a directory."""
        yield from (name for name in os.listdir(self.containers_root) if name != _TRASH)

    def size_rw(self, container_id: str) -> int:
        """Bytes in the regular files of the writable directory, hard links once; 0 if there is none.

        What the container removes meanwhile, or nests deeper than a path can name, does not count.
        """
        sizes: dict[tuple[int, int], int] = {}
        pending = [self.containers_root / container_id / "upper"]
        while pending:
            with suppress(OSError), os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(Path(entry.path))
                    elif entry.is_file(follow_symlinks=False):
                        with suppress(FileNotFoundError):
                            status = entry.stat(follow_symlinks=False)
                            sizes[status.st_dev, status.st_ino] = status.st_size
        return sum(sizes.values())


def _directory(chain_id: str) -> str:
    """The layer store's name for a layer: the first digits of its chain ID."""
    return chain_id.rpartition(":")[2][:_NAME_LENGTH]


def _copy_owner(source: Path, target: Path) -> None:
    status = source.stat()
    os.chown(target, status.st_uid, status.st_gid)
    target.chmod(stat.S_IMODE(status.st_mode))
