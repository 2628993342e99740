"""What ``docker rmi`` takes away and what stands against it, by dockerd's rules. Pure: it decides, it does nothing.

Engine API, ``DELETE /images/{name}``. Hard conflicts (a running container, images built from it) cannot be
forced; soft ones (a stopped container, further names) can.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from wherry.content.digest import Digest
from wherry.engine.image_names import Catalog, is_id_prefix, short_id, single
from wherry.engine.image_record import ImageRecord
from wherry.errors import Conflict
from wherry.values.references import Reference

Users = Callable[[Digest], list[tuple[str, bool]]]
"""(container id, does it run) of the containers made from an image."""


@dataclass(frozen=True, slots=True)
class Untagged:
    """A name that goes; ``image_id`` is what it named."""

    reference: Reference
    image_id: Digest


@dataclass(frozen=True, slots=True)
class Deleted:
    """An image or, where ``is_layer``, a layer (by chain ID) that goes."""

    id: Digest
    is_layer: bool = False


Removal = Untagged | Deleted


@dataclass(slots=True)
class RemovalPlan:
    """Collects what goes, in order, while seeing the catalog as it will be."""

    catalog: Catalog
    users: Users
    force: bool
    prune: bool
    steps: list[Removal] = field(default_factory=list)

    def remove(self, ref: str) -> list[Removal]:
        """The steps that removing ``ref`` takes. Conflict with Docker's text where something stands against it."""
        image = self.catalog.find(ref)
        names = self.catalog.references(image.id)
        if is_id_prefix(image.id, ref):
            if single(names):
                self._require_unused(image)
                self._untag(image, names)
            self._delete(image, force=self.force, quiet=False)
        elif self._untag_name(ref, image, names):
            self._delete(image, force=self.force, quiet=True)
        return self.steps

    def _untag_name(self, ref: str, image: ImageRecord, names: list[Reference]) -> bool:
        """Take one name away; whether it was the last."""
        users = self.users(image.id)
        if users and single(names) and not self.force:
            raise Conflict(
                f'conflict: unable to remove repository reference "{ref}" (must force) - '
                f"container {short_id(users[0][0])} is using its referenced image {short_id(image.id)}"
            )
        name = Reference.parse(ref)
        self._untag(image, [name])
        rest = self.catalog.references(image.id)
        if not name.digest and not any(r.tag and r.name == name.name for r in rest):
            self._untag(image, [r for r in rest if r.digest and r.name == name.name])
        return not self.catalog.references(image.id)

    def _untag(self, image: ImageRecord, names: list[Reference]) -> None:
        gone = {name.canonical() for name in names}
        tags = {name: id for name, id in self.catalog.tags.items() if name not in gone}
        self.catalog = Catalog(self.catalog.images, tags)
        self.steps += [Untagged(name, image.id) for name in names]

    def _delete(self, image: ImageRecord, *, force: bool, quiet: bool) -> None:
        obstacle = self._obstacle(image, names=not force, stopped=not force)
        if obstacle and quiet:
            return
        if obstacle:
            raise Conflict(obstacle)
        self._untag(image, self.catalog.references(image.id))
        images = {id: other for id, other in self.catalog.images.items() if id != image.id}
        self.catalog = Catalog(images, self.catalog.tags)
        self.steps += [Deleted(image.id), *self._layers_of(image)]
        parent = images.get(image.parent or "")
        if self.prune and parent is not None:
            self._delete(parent, force=False, quiet=True)

    def _layers_of(self, image: ImageRecord) -> list[Deleted]:
        """Its layers that no image needs any more, topmost first; containers keep theirs."""
        if self.users(image.id):
            return []
        kept = {chain_id for other in self.catalog.images.values() for chain_id in other.chain_ids}
        return [Deleted(chain_id, True) for chain_id in reversed(image.chain_ids) if chain_id not in kept]

    def _require_unused(self, image: ImageRecord) -> None:
        obstacle = self._obstacle(image, names=False, stopped=not self.force)
        if obstacle:
            raise Conflict(obstacle)

    def _obstacle(self, image: ImageRecord, *, names: bool, stopped: bool) -> str:
        """What stands against its removal, in Docker's words; "" for nothing."""
        users = self.users(image.id)
        running = [short_id(id) for id, runs in users if runs]
        if self.catalog.children(image.id):
            return _conflict(image, "cannot be forced", "image has dependent child images")
        if running:
            text = f"image is being used by running container {running[0]}"
            return _conflict(image, "cannot be forced", text)
        if names and self.catalog.references(image.id):
            return _conflict(image, "must be forced", "image is referenced in multiple repositories")
        if stopped and users:
            text = f"image is being used by stopped container {short_id(users[0][0])}"
            return _conflict(image, "must be forced", text)
        return ""


def _conflict(image: ImageRecord, force: str, reason: str) -> str:
    return f"conflict: unable to delete {short_id(image.id)} ({force}) - {reason}"
