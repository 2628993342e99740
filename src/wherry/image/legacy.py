"""Images as docker saved them before 1.10: each layer a folder with ``json`` and ``layer.tar``; ``repositories``.

Docker Image Specification v1.0, "Image JSON", "Combined Image JSON + Filesystem Changeset Format".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import field

from wherry.content.compression import decompressed
from wherry.content.digest import LAYER_LIMIT, Digest
from wherry.errors import InvalidArgument
from wherry.image.manifest import History, RootFS, RunConfig, decode
from wherry.values.references import Reference

_ID = re.compile(r"[0-9a-f]{64}")
_DROPPED = ("id", "parent", "Size", "parent_id", "layer_id", "throwaway")


class LegacyImage(msgspec.Struct, frozen=True):
    """One layer's ``json``: an image itself, on top of ``parent``."""

    parent: str = ""
    created: str | None = None
    author: str = ""
    comment: str = ""
    container_config: RunConfig = field(default_factory=RunConfig)

    @property
    def step(self) -> History:
        """What it says of its making."""
        command = self.container_config.cmd or ()
        text = command if isinstance(command, str) else " ".join(command)
        return History(self.created, text, self.author, self.comment)


class Name(NamedTuple):
    """A name of an image in ``repositories``, as it stands there."""

    repository: str
    tag: str
    id: str


def names(repositories: bytes) -> list[Name]:
    """All that ``repositories`` says, not looked at yet."""
    document = decode(repositories, dict[str, dict[str, str]], "repositories")
    return [Name(repository, tag, id) for repository, tags in document.items() for tag, id in tags.items()]


def tagged(names: Iterable[Name]) -> dict[str, list[Reference]]:
    """The ids of the images that have names, with their names. InvalidArgument for what is no name."""
    found: dict[str, list[Reference]] = {}
    for repository, tag, id in names:
        found.setdefault(id, []).append(Reference.parse_bare(repository).as_name().with_tag(tag))
    return found


def read(document: bytes, id: str) -> LegacyImage:
    """The ``json`` of the image ``id``."""
    return decode(document, LegacyImage, f"image {id}")


def ancestry(id: str, find: Callable[[str], LegacyImage]) -> list[str]:
    """An image's id and those of all below it, lowest first; ``find`` returns what each is."""
    ids: list[str] = []
    while id:
        if not _ID.fullmatch(id):
            raise InvalidArgument(f"the archive has an invalid image id: {id[:80]!r}")
        if id in ids:
            raise InvalidArgument(f"the archive's image {id} is its own ancestor")
        if len(ids) == LAYER_LIMIT:
            raise InvalidArgument(f"the archive's image {ids[0]} has more than {LAYER_LIMIT} layers")
        ids.append(id)
        id = find(id).parent
    return ids[::-1]


def config_of(document: bytes, images: Iterable[LegacyImage], diff_ids: Sequence[Digest]) -> bytes:
    """The config of the image with that ``json``, whose layers, lowest first, are these images and digests."""
    config = msgspec.json.decode(document, type=dict[str, msgspec.Raw])
    history = [image.step for image in images]
    added: dict[str, Any] = {"rootfs": RootFS(diff_ids=list(diff_ids)), "history": history}
    return msgspec.json.encode(
        {name: value for name, value in config.items() if name not in _DROPPED} | added
    )


def diff_id(chunks: Iterable[bytes]) -> Digest:
    """The digest of a layer's plain archive."""
    sha256 = hashlib.sha256()
    for plain in decompressed(iter(chunks)):
        sha256.update(plain)
    return "sha256:" + sha256.hexdigest()
