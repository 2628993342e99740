"""``docker import``: an image of one layer from the tar of a root filesystem."""

from __future__ import annotations

import msgspec

from wherry.content.digest import Digest
from wherry.image.blobs import Blob, BlobBatch
from wherry.image.manifest import History, ImageConfig, Platform, RootFS, RunConfig
from wherry.image.packed import PackedImage, layer_descriptor
from wherry.values.references import Reference
from wherry.values.times import now


def image_of(config: ImageConfig, layer: Blob, name: Reference | None, blobs: BlobBatch) -> PackedImage:
    """An image of one layer, whose blob is in the batch; the config is written there too."""
    document = blobs.add([msgspec.json.encode(config)])
    descriptor = layer_descriptor(layer, blobs.path(layer.digest))
    return PackedImage(document.digest, config, (descriptor,), (name,) if name else ())


def rootfs_config(run: RunConfig, diff_id: Digest, message: str, platform: Platform) -> ImageConfig:
    """The config of a root filesystem that was imported now; ``message`` is its history's comment."""
    created = now()
    return ImageConfig(
        architecture=platform.architecture,
        os=platform.os,
        variant=platform.variant,
        created=created,
        comment=message,
        config=run,
        rootfs=RootFS(diff_ids=[diff_id]),
        history=[History(created=created, comment=message)],
    )
