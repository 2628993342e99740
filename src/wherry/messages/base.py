"""What all requests and answers have in common."""

from __future__ import annotations

import msgspec

ZERO_TIME = "0001-01-01T00:00:00Z"


class Model(msgspec.Struct, rename="pascal", kw_only=True):
    """Base of the structs with Docker's field names; unknown fields are ignored, as Docker does."""


class Request(msgspec.Struct, rename="pascal", kw_only=True, frozen=True):
    """Base of what a client asks for: it does not change any more."""


class GraphDriver(Model, kw_only=True):
    """Where a root filesystem's directories are."""

    data: dict[str, str] | None
    name: str
