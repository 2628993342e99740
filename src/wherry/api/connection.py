"""A client's connection: aiohttp's protocol, and what Docker's hijacked requests ask beyond HTTP.

What is added to aiohttp:

* The parser stops behind a request that may become a stream, so that what follows is neither lost nor taken
  for the next request; also where an old client does not ask for the upgrade.
* ``take_over`` gives the socket itself away, with the bytes that the parser had read already.
* A client that closes its sending side only has its request answered; one that is gone is reported to
  who registered with ``on_lost``.
* A request that has nothing to wait for is answered while it is received: aiohttp's way, a task for the connection
  and one for the request, takes three more turns of the event loop, which is most of what a ping costs.
* Errors that aiohttp finds itself are answered in Docker's form.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol, TypeGuard, cast

from aiohttp.http import HttpVersion11
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import StreamResponse
from aiohttp.web_server import Server

from wherry.api.answer import Whole, error_answer
from wherry.api.errors import HttpError

HEAD_LIMIT = 64 << 10
BODY_LIMIT = 16 << 20
RECEIVE_LIMIT = 64 << 10  # bounds what is read behind a head, which goes on to a monitor in one packet

POST = b"POST "
END_OF_HEAD = b"\r\n\r\n"
RAW_PATH = re.compile(rb"(?:\w+://[^/\s]*)?(?:/v[\d.]+)?/(?:containers/\S+/attach|exec/[^/\s]+/start)")
UPGRADE_FIELD = re.compile(rb"\r\nupgrade[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)
ASKED_UPGRADE = "X-Wherry-Upgrade"
"""The header under which a route finds what the client wants to upgrade to; empty where it did not ask."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A connection that is ours no more: a descriptor of the socket, and the bytes that were read already."""

    fd: int
    leftover: bytes


class Handler(Protocol):
    """What answers requests."""

    def at_once(self, message: RawRequestMessage) -> Whole | None:
        """The answer, where there is nothing to wait for; None where there is."""

    async def __call__(self, request: BaseRequest) -> StreamResponse | Whole: ...


class ApiServer(Server):
    """aiohttp's low-level server, with our connections."""

    def __init__(self, handler: Handler) -> None:
        super().__init__(
            cast(Any, handler),  # to aiohttp, a Whole is as good as a StreamResponse
            request_factory=self._make_our_request,
            access_log=None,
            max_line_size=HEAD_LIMIT,
            max_field_size=HEAD_LIMIT,
            auto_decompress=False,
        )
        self.at_once = handler.at_once

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)

    def end_streams(self) -> None:
        """Cancel the answers that only their clients or the end of the world would end."""
        for connection in self.connections:
            if isinstance(connection, Connection):
                connection.report_lost()

    def _make_our_request(
        self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any
    ) -> BaseRequest:
        return BaseRequest(message, payload, protocol, writer, task, self._loop, client_max_size=BODY_LIMIT)


