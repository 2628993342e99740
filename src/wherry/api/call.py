"""One request on its way through the API, and the answers that are more than a JSON document."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp.web_request import BaseRequest

from wherry.engine.engine import Engine

if TYPE_CHECKING:
    from wherry.api.connection import Connection

Version = tuple[int, int]

MIN_VERSION: Version = (1, 24)
MAX_VERSION: Version = (1, 51)

RAW_STREAM = "application/vnd.docker.raw-stream"
MULTIPLEXED_STREAM = "application/vnd.docker.multiplexed-stream"
JSON = "application/json"


def show_version(version: Version) -> str:
    """``(1, 44)`` as ``1.44``."""
    return f"{version[0]}.{version[1]}"


@dataclass(slots=True)
class Call:
    """What a route may need beside its declared parameters."""

    engine: Engine
    version: Version
    query: dict[str, list[str]]

    def stream_type(self, framed: bool) -> str:
        """The content type of a container's output. Engine API 1.42 tells framed from raw."""
        return MULTIPLEXED_STREAM if framed and self.version >= (1, 42) else RAW_STREAM


@dataclass(slots=True)
class Exchange(Call):
    """A call with the connection it came by: for who reads an upload, or takes the connection over."""

    request: BaseRequest
    connection: Connection


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that is sent chunk by chunk, each as soon as it is there.

    With ``eager`` the head goes out before the first chunk exists; otherwise it waits for it, so that an
    error before the first chunk still becomes a status.
    """

    chunks: AsyncIterator[bytes]
    content_type: str = JSON
    eager: bool = False


@dataclass(frozen=True, slots=True)
class Plain:
    """An answer that is no JSON document: bytes under a content type, with further headers."""

    body: bytes
    content_type: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """A document, with another status than the one that the route declares."""

    document: object
    status: int


class HandedOver:
    """The answer of a route that has given the connection away."""


HANDED_OVER = HandedOver()
