"""Which images there are and what they are called: the one place that writes images and tags to the store."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from msgspec.structs import replace

from wherry.content.digest import Digest
from wherry.engine.image_names import Catalog
from wherry.engine.image_record import ImageRecord
from wherry.engine.image_removal import Removal, Untagged, Users
from wherry.engine.intake.content import UnpackedImage
from wherry.engine.store import Store
from wherry.errors import Internal, InvalidArgument, NotFound
from wherry.image.manifest import Descriptor
from wherry.snapshot.layers import LayerStore
from wherry.values.references import Reference

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Named:
    """A name that was given to an image, and the image that lost it by that."""

    name: Reference
    previous: Digest | None = None


class ImageRegister:
    """The images of an engine. Belongs to the event loop: what was read from the store is kept until a change."""

    def __init__(self, store: Store, users: Users) -> None:
        self._store, self._users = store, users
        self._known: Catalog | None = None
        self._removed: set[Digest] = set()  # images that are kept for containers alone

    def catalog(self) -> Catalog:
        """The images that clients see, with their names, as they are now."""
        if self._known is None:
            images = {image.id: image for image in self._store.images.all() if not image.removed}
            self._known = Catalog(images, self._store.tags.all())
        return self._known

    def record(self, image_id: Digest) -> ImageRecord | None:
        """An image, also one that is only kept for containers."""
        return self.catalog().images.get(image_id) or self._store.images.get(image_id)

    def labels(self, image_id: Digest) -> dict[str, str] | None:
        """Of an image, also of one that is only kept for containers."""
        image = self._store.images.get(image_id)
        return image.config.run.labels if image else None

    def layer_blobs(self) -> Mapping[Digest, Descriptor]:
        """The blob of each layer of these images, by chain ID."""
        images = self.catalog().images.values()
        return {
            chain: blob for image in images for chain, blob in zip(image.chain_ids, image.layers, strict=True)
        }

    # --- adding and naming

    def add(self, images: Sequence[UnpackedImage]) -> list[Sequence[Named]]:
        """Record images whose content is in the stores, with the names that they came with: all of them, or none.

        The names of each, in order.
        """
        with self._change():
            return [self._add(image) for image in images]

    def _add(self, image: UnpackedImage) -> Sequence[Named]:
        known = self._store.images.get(image.packed.id)
        if known is None or known.removed:
            return self._give(image.packed.names, record_of(image))
        return self._give(image.packed.names, known) if image.packed.names else []

    def name(self, name: Reference, image_id: Digest) -> Named:
        """Give an image a further name, which another image loses if it had it. NotFound if there is none."""
        image = self._store.images.get(image_id)
        if image is None:
            raise NotFound(f"No such image: {image_id}")
        [named] = self._give([name], image)
        return named

    def _give(self, names: Sequence[Reference], image: ImageRecord) -> Sequence[Named]:
        """Record an image and its names: itself once, however many they are."""
        self._put(replace(image, tagged_at=time.time()) if names else image)
        return [self._named(name, image.id) for name in names]

    def _named(self, name: Reference, image_id: Digest) -> Named:
        previous = self._store.tags.get(name.canonical())
        self._store.tags.set(name.canonical(), image_id)
        return Named(name, previous if previous != image_id else None)

    # --- removing

    def carry_out(self, steps: Iterable[Removal]) -> None:
        """Take names and images away: all of them, or none. An image that containers are made from stays, for them."""
        with self._change():
            for step in steps:
                if isinstance(step, Untagged):
                    self._store.tags.delete(step.reference.canonical())
                elif not step.is_layer:
                    self._remove(step.id)

    def _remove(self, image_id: Digest) -> None:
        image = self._store.images.get(image_id)
        if image is not None and self._users(image_id):
            self._put(replace(image, removed=True))
            self._removed.add(image_id)
        else:
            self._store.images.delete(image_id)

    def is_kept_for_containers(self, image_id: Digest) -> bool:
        """Whether it was removed while containers were made from it."""
        return image_id in self._removed

    def needed(self) -> Collection[Digest]:
        """The digests of all blobs and layers that images need.

        Images that were removed and whose last container is gone are forgotten at this.
        """
        images = self._needed_images()
        return {digest for image in images for digest in (*image.blobs, *image.chain_ids)}

    def _needed_images(self) -> Sequence[ImageRecord]:
        images = self._store.images.all()
        self._removed = {image.id for image in images if image.removed}
        if not self._removed:
            return images
        used = {record.image for record, _ in self._store.containers.all()}
        used |= {
            image_id for image_id in self._removed if self._users(image_id)
        }  # not recorded yet, or just now
        for image_id in self._removed - used:
            self._store.images.delete(image_id)
        self._removed &= used
        return [image for image in images if not image.removed or image.id in used]

    # --- at start

    def drop_broken(self, layers: LayerStore) -> None:
        """Forget images whose layers are gone: after a power cut the store may be older than the disk. And those that
        cannot be read, so that they can be loaded again; and names that are none."""
        with self._change():
            for name in [name for name in self._store.tags.all() if not is_name(name)]:
                log.warning("the image name %r is dropped: it is not a valid name", name)
                self._store.tags.delete(name)
            images = {image.id: image for image in self._store.images.all()}
            for id in self._store.images.ids():
                image = images.get(id)
                if image is None or not all(is_here(layers, chain_id) for chain_id in image.chain_ids):
                    log.warning(
                        "image %s is dropped: its record or a layer of it is missing; load it again", id
                    )
                    self._forget(id)

    def _forget(self, image_id: Digest) -> None:
        self._store.images.delete(image_id)
        for name in [name for name, id in self._store.tags.all().items() if id == image_id]:
            self._store.tags.delete(name)

    @contextmanager
    def _change(self) -> Iterator[None]:
        """One transaction; what was read before or in it is not relied on afterwards."""
        try:
            with self._store.transaction():
                yield
        finally:
            self._known = None

    def _put(self, image: ImageRecord) -> None:
        self._store.images.put(image)
        self._known = None


def is_name(text: str) -> bool:
    """Whether a stored name can be read as one."""
    try:
        Reference.parse(text)
    except InvalidArgument:
        return False
    return True


def is_here(layers: LayerStore, chain_id: Digest) -> bool:
    """Whether a layer is here, with a record that is its own."""
    try:
        return layers.get(chain_id) is not None
    except Internal as error:
        log.error("%s", error.message)
        return False


def record_of(image: UnpackedImage) -> ImageRecord:
    """What is kept of an image that has just come in."""
    return ImageRecord(
        id=image.packed.id,
        config=image.packed.config,
        chain_ids=tuple(layer.chain_id for layer in image.layers),
        layers=image.packed.layers,
        layer_sizes=tuple(layer.size for layer in image.layers),
        manifest=image.packed.manifest,
        loaded_at=time.time(),
    )
