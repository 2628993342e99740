"""An image as it comes: documents and layers that are blobs, nothing of it unpacked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wherry.content.digest import Digest
from wherry.image.blobs import Blob
from wherry.image.manifest import LAYER_TYPE, Descriptor, ImageConfig
from wherry.values.references import Reference


@dataclass(frozen=True, slots=True)
class PackedImage:
    """An image whose blobs are all there. ``names`` are those that it came with."""

    id: Digest  # of the config document
    config: ImageConfig
    layers: tuple[Descriptor, ...]  # their blobs, lowest first; as many as the config has diff IDs
    names: tuple[Reference, ...] = ()
    manifest: Digest | None = None  # that it came with, if it came with one

    @property
    def blobs(self) -> tuple[Digest, ...]:
        """Every blob that it needs."""
        kept = (self.manifest,) if self.manifest else ()
        return (self.id, *kept, *(layer.digest for layer in self.layers))


def layer_descriptor(blob: Blob, path: Path) -> Descriptor:
    """A descriptor of a layer's blob, whose first bytes say how it is compressed."""
    return Descriptor(_media_type(path), blob.digest, blob.size)


def _media_type(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(4)
    if head.startswith(b"\x1f\x8b"):
        return f"{LAYER_TYPE}+gzip"
    return f"{LAYER_TYPE}+zstd" if head == b"\x28\xb5\x2f\xfd" else LAYER_TYPE
