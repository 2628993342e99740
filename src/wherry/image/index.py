"""Which images an OCI index offers to this machine. OCI image-spec, image-index.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from wherry.content.digest import Digest
from wherry.errors import InvalidArgument
from wherry.image.manifest import INDEX_TYPES, MANIFEST_TYPES, Descriptor, Index, Platform, decode
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


def select(index: Index, read: Callable[[Digest], bytes], platform: Platform) -> list[Candidate]:
    """The image of each name, and each nameless image, that is for ``platform``.

    Descriptors that share a name are one image for several platforms. ``read`` returns a nested index.
    InvalidArgument if nothing fits.
    """
    groups: dict[str, list[Descriptor]] = {}
    seen: dict[str, set[Digest]] = {}
    for position, descriptor in enumerate(index.manifests):
        name = _name(descriptor)
        key = name or ("" if descriptor.platform else f"#{position}")
        groups.setdefault(key, []).extend(_flatten(descriptor, read, seen.setdefault(key, set())))
    chosen = [(name, _fitting(manifests, platform)) for name, manifests in groups.items()]
    candidates = [
        Candidate(manifest, (Reference.parse(name),) if name and not name.startswith("#") else ())
        for name, manifest in chosen
        if manifest
    ]
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


def _name(descriptor: Descriptor) -> str:
    """The image name in the annotations; a bare tag, which names no repository, counts for none."""
    annotations = descriptor.annotations or {}
    short = annotations.get(_SHORT_NAME, "")
    return annotations.get(_FULL_NAME) or (short if "/" in short or ":" in short else "")


def _flatten(
    descriptor: Descriptor, read: Callable[[Digest], bytes], seen: set[Digest], depth: int = _DEPTH
) -> Iterator[Descriptor]:
    """The image manifests behind a descriptor; attestations and foreign artifacts are none.

    Each index in ``seen`` is passed over: many references to one index would multiply at every level.
    """
    if descriptor.media_type in INDEX_TYPES:
        if not depth:
            raise InvalidArgument(f"the archive nests more than {_DEPTH} indexes")
        if descriptor.digest in seen:
            return
        seen.add(descriptor.digest)
        index = decode(read(descriptor.digest), Index, f"index {descriptor.digest}")
        if len(index.manifests) > _MANIFESTS:
            raise InvalidArgument(
                f"the archive's index {descriptor.digest} has more than {_MANIFESTS} manifests"
            )
        for nested in index.manifests:
            yield from _flatten(nested, read, seen, depth - 1)
    elif descriptor.media_type in MANIFEST_TYPES and _ATTESTATION not in (descriptor.annotations or {}):
        yield descriptor


def _fitting(manifests: list[Descriptor], wanted: Platform) -> Descriptor | None:
    """The best match; a manifest that names no platform fits any."""
    ranked = sorted(manifests, key=lambda manifest: _rank(manifest.platform, wanted), reverse=True)
    return ranked[0] if ranked and _rank(ranked[0].platform, wanted) else None


def _rank(offered: Platform | None, wanted: Platform) -> int:
    if offered is None or not offered.architecture:
        return 1
    if (offered.os, offered.architecture) != (wanted.os, wanted.architecture):
        return 0
    if wanted.variant:
        return 3 if offered.variant == wanted.variant else 2
    return 3 if offered.variant in ("", "v8") else 2
