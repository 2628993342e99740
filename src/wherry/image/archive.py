"""``docker load``: images from a tar stream, in Docker's layout (two of them) or OCI's, read once.

Docker Image Specification v1.2 "Combined Image JSON + Filesystem Changeset Format"; OCI image-spec,
image-layout.md. Every member becomes a blob while the stream goes by, for the list of images may come last.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from wherry.content.compression import READ, decompressed
from wherry.content.digest import LAYER_LIMIT, Digest, chain_ids, is_digest
from wherry.content.names import PATH_LIMIT, show
from wherry.content.tar import Kind, TarReader
from wherry.errors import InvalidArgument, NotFound
from wherry.image import legacy
from wherry.image.blobs import Blob, BlobBatch
from wherry.image.index import Candidate, select
from wherry.image.legacy import LegacyImage
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
IMAGE_LIMIT, NAME_LIMIT = 1 << 12, 1 << 14

Known = Callable[[Digest], Descriptor | None]
"""The blob, if there is one here, of the layer with a chain ID. Archives may leave out what is here already."""


class Source(Protocol):
    """Where an archive comes from: up to ``size`` bytes a call, none at its end. May block."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""


def read_archive(
    stream: Source, blobs: BlobBatch, platform: Platform | None = None, known: Known = lambda chain_id: None
) -> list[PackedImage]:
    """Take all members of an archive, plain or compressed, in as blobs, and find the images that they make.

    Of an image for several platforms the one for ``platform``, or else for this machine, is taken, and where
    ``platform`` is given none that is for another one. InvalidArgument if the archive is
    damaged or hostile, or lacks what it refers to and the store has not. Blocks.
    """
    return _merged(_images(_Archive(_spool(stream, blobs), blobs, known), platform))


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
        name = _name(entry.name)
        if name.startswith("../"):
            raise InvalidArgument(f"the archive points out of the image: {show(entry.name)}")
        if entry.kind is Kind.FILE:
            members.files[name] = batch.add(archive.data(), _expected(name))
        elif entry.kind is Kind.SYMLINK and not entry.link.startswith(b"/"):
            members.links[name] = posixpath.normpath(
                posixpath.join(posixpath.dirname(name), _name(entry.link))
            )
        elif entry.kind in (Kind.SYMLINK, Kind.HARDLINK):
            members.links[name] = _name(entry.link)
    archive.drain()
    return members


def _name(text: bytes) -> str:
    """A member's name in its one spelling: from the archive's top, without ``.``, ``..`` and doubled slashes."""
    if len(text) > PATH_LIMIT:
        raise InvalidArgument(f"the archive has an impossible file name: {show(text)}")
    return _normal(text.decode("utf-8", "surrogateescape"))


def _normal(name: str) -> str:
    return posixpath.normpath(name.lstrip("/"))


def _expected(name: str) -> Digest | None:
    """The digest that a member's place in an OCI layout promises."""
    folder, _, base = name.rpartition("/")
    digest = f"sha256:{base}"
    return digest if folder == "blobs/sha256" and is_digest(digest) else None


@dataclass(frozen=True, slots=True)
class _Archive:
    members: _Members
    batch: BlobBatch
    known: Known
    configs: dict[Digest, ImageConfig] = field(default_factory=dict)  # that were read
    diff_ids: dict[Digest, Digest] = field(default_factory=dict)  # of blobs that were hashed
    old_images: dict[str, LegacyImage] = field(default_factory=dict)  # that were read

    def file(self, name: str) -> Blob:
        """The blob that a member became, through links within the archive; InvalidArgument if it has none."""
        at = _normal(name)
        for _ in range(8):
            if blob := self.members.files.get(at):
                return blob
            at = self.members.links.get(at, "")
        raise InvalidArgument(f"the archive has no file {name!r}")

    def has(self, name: str) -> bool:
        return name in self.members.files

    def document(self, name: str) -> bytes:
        """A member's content."""
        return self.batch.read(self.file(name).digest)

    def old(self, id: str) -> LegacyImage:
        """An image as Docker saved it of old; many others may stand on it."""
        if id not in self.old_images:
            self.old_images[id] = legacy.read(self.document(f"{id}/json"), id)
        return self.old_images[id]

    def here(self, chain_id: Digest) -> Descriptor | None:
        """The blob of a layer that was here before."""
        descriptor = self.known(chain_id)
        return descriptor if descriptor and self.batch.exists(descriptor.digest) else None

    def read(self, digest: Digest, what: str) -> bytes:
        """A blob's content. InvalidArgument, which says ``what`` it is, where it is not there."""
        try:
            return self.batch.read(digest)
        except NotFound:
            raise InvalidArgument(f"the archive lacks the {what} {digest}") from None


# --- what it describes


def _images(archive: _Archive, platform: Platform | None) -> list[PackedImage]:
    """The images in an archive: by ``manifest.json`` where there is one, as dockerd does, else by another list."""
    if archive.has("manifest.json"):
        return _wanted(_docker_images(archive), platform)
    if archive.has("index.json"):
        return _oci_images(archive, platform)
    if archive.has("repositories"):
        return _wanted(_legacy_images(archive), platform)
    raise InvalidArgument(
        "not an image archive: it has neither a manifest.json (docker save) nor an index.json (OCI layout); "
        "to make an image of a root filesystem, use import"
    )


def _wanted(images: list[PackedImage], platform: Platform | None) -> list[PackedImage]:
    """Those for the platform that was asked for, and no other that would run there."""
    if platform is None:
        return images
    found = [image for image in images if platform.same(image.config.platform)]
    if images and not found:
        offered = ", ".join(sorted({str(image.config.platform) or "unknown" for image in images}))
        raise InvalidArgument(f"the archive has no image for {platform}; it has: {offered}")
    return found


