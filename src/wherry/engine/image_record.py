"""What the store keeps of an image."""

from __future__ import annotations

import msgspec

from wherry.content.digest import Digest
from wherry.image.manifest import Descriptor, ImageConfig


class ImageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An image as it is here: its config and where its layers are. Names are kept apart, in the store's tags."""

    id: Digest  # of the config document
    config: ImageConfig
    chain_ids: tuple[Digest, ...]  # of its layers, lowest first: keys of the layer store
    layers: tuple[Descriptor, ...]  # the layers' blobs as they came, lowest first
    layer_sizes: tuple[int, ...]  # bytes in the regular files of each layer, lowest first
    manifest: Digest | None = None  # of the manifest that it came with, if it came with one
    parent: Digest | None = None  # the image that it was built or committed from
    loaded_at: float = 0.0  # seconds since the epoch
    tagged_at: float = 0.0  # last time that a name was given to it
    removed: bool = False  # by force, while containers were made from it: kept for them alone

    @property
    def size(self) -> int:
        """Bytes in the regular files of all its layers."""
        return sum(self.layer_sizes)

    @property
    def diff_ids(self) -> tuple[Digest, ...]:
        """Digests of its layers' plain archives, lowest first. OCI image-spec, config.md "rootfs"."""
        return self.config.diff_ids

    @property
    def blobs(self) -> tuple[Digest, ...]:
        """Every blob that it needs: config, layers and, if kept, manifest."""
        kept = (self.manifest,) if self.manifest else ()
        return (self.id, *(layer.digest for layer in self.layers), *kept)
