"""The images of this engine: found, listed, loaded, imported, named and removed.

The store says which images there are; blobs and layers are only held for them. What no image needs is
collected when an image goes, and at start: a crash at any point leaves nothing else behind.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from wherry.content.digest import Digest
from wherry.engine.events import EventBus
from wherry.engine.filters import Filters
from wherry.engine.image_list import HistoryItem, ImageView, history, select, view
from wherry.engine.image_names import Catalog
from wherry.engine.image_record import ImageRecord
from wherry.engine.image_removal import Deleted, Removal, RemovalPlan, Untagged, Users
from wherry.engine.store import Store
from wherry.errors import InvalidArgument, NotFound
from wherry.image.archive import LayerProgress, LoadedImage, Source, load
from wherry.image.blobs import BlobStore
from wherry.image.layers import LayerStore
from wherry.image.manifest import Platform
from wherry.image.rootfs import import_rootfs
from wherry.values.references import Reference

log = logging.getLogger(__name__)

__all__ = ["Deleted", "HistoryItem", "ImageView", "Images", "LayerProgress", "LoadLine", "Untagged"]


@dataclass(frozen=True, slots=True)
class LoadLine:
    """A line of text of a load's answer, newline included."""

    text: str


LoadMessage = LayerProgress | LoadLine


