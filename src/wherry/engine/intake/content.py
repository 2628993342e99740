"""What one intake brings in: blobs and layers, staged, then moved into the stores all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from wherry.content.digest import Digest, chain_ids
from wherry.engine.intake.lease import Lease
from wherry.image.archive import Source, chunks_of
from wherry.image.blobs import BlobStore
from wherry.image.packed import PackedImage
from wherry.linux.sync import syncfs
from wherry.snapshot.layers import Layer, LayerStore


class LayerProgress(NamedTuple):
    """How far the unpacking of a layer is, in bytes of its blob."""

    diff_id: Digest
    current: int
    total: int


Report = Callable[[LayerProgress], None]
"""Called from more than one thread."""


@dataclass(frozen=True, slots=True)
class UnpackedImage:
    """An image whose blobs and layers are all there."""

    packed: PackedImage
    layers: tuple[Layer, ...]  # lowest first


@dataclass(frozen=True, slots=True)
class _Checked:
    lease: Lease
    stream: Source

    def read(self, size: int, /) -> bytes:
        self.lease.check()
        return self.stream.read(size)


class Content:
    """Writers of blobs and layers under a lease. A context manager: what is not kept when it ends is gone.

    Its methods block, and belong to one thread at a time.
    """

    def __init__(self, lease: Lease, blobs: BlobStore, layers: LayerStore) -> None:
        self._lease = lease
        self._roots = (blobs.root, layers.root)
        with ExitStack() as staging:
            self.blobs = staging.enter_context(blobs.batch(lease.hold))
            self.layers = staging.enter_context(layers.batch(lease.hold))
            self._staging = staging.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Delete what was not kept."""
        self._staging.close()

    def read(self, stream: Source) -> Source:
        """The stream, with an end where the intake is called off: Unavailable."""
        return _Checked(self._lease, stream)

    def unpack(self, image: PackedImage, report: Report = lambda progress: None) -> UnpackedImage:
        """The image with its layers, of which those that are not here yet are unpacked.

        InvalidArgument if a layer is damaged, hostile, or not what the config says.
        """
        stack: list[Layer] = []
        diff_ids = image.config.diff_ids
        for chain_id, diff_id, blob in zip(chain_ids(diff_ids), diff_ids, image.layers, strict=True):
            layer = self.layers.get(chain_id)
            if layer is None:
                source = self._reported(self.blobs.path(blob.digest), diff_id, blob.size, report)
                layer = self.layers.unpack(source, stack, diff_id)
            stack.append(layer)
        return UnpackedImage(image, tuple(stack))

    def keep(self, *images: UnpackedImage) -> None:
        """Make the new layers, and the images' new blobs, durable, and move them into the stores.

        The lease holds them there until they are recorded.
        """
        syncfs(self._roots)
        self.blobs.commit(digest for image in images for digest in image.packed.blobs)
        self.layers.commit()

    def _reported(self, path: Path, diff_id: Digest, total: int, report: Report) -> Iterator[bytes]:
        current = 0
        with path.open("rb", buffering=0) as file:
            for chunk in chunks_of(file):
                self._lease.check()
                current += len(chunk)
                yield chunk
                report(LayerProgress(diff_id, current, total))
