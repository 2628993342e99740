"""Which images an OCI index offers to this machine. OCI image-spec, image-index.md.

An index may hold more than images: attestations, signatures, SBOMs and other artifacts are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from wherry.content.digest import Digest
from wherry.errors import InvalidArgument
from wherry.image.manifest import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    Descriptor,
    Index,
    Manifest,
    Platform,
    decode,
    host_platform,
)
from wherry.values.references import Reference

_DEPTH = 4  # indexes within indexes
_MANIFESTS = 1 << 14  # in all indexes together
_FULL_NAME = "io.containerd.image.name"
_SHORT_NAME = "org.opencontainers.image.ref.name"
_ATTESTATION = "vnd.docker.reference.type"


class Candidate(NamedTuple):
    """An image's manifest with the names that it goes by."""

    manifest: Descriptor
    names: tuple[Reference, ...]


class _Key(NamedTuple):
    """What makes descriptors one image: a name; or that they have none, or point at the same."""

    name: Reference | None
    digest: Digest


def select(index: Index, read: Callable[[Digest], bytes], platform: Platform | None) -> list[Candidate]:
    """The image of each name, and each nameless image, that is for ``platform``, or else the best for this machine.

    Descriptors that share a name are one image for several platforms. ``read`` returns a manifest or a nested
    index. InvalidArgument if nothing fits.
    """
    documents = _Documents(read)
    groups: dict[_Key, list[Descriptor]] = {}
    seen: dict[_Key, set[Digest]] = {}
    documents.look_at(index)
    for descriptor in index.manifests:
        name = _name(descriptor)
        key = _Key(name, "" if name or descriptor.platform else descriptor.digest)
        groups.setdefault(key, []).extend(_flatten(descriptor, documents, seen.setdefault(key, set())))
    chosen = [(key.name, _fitting(manifests, documents, platform)) for key, manifests in groups.items()]
    candidates = [Candidate(manifest, (name,) if name else ()) for name, manifest in chosen if manifest]
    if not candidates:
        offered = {
            str(manifest.platform) for found in groups.values() for manifest in found if manifest.platform
        }
        listing = ", ".join(sorted(offered)) or "none"
        raise InvalidArgument(
            f"the archive has no image for {platform or host_platform()}; it has: {listing}"
        )
    return _merged(candidates)


class _Documents:
    """The documents behind descriptors, each read once however often it is pointed at."""

    def __init__(self, read: Callable[[Digest], bytes]) -> None:
        self._read = read
        self._indexes: dict[Digest, Index] = {}
        self._manifests: dict[Digest, Manifest] = {}
        self._looked_at = 0

    def index(self, digest: Digest) -> Index:
        if digest not in self._indexes:
            self._indexes[digest] = decode(self._read(digest), Index, f"index {digest}")
        self.look_at(self._indexes[digest])
        return self._indexes[digest]

    def manifest(self, digest: Digest) -> Manifest:
        if digest not in self._manifests:
            self._manifests[digest] = decode(self._read(digest), Manifest, f"manifest {digest}")
        return self._manifests[digest]

    def look_at(self, index: Index) -> None:
        """InvalidArgument where all indexes together point at more than an archive can need."""
        self._looked_at += len(index.manifests)
        if self._looked_at > _MANIFESTS:
            raise InvalidArgument(f"the archive's indexes have more than {_MANIFESTS} manifests")


def _merged(candidates: list[Candidate]) -> list[Candidate]:
    """One candidate a manifest, with all its names."""
    first: dict[Digest, Descriptor] = {}
    all_names: dict[Digest, list[Reference]] = {}
    for manifest, names in candidates:
        first.setdefault(manifest.digest, manifest)
        all_names.setdefault(manifest.digest, []).extend(names)
    return [Candidate(manifest, tuple(all_names[digest])) for digest, manifest in first.items()]


def _name(descriptor: Descriptor) -> Reference | None:
    """The image name in the annotations, which are free text.

    A bare tag, which names no repository, is none, nor is what no image can be given as a name.
    """
    annotations = descriptor.annotations or {}
    short = annotations.get(_SHORT_NAME, "")
    text = annotations.get(_FULL_NAME) or (short if "/" in short or ":" in short else "")
    try:
        return Reference.parse(text).as_name()
    except InvalidArgument:
        return None


def _flatten(
    descriptor: Descriptor, documents: _Documents, seen: set[Digest], depth: int = _DEPTH
) -> Iterator[Descriptor]:
    """The manifests behind a descriptor, but for attestations.

    What is in ``seen`` is passed over: many references to one index would multiply at every level.
    """
    if descriptor.digest in seen:
        return
    if descriptor.media_type in INDEX_TYPES:
        if not depth:
            raise InvalidArgument(f"the archive nests more than {_DEPTH} indexes")
        seen.add(descriptor.digest)
        for nested in documents.index(descriptor.digest).manifests:
            yield from _flatten(nested, documents, seen, depth - 1)
    elif descriptor.media_type in MANIFEST_TYPES and _ATTESTATION not in (descriptor.annotations or {}):
        seen.add(descriptor.digest)
        yield descriptor


def _fitting(
    manifests: list[Descriptor], documents: _Documents, wanted: Platform | None
) -> Descriptor | None:
    """The image that matches best; a manifest that names no platform fits any."""
    ranked = sorted(manifests, key=lambda manifest: _rank(manifest.platform, wanted), reverse=True)
    fitting = (manifest for manifest in ranked if _rank(manifest.platform, wanted))
    return next((manifest for manifest in fitting if documents.manifest(manifest.digest).is_image), None)


def _rank(offered: Platform | None, wanted: Platform | None) -> float:
    if offered is None or not offered.architecture:
        return 0.5
    return host_platform().fitness(offered) if wanted is None else wanted.same(offered)
