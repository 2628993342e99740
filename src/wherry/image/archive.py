"""``docker load``: images from a tar stream, in Docker's layout or OCI's, read once.

Docker Image Specification v1.2 "Combined Image JSON + Filesystem Changeset Format"; OCI image-spec,
image-layout.md. Every member becomes a blob while the stream goes by, for the list of images may come last.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from wherry.content.compression import READ, decompressed
from wherry.content.digest import Digest, is_digest
from wherry.content.names import clean
from wherry.content.tar import Kind, TarReader
from wherry.errors import InvalidArgument, NotFound
from wherry.image.blobs import Blob, BlobBatch
from wherry.image.index import Candidate, select
from wherry.image.manifest import (
    ArchiveItem,
    Descriptor,
    ImageConfig,
    Index,
    Manifest,
    Platform,
    decode,
)
from wherry.image.packed import PackedImage, layer_descriptor
from wherry.values.references import Reference

MEMBER_LIMIT = 1 << 16
_UNUSED = ("VERSION", "json", "repositories", "oci-layout")  # last parts of names that nothing refers to


class Source(Protocol):
    """Where an archive comes from: up to ``size`` bytes a call, none at its end. May block."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""


def read_archive(stream: Source, blobs: BlobBatch, platform: Platform) -> list[PackedImage]:
    """Take all members of an archive, plain or compressed, in as blobs, and find the images that they make.

    Of an image for several platforms the one for ``platform`` is taken. InvalidArgument if the archive is
    damaged or hostile, or lacks what it refers to and the store has not. Blocks.
    """
    return _images(_Archive(_spool(stream, blobs), blobs), platform)


def chunks_of(stream: Source) -> Iterator[bytes]:
    """What it holds, in pieces."""
    while chunk := stream.read(READ):
        yield chunk


# --- the stream


@dataclass(frozen=True, slots=True)
class _Members:
    """What the stream held, by clean name: files as blobs, links as what they point to."""

    files: dict[str, Blob] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)


def _spool(stream: Source, batch: BlobBatch) -> _Members:
    members = _Members()
    archive = TarReader(decompressed(chunks_of(stream)))
    for count, entry in enumerate(archive):
        if count >= MEMBER_LIMIT:
            raise InvalidArgument(
                f"the archive has more than {MEMBER_LIMIT} members; an image archive needs few"
            )
        name = clean(entry.name).decode("utf-8", "surrogateescape")
        if entry.kind is Kind.FILE and posixpath.basename(name) not in _UNUSED:
            members.files[name] = batch.add(archive.data(), _expected(name))
        elif entry.kind in (Kind.SYMLINK, Kind.HARDLINK):
            link = entry.link.decode("utf-8", "surrogateescape")
            base = posixpath.dirname(name) if entry.kind is Kind.SYMLINK else ""
            members.links[name] = posixpath.normpath(posixpath.join(base, link))
    archive.drain()
    return members


def _expected(name: str) -> Digest | None:
    """The digest that a member's place in an OCI layout promises."""
    folder, _, base = name.rpartition("/")
    digest = f"sha256:{base}"
    return digest if folder == "blobs/sha256" and is_digest(digest) else None


@dataclass(frozen=True, slots=True)
class _Archive:
    members: _Members
    batch: BlobBatch

    def file(self, name: str) -> Blob:
        """The blob that a member became, through links within the archive; InvalidArgument if it has none."""
        at = name
        for _ in range(8):
            if blob := self.members.files.get(at):
                return blob
            at = self.members.links.get(at, "")
        raise InvalidArgument(f"the archive has no file {name!r}")

    def has(self, name: str) -> bool:
        return name in self.members.files

    def read(self, digest: Digest, what: str) -> bytes:
        """A blob's content. InvalidArgument, which says ``what`` it is, where it is not there."""
        try:
            return self.batch.read(digest)
        except NotFound:
            raise InvalidArgument(f"the archive lacks the {what} {digest}") from None


# --- what it describes


def _images(archive: _Archive, platform: Platform) -> list[PackedImage]:
    """The images in an archive: by ``manifest.json`` where there is one, as dockerd does, else by ``index.json``."""
    if archive.has("manifest.json"):
        return _docker_images(archive)
    if archive.has("index.json"):
        return _oci_images(archive, platform)
    raise InvalidArgument(
        "not an image archive: it has neither a manifest.json (docker save) nor an index.json (OCI layout); "
        "to make an image of a root filesystem, use import"
    )


def _docker_images(archive: _Archive) -> list[PackedImage]:
    document = archive.batch.read(archive.file("manifest.json").digest)
    items = decode(document, list[ArchiveItem], "manifest.json")
    manifests = _manifests_by_config(archive)
    return [_docker_image(archive, item, manifests) for item in items]


def _docker_image(archive: _Archive, item: ArchiveItem, manifests: Mapping[Digest, Digest]) -> PackedImage:
    config = archive.file(item.config)
    blobs = [archive.file(name) for name in item.layers or ()]
    layers = [layer_descriptor(blob, archive.batch.path(blob.digest)) for blob in blobs]
    names = tuple(Reference.parse(tag) for tag in item.repo_tags or ())
    return _checked(archive, config.digest, layers, names, manifests.get(config.digest))


def _oci_images(archive: _Archive, platform: Platform) -> list[PackedImage]:
    chosen = select(_index(archive), lambda digest: archive.read(digest, "index"), platform)
    return [_oci_image(archive, candidate) for candidate in chosen]


def _oci_image(archive: _Archive, candidate: Candidate) -> PackedImage:
    digest = candidate.manifest.digest
    manifest = decode(archive.read(digest, "manifest"), Manifest, f"manifest {digest}")
    for layer in manifest.layers:
        if not archive.batch.exists(layer.digest):
            raise InvalidArgument(f"the archive lacks the layer {layer.digest}")
    return _checked(archive, manifest.config.digest, manifest.layers, candidate.names, digest)


def _checked(
    archive: _Archive,
    config_digest: Digest,
    layers: Sequence[Descriptor],
    names: tuple[Reference, ...],
    manifest: Digest | None,
) -> PackedImage:
    config = decode(archive.read(config_digest, "config"), ImageConfig, f"image config {config_digest}")
    if config.os not in ("", "linux"):
        raise InvalidArgument(f"cannot load {config.os} image on linux")
    if len(config.diff_ids) != len(layers):
        raise InvalidArgument(
            f"invalid manifest, layers length mismatch: expected {len(layers)}, got {len(config.diff_ids)}"
        )
    return PackedImage(config_digest, config, tuple(layers), names, manifest)


def _index(archive: _Archive) -> Index:
    return decode(archive.batch.read(archive.file("index.json").digest), Index, "index.json")


def _manifests_by_config(archive: _Archive) -> dict[Digest, Digest]:
    """Where a docker-archive is an OCI layout as well: the manifest of each config that it has whole."""
    found: dict[Digest, Digest] = {}
    with suppress(InvalidArgument):
        for descriptor in _index(archive).manifests:
            with suppress(InvalidArgument):
                data = archive.read(descriptor.digest, "manifest")
                found[decode(data, Manifest, "manifest").config.digest] = descriptor.digest
    return found
