"""Stores in a directory of the test's own, and what came in by an archive."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass

from wherry.content.digest import Digest
from wherry.engine.image_loading import unpack_archive, unpack_rootfs
from wherry.engine.intake.content import Content, Report, UnpackedImage
from wherry.engine.intake.lease import Leases
from wherry.image.archive import Known, Source
from wherry.image.blobs import BlobStore
from wherry.image.manifest import Descriptor, ImageConfig, Platform
from wherry.snapshot.layers import Layer, LayerStore
from wherry.values.references import Reference

AMD64 = Platform("amd64", "linux")


@dataclass(frozen=True)
class Image:
    """What came in, flat."""

    id: Digest
    config: ImageConfig
    layers: tuple[Layer, ...]
    blobs: tuple[Descriptor, ...]
    names: tuple[Reference, ...]
    manifest: Digest | None


def flat(image: UnpackedImage) -> Image:
    packed = image.packed
    return Image(packed.id, packed.config, image.layers, packed.layers, packed.names, packed.manifest)


@dataclass
class Stores:
    blobs: BlobStore
    layers: LayerStore

    def load(
        self, archive: bytes, platform: Platform | None = AMD64, known: Known = lambda chain_id: None
    ) -> list[Image]:
        return self.load_from(io.BytesIO(archive), platform, known=known)

    def load_from(
        self,
        stream: Source,
        platform: Platform | None = AMD64,
        report: Report = lambda progress: None,
        known: Known = lambda chain_id: None,
    ) -> list[Image]:
        with Content(Leases().open("test"), self.blobs, self.layers) as content:
            images = unpack_archive(content, stream, platform, report, known)
            content.keep(*images)
        return [flat(image) for image in images]

    def import_rootfs(self, archive: bytes, changes: Sequence[str] = (), message: str = "") -> Image:
        with Content(Leases().open("test"), self.blobs, self.layers) as content:
            image = unpack_rootfs(content, io.BytesIO(archive), None, changes, message, AMD64)
            content.keep(image)
        return flat(image)

    def read(self, image: Image, path: str, layer: int = -1) -> bytes:
        return (self.layers.path(image.layers[layer].chain_id) / path).read_bytes()

    def is_empty(self) -> bool:
        roots = [store.root / name for store in (self.blobs, self.layers) for name in ("tmp", ".trash")]
        roots.append(self.blobs.root / "sha256")
        return not any(os.listdir(root) for root in roots) and sorted(os.listdir(self.layers.root)) == [
            ".trash",
            "empty",
            "nothing",
            "tmp",
        ]
