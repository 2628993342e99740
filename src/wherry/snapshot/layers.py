"""Layers, each unpacked once, as overlayfs lower directories keyed by chain ID.

The key is the chain ID and not the diff ID (OCI image-spec, config.md "Layer ChainID"): directories that an
archive implies but does not carry take their attributes from the layers below, so the same archive can make
different trees. ``<root>/<name>`` is the tree, ``<name>`` the first 24 hex digits (128 of them fit in the
4096 bytes of mount options), ``<root>/<name>.json`` what is known of it. Both appear by rename, the file
last: a tree without it is not a layer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self
from uuid import uuid4

import msgspec

from wherry.content.digest import Digest, Hold, digest_of
from wherry.content.tar import TarReader
from wherry.errors import Internal, InvalidArgument
from wherry.linux.sync import fsync_directory
from wherry.linux.trees import Bin, discard, remove_tree
from wherry.snapshot.adopt import settle
from wherry.snapshot.lower import Lower
from wherry.snapshot.pipeline import Pipeline
from wherry.snapshot.tree import LayerTree
from wherry.snapshot.upper import upper_of

_NAME_LENGTH = 24
_BIN = ".trash"
EMPTY, NOTHING = "empty", "nothing"
"""Names of trees with nothing in them: overlayfs wants at least one layer below a writable tree, else two."""


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """An unpacked layer."""

    chain_id: Digest
    diff_id: Digest
    parent: Digest | None = None  # chain ID of the layer below
    size: int = 0  # bytes in regular files

    @property
    def name(self) -> str:
        """Of its directory in the store."""
        return layer_name(self.chain_id)


def layer_name(chain_id: Digest) -> str:
    """Of the layer's directory in the store: the first digits of its chain ID."""
    return chain_id.rpartition(":")[2][:_NAME_LENGTH]


def read_record(path: Path) -> Layer | None:
    """What is known of a layer; None where it was removed meanwhile, or is damaged: then it is loaded again."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Layer)
    except (FileNotFoundError, msgspec.MsgspecError, ValueError):
        return None


class LayerStore:
    """The layers below ``root``, which nobody but the engine may enter: it holds setuid files of images."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._staging = root / "tmp"
        self._staging.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._bin = Bin(root / _BIN)
        root.chmod(0o700)
        for name in (EMPTY, NOTHING):
            (root / name).mkdir(mode=0o755, exist_ok=True)
        self._committing = Lock()

    def recover(self) -> None:
        """Remove what a crash left: half-made trees and halves of layers. Only while no batch is open."""
        for left in self._staging.iterdir():
            discard(left)
        found = {path.name for path in self.root.iterdir()} - {self._staging.name, _BIN, EMPTY, NOTHING}
        for name in found:
            other = name.removesuffix(".json") if name.endswith(".json") else f"{name}.json"
            if other not in found:
                discard(self.root / name)
        self.sweep()

    def batch(self, hold: Hold = lambda digest: None) -> LayerBatch:
        """A way for new layers in; ``hold`` is told of each, new or found, before it is relied on."""
        staging = self._staging / uuid4().hex
        staging.mkdir(mode=0o700)
        return LayerBatch(self, staging, hold)

    def get(self, chain_id: Digest) -> Layer | None:
        """The layer with all below it, if it is here. One whose record cannot be read is not."""
        layer = read_record(self._record(layer_name(chain_id)))
        if layer is None:
            return None
        if layer.chain_id != chain_id:
            raise Internal(f"layers {chain_id} and {layer.chain_id} share the name {layer.name}")
        return layer

    def path(self, chain_id: Digest) -> Path:
        """The layer's tree, if it is here."""
        return self.root / layer_name(chain_id)

    def list(self) -> Iterator[Layer]:
        """All that are here."""
        for path in self.root.glob("*.json"):
            layer = read_record(path)
            if layer is not None:
                yield layer

    def remove(self, chain_id: Digest) -> None:
        """Take it out at once; ``sweep`` gives its room back. Absent is fine.

        The record goes first, so that a crash on the way leaves no layer with half a tree.
        """
        name = layer_name(chain_id)
        with self._committing:
            self._record(name).unlink(missing_ok=True)
            self._bin.throw(self.root / name)

    def sweep(self) -> None:
        """Delete what was removed. May take long."""
        self._bin.empty()

    def move_in(self, staged: Path, layer: Layer) -> None:
        """Take over a finished, durable tree. If another batch was first, its equal stays."""
        record = staged.with_suffix(".json")
        with self._committing:
            if self.get(layer.chain_id):
                return
            remove_tree(self.root / layer.name)
            os.rename(staged, self.root / layer.name)
            os.rename(record, self._record(layer.name))

    def sync(self) -> None:
        """Make the moves of finished batches durable."""
        fsync_directory(self.root)

    def _record(self, name: str) -> Path:
        return self.root / f"{name}.json"


