"""Which images an OCI index offers to this machine. OCI image-spec, image-index.md.

An index may hold more than images: attestations, signatures, SBOMs and other artifacts are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from wherry.content.digest import Digest
from wherry.errors import InvalidArgument
from wherry.image.manifest import INDEX_TYPES, MANIFEST_TYPES, Descriptor, Index, Manifest, Platform, decode
from wherry.values.references import Reference

_DEPTH = 4  # indexes within indexes
_MANIFESTS = 4096  # in one index
_FULL_NAME = "io.containerd.image.name"
_SHORT_NAME = "org.opencontainers.image.ref.name"
_ATTESTATION = "vnd.docker.reference.type"


class Candidate(NamedTuple):
    """An image's manifest with the names that it goes by."""

    manifest: Descriptor
    names: tuple[Reference, ...]


class _Key(NamedTuple):
    """What makes descriptors one image: a name, or else that they have none, or where they stand."""

    name: Reference | None
    position: int


def select(index: Index, read: Callable[[Digest], bytes], platform: Platform) -> list[Candidate]:
    """The image of each name, and each nameless image, that is for ``platform``.

    Descriptors that share a name are one image for several platforms. ``read`` returns a manifest or a nested
    index. InvalidArgument if nothing fits.
    """
    groups: dict[_Key, list[Descriptor]] = {}
    seen: dict[_Key, set[Digest]] = {}
    for position, descriptor in enumerate(index.manifests):
        name = _name(descriptor)
        key = _Key(name, -1 if name or descriptor.platform else position)
        groups.setdefault(key, []).extend(_flatten(descriptor, read, seen.setdefault(key, set())))
    chosen = [(key.name, _fitting(manifests, read, platform)) for key, manifests in groups.items()]
    candidates = [Candidate(manifest, (name,) if name else ()) for name, manifest in chosen if manifest]
    if not candidates:
        offered = {
            str(manifest.platform) for found in groups.values() for manifest in found if manifest.platform
        }
        listing = ", ".join(sorted(offered)) or "none"
        raise InvalidArgument(f"the archive has no image for {platform}; it has: {listing}")
    return _merged(candidates)


def _merged(candidates: list[Candidate]) -> list[Candidate]:
    """One candidate a manifest, with all its names."""
    merged: dict[Digest, Candidate] = {}
    for manifest, names in candidates:
        first = merged.get(manifest.digest)
        merged[manifest.digest] = Candidate(manifest, (first.names if first else ()) + names)
    return list(merged.values())


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
    descriptor: Descriptor, read: Callable[[Digest], bytes], seen: set[Digest], depth: int = _DEPTH
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
        index = decode(read(descriptor.digest), Index, f"index {descriptor.digest}")
        if len(index.manifests) > _MANIFESTS:
            raise InvalidArgument(
                f"the archive's index {descriptor.digest} has more than {_MANIFESTS} manifests"
            )
        for nested in index.manifests:
            yield from _flatten(nested, read, seen, depth - 1)
    elif descriptor.media_type in MANIFEST_TYPES and _ATTESTATION not in (descriptor.annotations or {}):
        seen.add(descriptor.digest)
        yield descriptor


def _fitting(
    manifests: list[Descriptor], read: Callable[[Digest], bytes], wanted: Platform
) -> Descriptor | None:
    """The image that matches best; a manifest that names no platform fits any."""
    ranked = sorted(manifests, key=lambda manifest: _rank(manifest.platform, wanted), reverse=True)
    fitting = (manifest for manifest in ranked if _rank(manifest.platform, wanted))
    return next((manifest for manifest in fitting if _is_image(manifest.digest, read)), None)


def _is_image(digest: Digest, read: Callable[[Digest], bytes]) -> bool:
    return decode(read(digest), Manifest, f"manifest {digest}").is_image


def _rank(offered: Platform | None, wanted: Platform) -> int:
    if offered is None or not offered.architecture:
        return 1
    if (offered.os, offered.architecture) != (wanted.os, wanted.architecture):
        return 0
    if wanted.variant:
        return 3 if offered.variant == wanted.variant else 2
    return 3 if offered.variant in ("", "v8") else 2
