"""What a route may return beside a JSON document."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that is sent chunk by chunk, each as soon as it is there.

    With ``eager`` the head goes out before the first chunk exists; otherwise it waits for it, so that an
    error before the first chunk still becomes a status. With ``single`` there is one chunk, and the end goes with it.
    """

    chunks: AsyncIterator[bytes]
    content_type: str = JSON
    eager: bool = False
    single: bool = False


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
