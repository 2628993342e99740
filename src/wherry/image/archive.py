"""``docker load``: images from a tar stream, in Docker's layout or OCI's, read once.

Docker Image Specification v1.2 "Combined Image JSON + Filesystem Changeset Format"; OCI image-spec,
image-layout.md. Every member becomes a blob while the stream goes by, for the list of images may come last;
then the layers are unpacked from those blobs; at the end all appears at once, or nothing.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from wherry.content.compression import READ, decompressed
from wherry.content.digest import Digest, chain_ids, is_digest
from wherry.content.names import clean
from wherry.content.tar import Kind, TarReader
from wherry.errors import InvalidArgument, NotFound
from wherry.image.blobs import Blob, BlobBatch, BlobStore
from wherry.image.index import Candidate, select
from wherry.image.layers import Layer, LayerBatch, LayerStore
from wherry.image.manifest import (
    LAYER_TYPE,
    ArchiveItem,
    Descriptor,
    ImageConfig,
    Index,
    Manifest,
    Platform,
    decode,
    host_platform,
)
from wherry.linux.sync import syncfs
from wherry.values.references import Reference

MEMBER_LIMIT = 1 << 16
_UNUSED = ("VERSION", "json", "repositories", "oci-layout")  # last parts of names that nothing refers to


class Source(Protocol):
    """Where an archive comes from: up to ``size`` bytes a call, none at its end. May block."""

    def read(self, size: int, /) -> bytes: ...


class LayerProgress(NamedTuple):
    """How far the unpacking of a layer is, in bytes of its blob."""

    diff_id: Digest
    current: int
    total: int


Report = Callable[[LayerProgress], None]
"""Called from more than one thread."""


@dataclass(frozen=True, slots=True)
class LoadedImage:
    """An image that is now in the stores. ``names`` are those that the archive gives it."""

    id: Digest
    config: ImageConfig
    layers: tuple[Layer, ...]  # lowest first
    blobs: tuple[Descriptor, ...]  # of the layers, lowest first
    names: tuple[Reference, ...] = ()
    manifest: Digest | None = None


@dataclass(frozen=True, slots=True)
class _Plan:
    """An image that the archive describes, before its layers are unpacked."""

    id: Digest
    config: ImageConfig
    blobs: tuple[Descriptor, ...]
    names: tuple[Reference, ...]
    manifest: Digest | None


def load(
    stream: Source,
    blobs: BlobStore,
    layers: LayerStore,
    report: Report = lambda progress: None,
    platform: Platform | None = None,
) -> list[LoadedImage]:
    """Load all images of an archive, plain or compressed. InvalidArgument if it is damaged or hostile.

    Of an image for several platforms the one for ``platform`` (the host's) is taken. Blocks.
    """
    with blobs.batch() as blob_batch, layers.batch() as layer_batch:
        members = _spool(stream, blob_batch)
        plans = _plan(_Archive(members, blob_batch), platform or host_platform())
        images = [_unpack(plan, blob_batch, layer_batch, report) for plan in plans]
        syncfs([blobs.root, layers.root])
        blob_batch.commit(digest for image in images for digest in needed_blobs(image))
        layer_batch.commit()
    return images


def needed_blobs(image: LoadedImage) -> Iterator[Digest]:
    yield image.id
    if image.manifest:
        yield image.manifest
    for blob in image.blobs:
        yield blob.digest


def chunks_of(stream: Source) -> Iterator[bytes]:
    while chunk := stream.read(READ):
        yield chunk


def media_type(path: Path) -> str:
    """Of a layer's blob, by its first bytes."""
    with path.open("rb") as file:
        head = file.read(4)
    if head.startswith(b"\x1f\x8b"):
        return f"{LAYER_TYPE}+gzip"
    return f"{LAYER_TYPE}+zstd" if head == b"\x28\xb5\x2f\xfd" else LAYER_TYPE


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
        try:
            return self.batch.read(digest)
        except NotFound:
            raise InvalidArgument(f"the archive lacks the {what} {digest}") from None


# --- what it describes


def _plan(archive: _Archive, platform: Platform) -> list[_Plan]:
    """The images in an archive: by ``manifest.json`` where there is one, as dockerd does, else by ``index.json``."""
    if archive.has("manifest.json"):
        return _plan_docker(archive)
    if archive.has("index.json"):
        return _plan_oci(archive, platform)
    raise InvalidArgument(
        "not an image archive: it has neither a manifest.json (docker save) nor an index.json (OCI layout); "
        "to make an image of a root filesystem, use import"
    )


def _plan_docker(archive: _Archive) -> list[_Plan]:
    document = archive.batch.read(archive.file("manifest.json").digest)
    items = decode(document, list[ArchiveItem], "manifest.json")
    manifests = _manifests_by_config(archive)
    return [_plan_item(archive, item, manifests) for item in items]


def _plan_item(archive: _Archive, item: ArchiveItem, manifests: Mapping[Digest, Digest]) -> _Plan:
    config = archive.file(item.config)
    blobs = [archive.file(name) for name in item.layers or ()]
    layers = [
        Descriptor(media_type(archive.batch.path(blob.digest)), blob.digest, blob.size) for blob in blobs
    ]
    names = tuple(Reference.parse(tag) for tag in item.repo_tags or ())
    return _checked_plan(archive, config.digest, layers, names, manifests.get(config.digest))


def _plan_oci(archive: _Archive, platform: Platform) -> list[_Plan]:
    chosen = select(_index(archive), lambda digest: archive.read(digest, "index"), platform)
    return [_plan_candidate(archive, candidate) for candidate in chosen]


def _plan_candidate(archive: _Archive, candidate: Candidate) -> _Plan:
    digest = candidate.manifest.digest
    manifest = decode(archive.read(digest, "manifest"), Manifest, f"manifest {digest}")
    for layer in manifest.layers:
        if not archive.batch.exists(layer.digest):
            raise InvalidArgument(f"the archive lacks the layer {layer.digest}")
    return _checked_plan(archive, manifest.config.digest, manifest.layers, candidate.names, digest)


def _checked_plan(
    archive: _Archive,
    config_digest: Digest,
    layers: Sequence[Descriptor],
    names: tuple[Reference, ...],
    manifest: Digest | None,
) -> _Plan:
    config = decode(archive.read(config_digest, "config"), ImageConfig, f"image config {config_digest}")
    if config.os not in ("", "linux"):
        raise InvalidArgument(f"cannot load {config.os} image on linux")
    if len(config.diff_ids) != len(layers):
        raise InvalidArgument(
            f"invalid manifest, layers length mismatch: expected {len(layers)}, got {len(config.diff_ids)}"
        )
    return _Plan(config_digest, config, tuple(layers), names, manifest)


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


# --- the layers


def _unpack(plan: _Plan, blobs: BlobBatch, layers: LayerBatch, report: Report) -> LoadedImage:
    stack: list[Layer] = []
    diff_ids = plan.config.diff_ids
    for chain_id, diff_id, blob in zip(chain_ids(diff_ids), diff_ids, plan.blobs, strict=True):
        layer = layers.get(chain_id)
        if layer is None:
            source = _reported(blobs.path(blob.digest), diff_id, blob.size, report)
            layer = layers.unpack(source, stack, diff_id)
        stack.append(layer)
    return LoadedImage(plan.id, plan.config, tuple(stack), plan.blobs, plan.names, plan.manifest)


def _reported(path: Path, diff_id: Digest, total: int, report: Report) -> Iterator[bytes]:
    current = 0
    with path.open("rb", buffering=0) as file:
        for chunk in chunks_of(file):
            current += len(chunk)
            yield chunk
            report(LayerProgress(diff_id, current, total))
