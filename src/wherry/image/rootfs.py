"""``docker import``: an image of one layer from the tar of a root filesystem."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from wherry.content.digest import Digest
from wherry.image.archive import LoadedImage, Source, chunks_of, media_type, needed_blobs
from wherry.image.blobs import BlobStore
from wherry.image.changes import apply_changes
from wherry.image.layers import LayerStore
from wherry.image.manifest import Descriptor, History, ImageConfig, Platform, RootFS, RunConfig, host_platform
from wherry.linux.sync import syncfs
from wherry.values.times import now


def import_rootfs(
    stream: Source,
    blobs: BlobStore,
    layers: LayerStore,
    changes: Sequence[str] = (),
    message: str = "",
    platform: Platform | None = None,
) -> LoadedImage:
    """Make an image of a root filesystem's tar, plain or compressed; ``message`` is its history's comment.

    InvalidArgument if a change is wrong, or the archive is damaged, hostile or truncated. Blocks.
    """
    run = apply_changes(RunConfig(), changes)
    with blobs.batch() as blob_batch, layers.batch() as layer_batch:
        blob = blob_batch.add(chunks_of(stream))
        path = blob_batch.path(blob.digest)
        with path.open("rb", buffering=0) as file:
            layer = layer_batch.unpack(chunks_of(file), [], must_end=True)
        config = _config(run, layer.diff_id, message, platform or host_platform())
        document = blob_batch.add([msgspec.json.encode(config)])
        descriptor = Descriptor(media_type(path), blob.digest, blob.size)
        image = LoadedImage(document.digest, config, (layer,), (descriptor,))
        syncfs([blobs.root, layers.root])
        blob_batch.commit(needed_blobs(image))
        layer_batch.commit()
    return image


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