def _merged(images: list[PackedImage]) -> list[PackedImage]:
    """Each image once, with all names that it came with."""
    first: dict[Digest, PackedImage] = {}
    names: dict[Digest, list[Reference]] = {}
    for image in images:
        first.setdefault(image.id, image)
        names.setdefault(image.id, []).extend(image.names)
    return [replace(image, names=tuple(names[id])) for id, image in first.items()]


def _limit(images: int, names: int) -> None:
    if images > IMAGE_LIMIT or names > NAME_LIMIT:
        raise InvalidArgument(f"the archive has more than {IMAGE_LIMIT} images, or {NAME_LIMIT} names")


def _docker_images(archive: _Archive) -> list[PackedImage]:
    items = decode(archive.document("manifest.json"), list[ArchiveItem], "manifest.json")
    _limit(len(items), sum(len(item.repo_tags or ()) for item in items))
    manifests = _manifests_by_config(archive)
    return [_docker_image(archive, item, manifests) for item in items]


def _docker_image(archive: _Archive, item: ArchiveItem, manifests: Mapping[Digest, Digest]) -> PackedImage:
    digest = archive.file(item.config).digest
    files = item.layers or ()
    config = _config(archive, digest, len(files))
    layers = _layers(archive, config, lambda position: _file_layer(archive, files[position]))
    names = tuple(Reference.parse(tag).as_name() for tag in item.repo_tags or ())
    return PackedImage(digest, config, layers, names, manifests.get(digest))


def _file_layer(archive: _Archive, name: str) -> Descriptor:
    blob = archive.file(name)
    return layer_descriptor(blob, archive.batch.path(blob.digest))


def _legacy_images(archive: _Archive) -> list[PackedImage]:
    names = legacy.names(archive.document("repositories"))
    _limit(len({name.id for name in names}), len(names))
    return [_legacy_image(archive, id, tuple(named)) for id, named in legacy.tagged(names).items()]


def _legacy_image(archive: _Archive, id: str, names: tuple[Reference, ...]) -> PackedImage:
    ids = legacy.ancestry(id, archive.old)
    layers = tuple(_file_layer(archive, f"{id}/layer.tar") for id in ids)
    document = legacy.config_of(
        archive.document(f"{id}/json"),
        map(archive.old, ids),
        [_diff_id(archive, layer.digest) for layer in layers],
    )
    digest = archive.batch.add([document]).digest
    return PackedImage(digest, _config(archive, digest, len(layers)), layers, names)


def _diff_id(archive: _Archive, layer: Digest) -> Digest:
    if layer not in archive.diff_ids:
        with archive.batch.path(layer).open("rb", buffering=0) as file:
            archive.diff_ids[layer] = legacy.diff_id(chunks_of(file))
    return archive.diff_ids[layer]


def _oci_images(archive: _Archive, platform: Platform | None) -> list[PackedImage]:
    chosen = select(_index(archive), lambda digest: archive.read(digest, "manifest"), platform)
    return [_oci_image(archive, candidate) for candidate in chosen]


def _oci_image(archive: _Archive, candidate: Candidate) -> PackedImage:
    digest = candidate.manifest.digest
    manifest = decode(archive.read(digest, "manifest"), Manifest, f"manifest {digest}")
    config = _config(archive, manifest.config.digest, len(manifest.layers))
    layers = _layers(archive, config, lambda position: _blob_layer(archive, manifest.layers[position]))
    return PackedImage(manifest.config.digest, config, layers, candidate.names, digest)


def _blob_layer(archive: _Archive, layer: Descriptor) -> Descriptor:
    if not archive.batch.exists(layer.digest):
        raise InvalidArgument(f"the archive lacks the layer {layer.digest}")
    return layer


def _config(archive: _Archive, digest: Digest, layers: int) -> ImageConfig:
    """The config of an image with so many layers. InvalidArgument where it is none that can be run here."""
    config = archive.configs.get(digest)
    if config is None:  # many images may claim the same one
        config = decode(archive.read(digest, "config"), ImageConfig, f"image config {digest}")
        archive.configs[digest] = config
    if config.os.lower() not in ("", "linux"):
        raise InvalidArgument(f"cannot load {config.os} image on linux")
    if len(config.diff_ids) != layers:
        raise InvalidArgument(
            f"invalid manifest, layers length mismatch: expected {layers}, got {len(config.diff_ids)}"
        )
    if layers > LAYER_LIMIT:
        raise InvalidArgument(f"the image has {layers} layers; overlayfs takes {LAYER_LIMIT}")
    if sum(not step.empty_layer for step in config.history or ()) > layers:
        raise InvalidArgument("too many non-empty layers in History section")
    return config


def _layers(
    archive: _Archive, config: ImageConfig, given: Callable[[int], Descriptor]
) -> tuple[Descriptor, ...]:
    """The blob of each layer: the one that is here already, else the archive's, which need not be there else."""
    chain = enumerate(chain_ids(config.diff_ids))
    return tuple(archive.here(chain_id) or given(position) for position, chain_id in chain)


def _index(archive: _Archive) -> Index:
    return decode(archive.document("index.json"), Index, "index.json")


def _manifests_by_config(archive: _Archive) -> dict[Digest, Digest]:
    """Where a docker-archive is an OCI layout as well: the manifest of each config that it has whole."""
    found: dict[Digest, Digest] = {}
    with suppress(InvalidArgument):
        for descriptor in _index(archive).manifests:
            with suppress(InvalidArgument):
                data = archive.read(descriptor.digest, "manifest")
                found[decode(data, Manifest, "manifest").config.digest] = descriptor.digest
    return found
