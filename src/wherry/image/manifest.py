"""What an image is made of, as JSON: manifest, index and config, in OCI's and Docker's spelling.

OCI image-spec, manifest.md, image-index.md, config.md; Docker image manifest v2 schema 2. Only fields that
are acted on are decoded, each of a type that has an end, so that what is kept of them can be read again however
deep the rest nests; the document itself stays in the blob store, byte for byte.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import field

from wherry.content.digest import Digest
from wherry.errors import InvalidArgument
from wherry.messages.base import Int, Nothing
from wherry.values import platforms
from wherry.values.durations import SECOND
from wherry.values.go_json import decode_as_go
from wherry.values.times import parse_rfc3339

DOCUMENT_LIMIT = 4 << 20
"""Bytes; a longer manifest, index or config is refused before it is read."""

INDEX_TYPES = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)
MANIFEST_TYPES = frozenset(
    {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    }
)
CONFIG_TYPES = frozenset(
    {
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.container.image.v1+json",
    }
)
LAYER_TYPES = ("application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs.")  # as they begin
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"


class Platform(msgspec.Struct, frozen=True, omit_defaults=True):
    """An operating system and a processor, in Go's names."""

    architecture: str = ""
    os: str = ""
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    @classmethod
    def parse(cls, text: str) -> Platform:
        """From ``linux/arm64/v8``, or only an operating system or an architecture. InvalidArgument."""
        os, architecture, variant = platforms.parse_platform(text)
        return cls(architecture, os, variant)

    @property
    def triple(self) -> platforms.Triple:
        return self.os, self.architecture, self.variant

    def same(self, other: Platform) -> bool:
        """Whether both are one, however they are written."""
        return platforms.normal(self.triple) == platforms.normal(other.triple)

    def fitness(self, other: Platform) -> float:
        """How well a machine of this platform runs programs for the other; 0 where it does not."""
        return platforms.fitness(self.triple, other.triple)


def host_platform() -> Platform:
    """Linux on this machine's architecture, in the words that Go has for it."""
    return Platform(architecture=platforms.host_architecture(), os=platforms.LINUX)


class Descriptor(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A pointer to content. OCI image-spec, descriptor.md."""

    media_type: str
    digest: Digest
    size: Int
    annotations: dict[str, str] | None = None
    platform: Platform | None = None


class Manifest(msgspec.Struct, frozen=True, rename="camel"):
    """One image for one platform: its config and its layers, lowest first."""

    config: Descriptor
    layers: list[Descriptor] = field(default_factory=list)
    media_type: str = ""

    @property
    def is_image(self) -> bool:
        """Whether containers can run from it; artifacts (signatures, SBOMs, charts) have manifests too."""
        return self.config.media_type in CONFIG_TYPES and all(
            layer.media_type.startswith(LAYER_TYPES) for layer in self.layers
        )


class Index(msgspec.Struct, frozen=True, rename="camel"):
    """A list of manifests, or of further indexes."""

    manifests: list[Descriptor] = field(default_factory=list)
    media_type: str = ""


class ArchiveItem(msgspec.Struct, frozen=True, rename="pascal"):
    """One image in the ``manifest.json`` of a docker-archive."""

    config: str
    repo_tags: list[str] | None = None
    layers: list[str] | None = None


class HealthCheck(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    test: list[str] | None = None
    interval: Int = 0  # nanoseconds, as all durations here
    timeout: Int = 0
    start_period: Int = 0
    start_interval: Int = 0
    retries: Int = 0


class RunConfig(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """The ``config`` object: how a container of this image runs unless told otherwise."""

    user: str = ""
    exposed_ports: dict[str, Nothing] | None = None
    env: list[str] | None = None
    entrypoint: list[str] | str | None = None
    cmd: list[str] | str | None = None
    volumes: dict[str, Nothing] | None = None
    working_dir: str = ""
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    stop_timeout: Int | None = None
    healthcheck: HealthCheck | None = None
    shell: list[str] | str | None = None
    on_build: list[str] | None = None
    args_escaped: bool = False


class RootFS(msgspec.Struct, frozen=True):
    """The layers. OCI image-spec, config.md "rootfs"."""

    type: str = "layers"
    diff_ids: list[Digest] | None = None


class History(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step in the making. OCI image-spec, config.md "history"."""

    created: str | None = None
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class ImageConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The image's config document. OCI image-spec, config.md, with Docker's ``comment``."""

    architecture: str = ""
    os: str = ""
    variant: str = ""
    created: str | None = None  # RFC 3339, as written
    author: str = ""
    comment: str = ""
    docker_version: str = ""
    config: RunConfig | None = None
    rootfs: RootFS = field(default_factory=RootFS)
    history: list[History] | None = None

    @property
    def run(self) -> RunConfig:
        """``config``, or its defaults where the document has none."""
        return self.config or RunConfig()

    @property
    def platform(self) -> Platform:
        """What it says of itself."""
        return Platform(self.architecture, self.os, self.variant)

    @property
    def diff_ids(self) -> tuple[Digest, ...]:
        """Digests of the uncompressed layers, lowest first."""
        return tuple(self.rootfs.diff_ids or ())

    @property
    def created_at(self) -> float:
        """Seconds since the epoch; 0.0 where the document has no time or one that cannot be read."""
        return parse_time(self.created)


_Document = TypeVar("_Document")


def decode(data: bytes, kind: type[_Document], what: str) -> _Document:
    """``data`` as a ``kind``, read as Go reads it; InvalidArgument names ``what`` and the field that is wrong."""
    try:
        return decode_as_go(data, kind)
    except RecursionError as error:
        raise InvalidArgument(f"invalid {what}: it nests too deeply") from error
    except msgspec.MsgspecError as error:
        raise InvalidArgument(f"invalid {what}: {error}") from error


def parse_time(text: str | None) -> float:
    """Seconds since the epoch of an RFC 3339 time; 0.0 if it is none."""
    try:
        return parse_rfc3339(text or "") / SECOND
    except InvalidArgument:
        return 0.0
