"""Trees to mount: immutable layers below, where wanted one's own writable directory on top. Kernel, overlayfs.rst.

The interface is ``prepare`` (a writable tree on layers), ``view`` (the layers alone), ``changes``, ``pack`` and
``commit`` (what was written: told, as an archive, as a layer), ``remove`` and ``sweep``, ``size_rw``. Nothing is
mounted here: the launcher mounts, in the container's own mount namespace.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from errno import EXDEV
from pathlib import Path

from wherry.content.digest import LAYER_LIMIT, Digest
from wherry.errors import InvalidArgument
from wherry.linux.trees import Bin
from wherry.linux.walk import DIRECTORY, walk
from wherry.snapshot.changes import Change, changes
from wherry.snapshot.layers import EMPTY, NOTHING, Layer, LayerBatch, LayerStore, layer_name
from wherry.snapshot.pack import pack
from wherry.snapshot.upper import upper_of

OPTIONS = "index=off,redirect_dir=off,metacopy=off"
"""Mount options with which a writable tree can be read without the kernel, and become a layer. Some hosts have
other defaults."""

Furnish = Callable[[Path, Iterable[Path]], None]
SWEEP_SECONDS = 5.0
_TRASH = ".trash"


@dataclass(frozen=True, slots=True)
class OverlayView:
    """What the launcher needs to mount layers read-only: names in ``layers_root``, topmost first, two at least."""

    layers_root: Path
    lower: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OverlaySnapshot:
    """What the launcher needs to mount: ``lower`` are names in ``layers_root``, topmost first."""

    layers_root: Path
    lower: tuple[str, ...]
    upper: Path
    work: Path
    options: str = OPTIONS


class OverlayStore:
    """Writable trees by key, such as a container's id, in ``<root>/<key>/{upper,work}``.

    ``chain_ids`` are those of the layers that a tree stands on, lowest first. Methods block.
    """

    def __init__(self, layers: LayerStore, root: Path, furnish: Furnish | None = None) -> None:
        """``furnish`` fills each new tree, on its layers, before anybody sees it."""
        self._furnish = furnish
        self.layers_root = layers.root
        self.containers_root = root
        self._layers = layers
        self._bin = Bin(root / _TRASH)
        root.chmod(0o700)

    # --- what to mount

    def prepare(self, key: str, chain_ids: Sequence[str]) -> OverlaySnapshot:
        """Make a writable tree on layers. If it exists, as after a restart, it stays as it is.

        The top of the root is root's, with mode 0755, as Docker has it, whatever the layers say of it: archives made of
        a private directory would shut out every other user.
        """
        if len(chain_ids) > LAYER_LIMIT:
            raise InvalidArgument(f"the image has {len(chain_ids)} layers; overlayfs takes {LAYER_LIMIT}")
        snapshot = self.snapshot(key, chain_ids)
        if not os.path.lexists(snapshot.upper):
            self._make(snapshot)
        return snapshot

    def _make(self, snapshot: OverlaySnapshot) -> None:
        """Its directories. ``upper`` comes by rename, with owner and mode, whatever directory and umask hand down."""
        made = f"{snapshot.upper}.new"
        for path, mode in ((snapshot.upper.parent, 0o700), (snapshot.work, 0o700), (made, 0o755)):
            with suppress(FileExistsError):
                os.mkdir(path, mode)
        os.chown(made, 0, 0)
        os.chmod(made, 0o755)
        if self._furnish is not None:
            self._furnish(Path(made), (self.layers_root / name for name in snapshot.lower))
        os.rename(made, snapshot.upper)

    def snapshot(self, key: str, chain_ids: Sequence[str]) -> OverlaySnapshot:
        """The same without touching anything."""
        home = self.containers_root / key
        return OverlaySnapshot(self.layers_root, _names(chain_ids) or (EMPTY,), home / "upper", home / "work")

    def view(self, chain_ids: Sequence[str]) -> OverlayView:
        """The layers alone, to be mounted read-only by any number of mounts. They must be held while it is used."""
        names = _names(chain_ids) or (NOTHING,)
        return OverlayView(self.layers_root, (*names, EMPTY))

    # --- what was written

    def changes(self, key: str, chain_ids: Sequence[str]) -> Sequence[Change]:
        """What the tree changes, as ``docker diff`` tells it; also while it is written in."""
        with upper_of(self._upper(key), self._trees(chain_ids)) as upper:
            return tuple(changes(upper))

    def pack(self, key: str, chain_ids: Sequence[str]) -> Iterator[bytes]:
        """What the tree changes, as the plain archive of a layer, in pieces. InvalidArgument if none can hold it."""
        with upper_of(self._upper(key), self._trees(chain_ids)) as upper:
            yield from pack(upper)

    def commit(self, key: str, parents: Sequence[Layer], diff_id: Digest, batch: LayerBatch) -> Layer:
        """Make what was written a layer of ``batch``, on ``parents``; the tree is no more.

        ``diff_id`` is the digest of what ``pack`` gave. Nobody may have written since, and nobody may have it
        mounted. It is moved, or copied where layers and trees are on different file systems. (A tree that is to
        go on being written in can be packed and the archive unpacked, with ``LayerBatch.unpack``.)
        """
        try:
            layer = batch.adopt(self._upper(key), parents, diff_id)
        except OSError as error:
            if error.errno != EXDEV:
                raise
            packed = self.pack(key, [parent.chain_id for parent in parents])
            layer = batch.unpack(packed, parents, diff_id)
        self.remove(key)
        return layer

    def size_rw(self, key: str) -> int:
        """Bytes in the regular files of a writable tree, hard links once; 0 if there is none.

        What is removed meanwhile does not count.
        """
        sizes: dict[tuple[int, int], int] = {}
        with suppress(FileNotFoundError):
            top = os.open(self._upper(key), DIRECTORY)
            try:
                for visit in walk(top):
                    if stat.S_ISREG(visit.status.st_mode):
                        sizes[visit.status.st_dev, visit.status.st_ino] = visit.status.st_size
            finally:
                os.close(top)
        return sum(sizes.values())

    # --- removing

    def remove(self, key: str) -> None:
        """Put all that is kept under a key aside; ``sweep`` deletes it. Absent is fine."""
        self._bin.throw(self.containers_root / key)

    def sweep(self) -> None:
        """Delete what was removed, as far as that takes some seconds; the rest the next time."""
        self._bin.empty(SWEEP_SECONDS)

    def list(self) -> Iterator[str]:
        """The keys that there are, such as ids of containers."""
        yield from (name for name in os.listdir(self.containers_root) if name != _TRASH)

    def _upper(self, key: str) -> Path:
        return self.containers_root / key / "upper"

    def _trees(self, chain_ids: Sequence[str]) -> Sequence[Path]:
        return [self._layers.path(chain_id) for chain_id in reversed(chain_ids)]


def _names(chain_ids: Sequence[str]) -> tuple[str, ...]:
    return tuple(layer_name(chain_id) for chain_id in reversed(chain_ids))