class Images:
    """What the API and the containers ask of images.

    All methods belong to the event loop; long work runs in threads. Nobody else writes images and tags to
    the store, so that what was read from it can be kept until the next change.
    """

    def __init__(
        self, store: Store, blobs: BlobStore, layers: LayerStore, events: EventBus, users: Users
    ) -> None:
        self._store, self._blobs, self._layers = store, blobs, layers
        self._events, self._users = events, users
        self._collecting = asyncio.Lock()
        self._adding = 0  # loads and imports under way: what they found must not be collected
        self._garbage = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._known: Catalog | None = None
        self._removed: set[Digest] = set()  # images that are kept for containers alone

    async def recover(self) -> None:
        """Remove what a crash left half done. Before anything else is asked."""
        await asyncio.to_thread(self._blobs.recover)
        await asyncio.to_thread(self._layers.recover)
        self._drop_broken()
        await self.collect()

    def _drop_broken(self) -> None:
        """Forget images whose layers are gone: after a power cut the store may be older than the disk."""
        tags = self._store.tags()
        for image in self._store.images():
            if not all(self._layers.get(chain_id) for chain_id in image.chain_ids):
                log.warning("image %s is forgotten: a layer of it is missing; load it again", image.id)
                self._store.delete_image(image.id)
                for name in [name for name, id in tags.items() if id == image.id]:
                    self._store.delete_tag(name)
        self._known = None

    # --- looking

    async def resolve(self, ref: str) -> ImageRecord:
        """The image that a name, a full id or the start of an id means. NotFound, InvalidArgument."""
        return self._catalog().find(ref)

    async def get(self, ref: str) -> ImageView:
        """The same with its names. NotFound, InvalidArgument."""
        catalog = self._catalog()
        image = catalog.find(ref)
        return view(catalog, image, len(self._users(image.id)), lambda reference: True)

    async def list(self, filters: Filters | None = None, *, all: bool = False) -> Sequence[ImageView]:
        """Newest first; without ``all``, none that is only a step towards another. InvalidArgument, NotFound."""
        return select(self._catalog(), filters or Filters(), lambda id: len(self._users(id)), show_all=all)

    async def history(self, ref: str) -> Sequence[HistoryItem]:
        """The steps that made an image, newest first."""
        catalog = self._catalog()
        return history(catalog, catalog.find(ref))

    def count(self) -> int:
        return len(self._catalog().images)

    def _catalog(self) -> Catalog:
        if self._known is None:
            images = {image.id: image for image in self._store.images() if not image.removed}
            self._known = Catalog(images, self._store.tags())
        return self._known

    # --- adding

    async def load(
        self, stream: Source, *, quiet: bool = True, platform: Platform | None = None
    ) -> AsyncIterator[LoadMessage]:
        """Load an archive of images; ``stream.read`` is called in a thread and may block.

        Yields progress (not if ``quiet``), then a line for each image. InvalidArgument for a bad archive, of
        which nothing is kept. If the reader of these messages leaves, the load goes on as long as its stream.
        """
        messages: asyncio.Queue[LoadMessage | BaseException | None] = asyncio.Queue()
        self._spawn(self._load(stream, platform, messages))
        while (message := await messages.get()) is not None:
            if isinstance(message, BaseException):
                raise message
            if not (quiet and isinstance(message, LayerProgress)):
                yield message

    async def _load(
        self,
        stream: Source,
        platform: Platform | None,
        messages: asyncio.Queue[LoadMessage | BaseException | None],
    ) -> None:
        loop = asyncio.get_running_loop()

        def report(progress: LayerProgress) -> None:
            loop.call_soon_threadsafe(messages.put_nowait, progress)

        try:
            async with self._addition():
                images = await asyncio.to_thread(load, stream, self._blobs, self._layers, report, platform)
                for image in images:
                    for line in self._register(image):
                        messages.put_nowait(LoadLine(line))
                    self._publish("load", image.id, image.id)
            messages.put_nowait(None)
        except BaseException as error:
            messages.put_nowait(error)
            if not isinstance(error, Exception):
                raise

    async def import_(
        self,
        stream: Source,
        *,
        repo: str = "",
        tag: str = "",
        changes: Sequence[str] = (),
        message: str = "",
        platform: Platform | None = None,
    ) -> Digest:
        """Make an image of a root filesystem's tar and name it, if a name is given; returns its id."""
        name = parse_tag(repo, tag) if repo else None
        async with self._addition():
            image = await asyncio.to_thread(
                import_rootfs, stream, self._blobs, self._layers, changes, message, platform
            )
            self._record(image)
            if name is not None:
                self._set_tag(name, image.id)
                self._publish("tag", image.id, name.familiar())
        self._publish("import", image.id, image.id)
        return image.id

    def _register(self, image: LoadedImage) -> Sequence[str]:
        """Take a loaded image into the store; returns what the user is told."""
        self._record(image)
        if not image.names:
            return [f"Loaded image ID: {image.id}\n"]
        lines = []
        tags = self._store.tags()
        for name in image.names:
            previous = tags.get(name.canonical(), image.id)
            if previous != image.id:
                lines.append(
                    f"The image {name.familiar()} already exists, renaming the old one with ID {previous} "
                    "to empty string\n"
                )
            self._set_tag(name, image.id)
            lines.append(f"Loaded image: {name.familiar()}\n")
        return lines

    def _record(self, image: LoadedImage) -> None:
        known = self._store.image(image.id)
        if known is not None and not known.removed:
            self._garbage = True  # its layers may have come in another compression now
            return
        record = ImageRecord(
            id=image.id,
            config=image.config,
            chain_ids=tuple(layer.chain_id for layer in image.layers),
            layers=image.blobs,
            layer_sizes=tuple(layer.size for layer in image.layers),
            manifest=image.manifest,
            loaded_at=time.time(),
        )
        self._put(record)

    # --- naming and removing

    async def tag(self, ref: str, repo: str, tag: str = "") -> None:
        """Give an image a further name, which another image loses if it had it. NotFound, InvalidArgument."""
        image = self._catalog().find(ref)
        name = parse_tag(repo, tag)
        self._set_tag(name, image.id)
        self._publish("tag", image.id, name.familiar())

    async def remove(self, ref: str, *, force: bool = False, noprune: bool = False) -> Sequence[Removal]:
        """Take a name away and, if it was the last, the image with what only it needs. NotFound, Conflict."""
        if not ref.strip():
            raise InvalidArgument("image name cannot be blank")
        steps = RemovalPlan(self._catalog(), self._users, force=force, prune=not noprune).remove(ref)
        for step in steps:
            self._carry_out(step)
        if any(isinstance(step, Deleted) for step in steps):
            await self.collect()
        return steps

    def _carry_out(self, step: Removal) -> None:
        if isinstance(step, Untagged):
            self._store.delete_tag(step.reference.canonical())
            self._known = None
            self._publish("untag", step.image_id, step.image_id)
        elif not step.is_layer:
            self._publish("delete", step.id, step.id)
            self._delete(step.id)

    def _delete(self, image_id: Digest) -> None:
        """Forget an image; one that containers still run from stays, for them alone."""
        image = self._store.image(image_id)
        if image is not None and self._users(image_id):
            self._put(replace(image, removed=True))
            self._removed.add(image_id)
        else:
            self._store.delete_image(image_id)
            self._known = None

    def _set_tag(self, name: Reference, image_id: Digest) -> None:
        image = self._store.image(image_id)
        if image is None:
            raise NotFound(f"No such image: {image_id}")
        self._put(replace(image, tagged_at=time.time()))
        self._store.set_tag(name.canonical(), image_id)

    def _put(self, image: ImageRecord) -> None:
        self._store.put_image(image)
        self._known = None

    def _publish(self, action: str, image_id: Digest, name: str) -> None:
        image = self._store.image(image_id)
        labels = image.config.run.labels if image else None
        self._events.image(action, image_id, name, labels)

    # --- collecting

    def released(self, image_id: Digest) -> None:
        """A container of this image is gone: what was only kept for it can go too."""
        if image_id in self._removed:
            self._spawn(self.collect())

    async def collect(self) -> None:
        """Delete blobs and layers that no image needs. While something is being added, it waits for that to end."""
        async with self._collecting:
            self._garbage = bool(self._adding)
            if not self._adding:
                images = self._needed_images()
                blobs = {blob for image in images for blob in image.blobs}
                chain_ids = {chain_id for image in images for chain_id in image.chain_ids}
                await asyncio.to_thread(self._sweep, blobs, chain_ids)

    def _needed_images(self) -> Sequence[ImageRecord]:
        """All, less those that were removed and whose last container is gone."""
        images = self._store.images()
        self._removed = {image.id for image in images if image.removed}
        if not self._removed:
            return images
        used = {container.image for container in self._store.containers()}
        for image_id in self._removed - used:
            self._store.delete_image(image_id)
        self._removed &= used
        return [image for image in images if not image.removed or image.id in used]

    def _sweep(self, blobs: Collection[Digest], chain_ids: Collection[Digest]) -> None:
        for layer in list(self._layers.list()):
            if layer.chain_id not in chain_ids:
                self._layers.delete(layer.chain_id)
        for digest in list(self._blobs.list()):
            if digest not in blobs:
                self._blobs.delete(digest)

    @asynccontextmanager
    async def _addition(self) -> AsyncIterator[None]:
        async with self._collecting:
            self._adding += 1
        try:
            yield
        finally:
            self._adding -= 1
            if self._garbage and not self._adding:
                await self.collect()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def parse_tag(repo: str, tag: str) -> Reference:
    """The name that ``repo`` and ``tag`` make; InvalidArgument if an image cannot be given it."""
    name = Reference.parse_bare(repo)
    if name.digest:
        raise InvalidArgument("refusing to create a tag with a digest reference")
    if name.path == "library/sha256" and name.domain == "docker.io":
        raise InvalidArgument("refusing to create an ambiguous tag using digest algorithm as name")
    return name.with_tag(tag) if tag else Reference.parse(repo)
