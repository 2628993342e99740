"""The collection of content that neither an image nor a lease needs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial

from wherry.content.digest import Digest
from wherry.engine.intake.lease import Leases, Watch
from wherry.engine.intake.threads import in_thread
from wherry.image.blobs import BlobStore
from wherry.snapshot.layers import LayerStore

Needed = Callable[[], Collection[Digest]]
"""The digests of all blobs and layers that are recorded as needed. Called in the event loop."""


class Collector:
    """Deletes blobs and layers. It never waits for an intake, nor an intake for more than one rename."""

    def __init__(self, leases: Leases, blobs: BlobStore, layers: LayerStore, needed: Needed) -> None:
        self._leases, self._blobs, self._layers = leases, blobs, layers
        self._needed = needed

    async def collect(self, among: Collection[Digest] | None = None) -> None:
        """Delete what nobody needs: of everything that is here, or of these."""
        with self._leases.watch() as watch:
            needed = self._needed()  # only after the watch has begun: see wherry.engine.intake.lease
            await in_thread(partial(self._sweep, watch, needed, among))

    def _sweep(self, watch: Watch, needed: Collection[Digest], among: Collection[Digest] | None) -> None:
        for digest in list(self._everything()) if among is None else among:
            if digest not in needed:
                watch.unless_held(digest, partial(self._remove, digest))
        self._layers.sweep()
        self._blobs.sweep()

    def _everything(self) -> Iterator[Digest]:
        yield from (layer.chain_id for layer in self._layers.list())
        yield from self._blobs.list()

    def _remove(self, digest: Digest) -> None:
        """Both: the digest of a layer's plain blob may be the layer's chain ID as well."""
        self._layers.remove(digest)
        self._blobs.remove(digest)
