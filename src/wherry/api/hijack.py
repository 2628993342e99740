"""Turning a request's connection into a container's stream. Engine API, "Hijacking"."""

from __future__ import annotations

from wherry.api.answer import COMMON_HEADERS
from wherry.api.call import Exchange
from wherry.api.connection import ASKED_UPGRADE, Taken
from wherry.api.errors import HttpError


async def take_connection(exchange: Exchange, *, framed: bool) -> Taken:
    """Answer with 101 (200 to those who did not ask for an upgrade), then take the client's socket.

    Whatever can be refused must have been refused before. The caller owns the descriptor. A client that has
    gone raises ConnectionResetError.
    """
    if exchange.request.headers.get(ASKED_UPGRADE, "").lower() not in ("tcp", ""):
        raise HttpError(400, "a container's stream is an upgrade to tcp, and to nothing else")
    return await exchange.connection.take_over(stream_head(exchange, framed))


def stream_head(exchange: Exchange, framed: bool) -> bytes:
    """The head of the answer. Go clients take nothing but 101 for an upgrade."""
    asked = exchange.request.headers.get(ASKED_UPGRADE)
    status = "101 UPGRADED" if asked else "200 OK"
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {exchange.stream_type(framed)}"]
    if asked:
        lines += ["Connection: Upgrade", "Upgrade: tcp"]
    lines += [f"{name}: {value}" for name, value in COMMON_HEADERS.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"