class LayerBatch:
    """Layers on their way in. A context manager: what is not committed when it ends is gone."""

    def __init__(self, store: LayerStore, staging: Path, hold: Hold) -> None:
        self._store = store
        self._staging = staging
        self._hold = hold
        self._staged: dict[Digest, Layer] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        remove_tree(self._staging)

    def get(self, chain_id: Digest) -> Layer | None:
        """The layer, if this batch or the store has it."""
        self._hold(chain_id)
        return self._staged.get(chain_id) or self._store.get(chain_id)

    def unpack(
        self,
        source: Iterator[bytes],
        parents: Sequence[Layer],
        diff_id: Digest | None = None,
    ) -> Layer:
        """Unpack an archive, plain or compressed, on top of ``parents`` (lowest first).

        InvalidArgument if the archive is damaged or hostile, or if its content is not ``diff_id``; nothing of it
        is kept then.
        """
        tree = self._staging / uuid4().hex
        tree.mkdir(mode=0o700)
        _cut_inheritance(tree)
        try:
            with Pipeline(source) as chunks:
                size = self._write(tree, chunks, parents)
                found = chunks.digest
            if diff_id is not None and found != diff_id:
                raise InvalidArgument(f"wrong digest: the layer {diff_id} contains {found}")
        except BaseException:
            remove_tree(tree)
            raise
        return self._stage(tree, parents, found, size)

    def adopt(self, tree: Path, parents: Sequence[Layer], diff_id: Digest) -> Layer:
        """Make a writable tree on top of ``parents`` a layer, whose archive has the digest ``diff_id``.

        The tree is taken out of its place, which must be on the file system of the layers (OSError EXDEV), and
        nobody may write in it any more: it is believed to be what was packed.
        """
        taken = self._staging / uuid4().hex
        os.rename(tree, taken)
        with upper_of(taken, [self.path(parent) for parent in reversed(parents)]) as upper:
            size = settle(upper)
        return self._stage(taken, parents, diff_id, size)

    def commit(self) -> None:
        """Move the batch's layers into the store, lowest first; the caller has made them durable."""
        for layer in self._staged.values():
            self._store.move_in(self._staging / layer.name, layer)
        self._staged.clear()
        self._store.sync()

    def _write(self, tree: Path, chunks: Pipeline, parents: Sequence[Layer]) -> int:
        trees = [self.path(parent) for parent in reversed(parents)]
        with closing(Lower(trees)) as lower, closing(LayerTree(tree, lower)) as writer:
            archive = TarReader(chunks)
            for entry in archive:
                writer.add(entry, archive.data())
            archive.drain()
            writer.finish()
            return writer.size

    def path(self, layer: Layer) -> Path:
        """Its tree, in this batch or in the store."""
        return (self._staging if layer.chain_id in self._staged else self._store.root) / layer.name

    def _stage(self, tree: Path, parents: Sequence[Layer], diff_id: Digest, size: int) -> Layer:
        parent = parents[-1].chain_id if parents else None
        chain_id = digest_of(f"{parent} {diff_id}".encode()) if parent else diff_id
        layer = Layer(chain_id=chain_id, diff_id=diff_id, parent=parent, size=size)
        self._hold(chain_id)
        if chain_id in self._staged:
            remove_tree(tree)
            return layer
        os.rename(tree, self._staging / layer.name)
        (self._staging / f"{layer.name}.json").write_bytes(msgspec.json.encode(layer))
        self._staged[chain_id] = layer
        return layer


def _cut_inheritance(tree: Path) -> None:
    """A setgid bit or a default ACL on the data root would otherwise be handed down into the image."""
    for name in ("system.posix_acl_default", "system.posix_acl_access"):
        with suppress(OSError):
            os.removexattr(tree, name)
    os.chown(tree, os.geteuid(), os.getegid())
    tree.chmod(0o700)
