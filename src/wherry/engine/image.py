"""The images of this engine: found, listed, loaded, imported, named and removed.

The store says which images there are (``image_register``); blobs and layers are only held for them. What no
image needs is collected when an image goes, and at start: a crash at any point leaves nothing else behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence

from wherry.content.digest import Digest
from wherry.engine.events import EventBus
from wherry.engine.filters import Filters
from wherry.engine.image_list import HistoryItem, ImageView, history, select, view
from wherry.engine.image_loading import ImageLoader, LoadLine, LoadMessage
from wherry.engine.image_record import ImageRecord
from wherry.engine.image_register import ImageRegister
from wherry.engine.image_removal import Deleted, Removal, RemovalPlan, Untagged, Users
from wherry.engine.intake.collector import Collector
from wherry.engine.intake.content import LayerProgress
from wherry.engine.intake.intake import Intake
from wherry.engine.intake.lease import Leases
from wherry.engine.store import Store
from wherry.errors import InvalidArgument
from wherry.image.archive import Source
from wherry.image.blobs import BlobStore
from wherry.image.manifest import Platform
from wherry.snapshot.layers import LayerStore
from wherry.values.references import Reference

__all__ = ["Deleted", "HistoryItem", "ImageView", "Images", "LayerProgress", "LoadLine", "Untagged"]


class Images:
    """What the API and the containers ask of images. All methods belong to the event loop."""

    def __init__(
        self, store: Store, blobs: BlobStore, layers: LayerStore, events: EventBus, users: Users
    ) -> None:
        self._blobs, self._layers = blobs, layers
        self._events, self._users = events, users
        self._register = ImageRegister(store, users)
        leases = Leases()
        self._collector = Collector(leases, blobs, layers, self._register.needed)
        self.intake = Intake(leases, blobs, layers, self._collector)
        self._loader = ImageLoader(self.intake, self._register, events)
        self._collections: set[asyncio.Task[None]] = set()

    async def recover(self) -> None:
        """Remove what a crash left half done. Before anything else is asked."""
        await asyncio.to_thread(self._blobs.recover)
        await asyncio.to_thread(self._layers.recover)
        self._register.drop_broken(self._layers)
        await self.collect()

    # --- looking

    def find(self, ref: str) -> ImageRecord:
        """The image that a name, a full id or the start of an id means. NotFound, InvalidArgument."""
        return self._register.catalog().find(ref)

    def view(self, ref: str) -> ImageView:
        """The same with its names. NotFound, InvalidArgument."""
        catalog = self._register.catalog()
        image = catalog.find(ref)
        return view(catalog, image, len(self._users(image.id)), lambda reference: True)

    def list(self, filters: Filters | None = None, *, all: bool = False) -> Sequence[ImageView]:
        """Newest first; without ``all``, none that is only a step towards another. InvalidArgument, NotFound."""
        users = self._users
        return select(self._register.catalog(), filters or Filters(), lambda id: len(users(id)), show_all=all)

    def history(self, ref: str) -> Sequence[HistoryItem]:
        """The steps that made an image, newest first."""
        catalog = self._register.catalog()
        return history(catalog, catalog.find(ref))

    def record(self, image_id: str) -> ImageRecord | None:
        """The image with an id, also one that is only kept for containers; None where there is none."""
        return self._register.record(image_id)

    def count(self) -> int:
        """How many there are, with those that have no name."""
        return len(self._register.catalog().images)

    # --- adding and naming

    def load(
        self, stream: Source, *, quiet: bool = True, platform: Platform | None = None
    ) -> AsyncIterator[LoadMessage]:
        """Load an archive of images; see ``ImageLoader.load``."""
        return self._loader.load(stream, quiet=quiet, platform=platform)

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
        return await self._loader.import_(stream, name, changes=changes, message=message, platform=platform)

    async def tag(self, ref: str, repo: str, tag: str = "") -> None:
        """Give an image a further name, which another image loses if it had it. NotFound, InvalidArgument."""
        image = self._register.catalog().find(ref)
        name = parse_tag(repo, tag)
        self._register.name(name, image.id)
        self._events.image("tag", image.id, name.familiar(), self._register.labels(image.id))

    # --- removing

    async def remove(self, ref: str, *, force: bool = False, noprune: bool = False) -> Sequence[Removal]:
        """Take a name away and, if it was the last, the image with what only it needs. NotFound, Conflict."""
        if not ref.strip():
            raise InvalidArgument("image name cannot be blank")
        plan = RemovalPlan(self._register.catalog(), self._users, force=force, prune=not noprune)
        steps = plan.remove(ref)
        events = [event for step in steps for event in self._events_of(step)]  # while the labels are known
        self._register.carry_out(steps)
        for event in events:
            self._events.image(*event)
        if any(isinstance(step, Deleted) for step in steps):
            await self.collect()
        return steps

    async def collect(self) -> None:
        """Delete what neither an image nor an intake under way needs."""
        await self._collector.collect()

    def _events_of(self, step: Removal) -> Iterator[tuple[str, Digest, str, dict[str, str] | None]]:
        if isinstance(step, Untagged):
            yield "untag", step.image_id, step.image_id, self._register.labels(step.image_id)
        elif not step.is_layer:
            yield "delete", step.id, step.id, self._register.labels(step.id)

    def released(self, image_id: Digest) -> None:
        """A container of this image is gone: what was only kept for it can go too."""
        if self._register.is_kept_for_containers(image_id):
            task = asyncio.create_task(self.collect())
            self._collections.add(task)
            task.add_done_callback(self._collections.discard)


def parse_tag(repo: str, tag: str) -> Reference:
    """The name that ``repo`` and ``tag`` make; InvalidArgument if an image cannot be given it."""
    name = Reference.parse_bare(repo).as_name()
    return name.with_tag(tag) if tag else Reference.parse(repo)
