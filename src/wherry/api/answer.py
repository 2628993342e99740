"""Answers that are whole when they are sent: a head and a body, in one write.

aiohttp builds a head from a dictionary of headers each time. Ours are known beforehand but for the date, the length
and whether the connection ends, so that they are put together as bytes.
"""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import HttpVersion10, HttpVersion11
from aiohttp.web_request import BaseRequest

from wherry.api.errors import HttpError, Moved, error_body, status_of
from wherry.api.reply import JSON, Plain, Reply
from wherry.api.version import MAX_VERSION, show_version
from wherry.engine.system import ENGINE_VERSION
from wherry.errors import WherryError

encode = msgspec.json.Encoder().encode

COMMON_HEADERS = {
    "Api-Version": show_version(MAX_VERSION),
    "Docker-Experimental": "false",
    "Ostype": "linux",
    "Server": f"Wherry/{ENGINE_VERSION} (linux)",
}
TEXT = "text/plain; charset=utf-8"
BODILESS = (204, 304)


class Whole:
    """An answer as aiohttp takes it from a handler: it asks for ``prepare``, ``write_eof`` and ``keep_alive``."""

    __slots__ = ("_head", "_request", "body", "keep_alive", "status")

    def __init__(self, status: int, head: bytes, body: bytes = b"") -> None:
        self.status = status
        self.body = body
        self.keep_alive = True
        self._head = head

    def force_close(self) -> None:
        """Let the connection end behind it."""
        self.keep_alive = False

    async def prepare(self, request: BaseRequest) -> None:
        """aiohttp tells which request it answers."""
        self._request = request
        self.keep_alive = self.keep_alive and request.keep_alive

    async def write_eof(self, data: bytes = b"") -> None:
        """Send it. ConnectionResetError where the client has gone."""
        request = self._request
        await request.writer.write(self.as_bytes(request.version, with_body=request.method != "HEAD"))
        await request.writer.drain()  # who does not read his answers has no further ones made

    def as_bytes(self, version: Any = HttpVersion11, *, with_body: bool = True) -> bytes:
        """The answer as it goes over the wire."""
        date = rfc822_formatted_time().encode()
        parts = [status_line(self.status, version), self._head, b"Date: ", date, b"\r\n"]
        if self.status not in BODILESS:
            parts.append(b"Content-Length: %d\r\n" % len(self.body))
        if not self.keep_alive:
            parts.append(b"Connection: close\r\n")
        elif version == HttpVersion10:
            parts.append(b"Connection: keep-alive\r\n")
        parts.append(b"\r\n")
        if with_body:
            parts.append(self.body)
        return b"".join(parts)


@cache
def status_line(status: int, version: Any) -> bytes:
    shown = "1.0" if version == HttpVersion10 else "1.1"
    return f"HTTP/{shown} {status} {HTTPStatus(status).phrase}\r\n".encode()


@cache
def head_of(content_type: str = "", headers: tuple[tuple[str, str], ...] = ()) -> bytes:
    """What is the same in every answer of a kind."""
    kind = {"Content-Type": content_type} if content_type else {}
    lines = {**COMMON_HEADERS, **kind, **dict(headers)}
    return "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode("latin-1")


BARE_HEAD = head_of()
JSON_HEAD = head_of(JSON)


def answer_of(result: Any, status: int) -> Whole:
    """What a route has returned, as an answer."""
    if isinstance(result, Plain):
        return Whole(status, head_of(result.content_type, result.headers), result.body)
    if isinstance(result, Reply):
        result, status = result.document, result.status
    if result is None:
        return Whole(status, BARE_HEAD)
    return Whole(status, JSON_HEAD, encode(result) + b"\n")


def error_answer(error: WherryError) -> Whole:
    """An error, in Docker's form."""
    status = status_of(error)
    if status in BODILESS:
        return Whole(status, BARE_HEAD)
    if isinstance(error, Moved):
        return Whole(
            status, BARE_HEAD + b"Location: %b\r\n" % error.location.encode("utf-8", "surrogateescape")
        )
    if isinstance(error, HttpError) and error.plain:
        return Whole(status, head_of(TEXT), f"{error.message}\n".encode())
    return Whole(status, JSON_HEAD, error_body(error.message))
