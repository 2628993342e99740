"""What a word that a client gives may mean among the images that are here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from wherry.content.digest import Digest
from wherry.engine.image_record import ImageRecord
from wherry.errors import NotFound
from wherry.values.references import Reference, is_full_id

_ID_PREFIX = re.compile(r"(?:sha256:)?([0-9a-f]{1,64})")


@dataclass(frozen=True)
class Catalog:
    """The images and their names at one moment. Canonical references are the keys of ``tags``."""

    images: Mapping[Digest, ImageRecord]
    tags: Mapping[str, Digest]

    def find(self, ref: str) -> ImageRecord:
        """By full id, by name (tag ``latest`` unless given; or digest), or by an unambiguous start of the id.

        In that order, as dockerd does. NotFound with Docker's text, InvalidArgument if it is no reference.
        """
        if is_full_id(ref):
            digest = "sha256:" + ref.removeprefix("sha256:")
            return self._by_id(digest, f"No such image: {digest}")
        reference = Reference.parse(ref)
        named = self._by_name(reference)
        if named is not None:
            return named
        return self._by_prefix(ref, f"No such image: {reference.familiar()}")

    def references(self, image_id: Digest) -> list[Reference]:
        """All names of an image, sorted."""
        return self._references.get(image_id, [])

    def children(self, image_id: Digest) -> list[ImageRecord]:
        """Images built or committed from this one."""
        return self._children.get(image_id, [])

    @cached_property
    def _references(self) -> dict[Digest, list[Reference]]:
        found: dict[Digest, list[Reference]] = {}
        for name, image_id in self.tags.items():
            found.setdefault(image_id, []).append(Reference.parse(name))
        return {image_id: sorted(names) for image_id, names in found.items()}

    @cached_property
    def _children(self) -> dict[Digest, list[ImageRecord]]:
        found: dict[Digest, list[ImageRecord]] = {}
        for image in self.images.values():
            if image.parent is not None:
                found.setdefault(image.parent, []).append(image)
        return found

    def _by_id(self, digest: Digest, missing: str) -> ImageRecord:
        found = self.images.get(digest)
        if found is None:
            raise NotFound(missing)
        return found

    def _by_name(self, reference: Reference) -> ImageRecord | None:
        if not reference.digest:
            return self.images.get(self.tags.get(reference.canonical(), ""))
        for image_id in self._in_repository(reference.name):
            image = self.images[image_id]
            if reference.digest in (image.manifest, image.id):
                return image
        digested = Reference(reference.domain, reference.path, digest=reference.digest)
        return self.images.get(self.tags.get(digested.canonical(), ""))

    def _in_repository(self, name: str) -> Iterator[Digest]:
        for tag, image_id in self.tags.items():
            if tag.startswith((f"{name}:", f"{name}@")) and image_id in self.images:
                yield image_id

    def _by_prefix(self, ref: str, missing: str) -> ImageRecord:
        match = _ID_PREFIX.fullmatch(ref)
        found = [image for id, image in self.images.items() if match and id[7:].startswith(match[1])]
        if len(found) > 1:
            raise NotFound(f"{missing}: {len(found)} image ids begin with {ref}, give more digits")
        if not found:
            raise NotFound(missing)
        return found[0]


def is_id_prefix(image_id: Digest, ref: str) -> bool:
    """Whether a word that found an image is the start of its id, with or without ``sha256:``."""
    return image_id.startswith(ref) or image_id.removeprefix("sha256:").startswith(ref)


def short_id(id: str) -> str:
    """The first twelve hexadecimal digits."""
    return id.removeprefix("sha256:")[:12]


def single(references: Iterable[Reference]) -> bool:
    """Whether all names are of one repository with at most one tag among them; false for none."""
    found = list(references)
    tags = [reference for reference in found if not reference.digest]
    return bool(found) and len(tags) <= 1 and len({reference.name for reference in found}) == 1
