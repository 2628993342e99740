"""What all requests and answers have in common."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

ZERO_TIME = "0001-01-01T00:00:00Z"

# Whole numbers as Go has them: what is beyond is refused where the request is read, with the field's name.
Int = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
Uint = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Uint16 = Annotated[int, Meta(ge=0, le=(1 << 16) - 1)]
Uint32 = Annotated[int, Meta(ge=0, le=(1 << 32) - 1)]


class Model(msgspec.Struct, rename="pascal", kw_only=True):
    """Base of the structs with Docker's field names; unknown fields are ignored, as Docker does."""


class Request(msgspec.Struct, rename="pascal", kw_only=True, frozen=True):
    """Base of what a client asks for: it does not change any more."""


class GraphDriver(Model, kw_only=True):
    """Where a root filesystem's directories are."""

    data: dict[str, str] | None
    name: str


class Nothing(Request, frozen=True):
    """An object whose fields do not count: what a set's members have as values."""