class Connection(RequestHandler):
    """One client, for as long as it speaks HTTP."""

    def __init__(self, manager: ApiServer, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._at_once = manager.at_once
        self._held = bytearray()
        self._in_head = False
        self._last_body: StreamReader | None = None
        self._watched: StreamReader | None = None  # the one that came in parts last
        self._last_size = self._framing = 0  # of its content so far, and of what has come since then
        self._lost: set[Callable[[], object]] = set()
        self.half_closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        setattr(transport, "max_size", RECEIVE_LIMIT)  # noqa: B010  (of asyncio's own transport, not declared)

    # ------------------------------------------------------------ reading

    def data_received(self, data: bytes) -> None:
        """Hold the head of a possible raw stream until it is whole, then feed it to the parser as an upgrade."""
        waiter = self._waiter
        if waiter is None or waiter.done() or self._messages:
            body = self._last_body
            super().data_received(data)
            if self._messages:
                self._last_body = self._messages[-1][1]
            if body is not None and not body.is_eof() and body.exception() is None:
                self._look_at_framing(body, len(data))
            return
        if data and not self._in_head and not self._upgraded:
            data = self._whole_head(data)
            if not data:
                return
            data = as_upgrade(data)
        self._begin(data, waiter)

    def _look_at_framing(self, body: StreamReader, received: int) -> None:
        """Refuse a body that is broken, or of which nothing comes but what is around it, such as a chunk's size."""
        if body is not self._watched or body.total_bytes != self._last_size:
            self._watched, self._last_size, self._framing = body, body.total_bytes, 0
        else:
            self._framing += received
        broken = body is not self._last_body  # what is behind an unfinished body can only be an error
        if broken or self._framing > HEAD_LIMIT:
            body.set_exception(HttpError(400, "the body's chunks are malformed, or their sizes too long"))
            self._lingering_time = 0.0  # nor is the rest waited for
            self.keep_alive(False)

    def _whole_head(self, data: bytes) -> bytes:
        """All that has come, once the head is whole that may be of a raw stream; nothing until then."""
        held = self._held
        if not held and not POST.startswith(data[: len(POST)]):
            return data
        searched = max(0, len(held) - len(END_OF_HEAD) + 1)
        held += data
        if (
            POST.startswith(held[: len(POST)])
            and held.find(END_OF_HEAD, searched) < 0
            and len(held) < HEAD_LIMIT
        ):
            return b""
        self._held = bytearray()
        return bytes(held)

    def _begin(self, data: bytes, waiter: asyncio.Future[None]) -> None:
        """Receive on an idle connection: answer what has come, or wake the task that will."""
        self._waiter = None  # or aiohttp would wake it at once
        super().data_received(data)
        self._waiter = waiter
        if data:
            self._in_head = not self._messages
        if self._messages:
            self._last_body = self._messages[-1][1]
            if not self._answer_at_once():
                waiter.set_result(None)

    def _answer_at_once(self) -> bool:
        """Answer the request that is alone in the queue, if it is one of those that wait for nothing."""
        message, payload = self._messages[0]
        if len(self._messages) > 1 or payload is not EMPTY_PAYLOAD or not is_plain(message):
            return False
        transport, parser = self.transport, self._parser
        if self._paused or transport is None or transport.is_closing() or parser is None:
            return False
        answer = self._at_once(message)
        if answer is None:
            return False
        self._messages.clear()
        parser.message_consumed()
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        transport.write(answer.as_bytes(with_body=message.method != "HEAD"))
        return True

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """The client will send no more. Let a request that is whole be answered; True keeps the transport."""
        self.half_closed = True
        idle = self._waiter is not None and not self._messages
        if idle or (self._last_body is not None and not self._last_body.is_eof()):
            return None
        if not self._upgraded:
            self.report_lost()
        return True

    # ------------------------------------------------------------ the client goes

    def on_lost(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Have ``callback`` called when the client is gone. Returns what takes this back."""
        self._lost.add(callback)
        return lambda: self._lost.discard(callback)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self.report_lost()

    def report_lost(self) -> None:
        """Tell whoever waits for the client's end that it has come."""
        callbacks, self._lost = self._lost, set()
        for callback in callbacks:
            callback()

    # ------------------------------------------------------------ giving the socket away

    async def take_over(self, head: bytes) -> Taken:
        """Send ``head``, then leave the connection to who takes the descriptor. The caller owns it.

        Nothing more is read or written here. The descriptor is of the same open socket, so it stays
        non-blocking, and closing our end of it ends nothing. ConnectionResetError where the client has gone; OSError,
        before anything is sent, where there is no descriptor left.
        """
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has gone")
        fd = os.dup(transport.get_extra_info("socket").fileno())  # once the head is sent, nothing may fail
        try:
            transport.pause_reading()
            transport.set_write_buffer_limits(high=0)
            transport.write(head)
            await self._drain_helper()
            if self.transport is None:
                raise ConnectionResetError("the client has gone")
        except BaseException:
            os.close(fd)
            raise
        self.keep_alive(False)
        leftover, self._message_tail = self._message_tail, b""
        transport.abort()
        return Taken(fd, leftover)

    # ------------------------------------------------------------ errors

    def handle_error(  # type: ignore[override]
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> Whole:
        """What aiohttp could not parse, or what went wrong outside of a route."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already")
        if status >= 500:
            self.logger.error("%s %s", request.method, request.path, exc_info=exc)
        response = error_answer(
            HttpError(status, f"{HTTPStatus(status).phrase}: {in_words(message or str(exc))}")
        )
        response.force_close()
        return response


def in_words(complaint: str) -> str:
    """What aiohttp has against a request, without the bytes that it adds in Python's spelling."""
    return " ".join(complaint.partition("\n\n")[0].partition(" when reading: ")[0].split()).rstrip(":.")


def is_plain(message: object) -> TypeGuard[RawRequestMessage]:
    """A request that leaves the connection as it is, for the next one. What aiohttp could not parse is none."""
    return (
        isinstance(message, RawRequestMessage)
        and message.method in ("GET", "HEAD")
        and message.version == HttpVersion11
        and not (message.should_close or message.upgrade or "Expect" in message.headers)
    )


def is_raw(line: bytes) -> bool:
    """Whether a request line asks for what becomes a stream, even where it asks for no upgrade."""
    path = line[len(POST) :].partition(b" ")[0].partition(b"?")[0]
    return RAW_PATH.fullmatch(path) is not None


def as_upgrade(data: bytes) -> bytes:
    """A request that may become a stream, such that the parser stops behind it; any other as it is.

    aiohttp's parser leaves alone what follows an upgrade to ``websocket``, and to nothing else. The protocol
    that the client named goes under another header.
    """
    end = data.find(END_OF_HEAD)
    if end < 0 or not data.startswith(POST):
        return data
    line, _, _ = data.partition(b"\r\n")
    fields = data[len(line) : end]
    asked = UPGRADE_FIELD.search(fields)
    if asked is None and not is_raw(line):
        return data
    marker = ASKED_UPGRADE.encode() + b": " + (asked[1] if asked else b"")
    upgrade = b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + marker
    return line + upgrade + UPGRADE_FIELD.sub(b"", fields) + data[end:]
