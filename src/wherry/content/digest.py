"""Digests of content. OCI image-spec, descriptor.md "Digests"; only sha256 is accepted."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec

PATTERN = r"^sha256:[0-9a-f]{64}\Z"
_DIGEST = re.compile(PATTERN)

Digest = Annotated[str, msgspec.Meta(pattern=PATTERN)]
"""``sha256:`` and 64 lower-case hex digits; msgspec checks it wherever a struct is decoded."""

LAYER_LIMIT = 127
"""Layers of an image: so many names fit in the 4096 bytes of mount options."""

Hold = Callable[[Digest], None]
"""Told the digest of content before that is relied on: once it returns, nobody deletes what is there of it."""


def is_digest(text: str) -> bool:
    """Whether it is ``sha256:`` and 64 lower-case hex digits."""
    return _DIGEST.match(text) is not None


def digest_of(data: bytes) -> Digest:
    """The sha256 digest of ``data``."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def hex_of(digest: Digest) -> str:
    """The 64 hex digits alone."""
    return digest.partition(":")[2]


def chain_ids(diff_ids: Sequence[Digest]) -> tuple[Digest, ...]:
    """The chain ID of each layer, lowest first. OCI image-spec, config.md "Layer ChainID"."""
    chain: list[Digest] = []
    for diff_id in diff_ids:
        chain.append(digest_of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return tuple(chain)
