"""``docker import``: an image of one layer from the tar of a root filesystem."""

from __future__ import annotations

import msgspec

from wherry.content.digest import Digest
from wherry.image.blobs import Blob, BlobBatch
from wherry.image.manifest import History, ImageConfig, Platform, RootFS, RunConfig
from wherry.image.packed import PackedImage, layer_descriptor
from wherry.values.times import now


def image_of(
    layer: Blob, diff_id: Digest, run: RunConfig, message: str, platform: Platform, blobs: BlobBatch
) -> PackedImage:
    """Make an image of one layer, whose blob is in the batch; ``message`` is its history's comment."""
    config = _config(run, diff_id, message, platform)
    document = blobs.add([msgspec.json.encode(config)])
    return PackedImage(document.digest, config, (layer_descriptor(layer, blobs.path(layer.digest)),))


def _config(run: RunConfig, diff_id: Digest, message: str, platform: Platform) -> ImageConfig:
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
