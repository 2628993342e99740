"""A client's connection: aiohttp's protocol, and what Docker's hijacked requests ask beyond HTTP.

What is added to aiohttp:

* A request for a raw stream that does not ask for an upgrade (old clients, curl) is made into one, so that
  bytes behind its head are not taken for the next request.
* ``take_over`` gives the socket itself away, with the bytes that the parser had read already.
* A client that closes its sending side only has its request answered; one that is gone is reported to
  who registered with ``on_lost``.
* Errors that aiohttp finds itself are answered in Docker's form.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import Response, StreamResponse
from aiohttp.web_server import Server

from wherry.api.errors import error_body

HEAD_LIMIT = 64 << 10
BODY_LIMIT = 16 << 20
RAW_TARGET = re.compile(rb"POST /\S*?(?:/attach|/start)(?:\?\S*)? HTTP/1\.\d\r\n")
UPGRADE_HEADER = re.compile(rb"\r\nupgrade[ \t]*:", re.IGNORECASE)
EXEC_START = re.compile(rb"POST (?:/v[\d.]+)?/exec/")
NOT_ASKED = "X-Wherry-Upgrade-Not-Asked"
AS_UPGRADE = f"Connection: Upgrade\r\nUpgrade: tcp\r\n{NOT_ASKED}: 1\r\n".encode()


@dataclass(frozen=True, slots=True)
class Taken:
    """A connection that is ours no more: a descriptor of the socket, and the bytes that were read already."""

    fd: int
    leftover: bytes


class ApiServer(Server):
    """aiohttp's low-level server, with our connections."""

    def __init__(self, handler: Any, common_headers: dict[str, str]) -> None:
        super().__init__(
            handler,
            request_factory=self._make_our_request,
            access_log=None,
            max_line_size=HEAD_LIMIT,
            max_field_size=HEAD_LIMIT,
            auto_decompress=False,
        )
        self.common_headers = common_headers

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)

    def _make_our_request(
        self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any
    ) -> BaseRequest:
        return BaseRequest(message, payload, protocol, writer, task, self._loop, client_max_size=BODY_LIMIT)


class Connection(RequestHandler):
    """One client, for as long as it speaks HTTP."""

    def __init__(self, manager: ApiServer, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self.common_headers = manager.common_headers
        self._held = b""
        self._in_head = False
        self._lost: set[Callable[[], object]] = set()
        self.half_closed = False

    # ------------------------------------------------------------ reading

    def data_received(self, data: bytes) -> None:
        """Hold the head of a possible raw stream until it is whole, then feed it to the parser as an upgrade."""
        idle = self._waiter is not None and not self._waiter.done() and not self._messages
        if idle and data and not self._in_head and not self._upgraded:
            data, self._held = self._held + data, b""
            if data.startswith(b"POST ") and b"\r\n\r\n" not in data and len(data) < HEAD_LIMIT:
                self._held = data
                return
            data = as_upgrade(data)
        super().data_received(data)
        if idle and data:
            self._in_head = not self._messages

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """The client will send no more. Let a request that is whole be answered; True keeps the transport."""
        self.half_closed = True
        waiting = not self._messages and self._current_request is None
        if waiting or not self._body_complete():
            return None
        if not self._upgraded:
            self._report_lost()
        return True

    def _body_complete(self) -> bool:
        if self._messages:
            return bool(self._messages[-1][1].is_eof())
        return self._current_request is None or self._current_request.content.is_eof()

    # ------------------------------------------------------------ the client goes

    def on_lost(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Have ``callback`` called when the client is gone. Returns what takes this back."""
        self._lost.add(callback)
        return lambda: self._lost.discard(callback)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._report_lost()

    def _report_lost(self) -> None:
        callbacks, self._lost = self._lost, set()
        for callback in callbacks:
            callback()

    # ------------------------------------------------------------ giving the socket away

    async def take_over(self, head: bytes) -> Taken:
        """Send ``head``, then leave the connection to who takes the descriptor. The caller owns it.

        Nothing more is read or written here. The descriptor is of the same open socket, so it stays
        non-blocking, and closing our end of it ends nothing. ConnectionResetError where the client has gone.
        """
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has gone")
        transport.pause_reading()
        transport.set_write_buffer_limits(high=0)
        transport.write(head)
        await self._drain_helper()
        if self.transport is None:
            raise ConnectionResetError("the client has gone")
        self.keep_alive(False)
        leftover, self._message_tail = self._message_tail, b""
        fd = os.dup(transport.get_extra_info("socket").fileno())
        transport.abort()
        return Taken(fd, leftover)

    # ------------------------------------------------------------ errors

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> StreamResponse:
        """What aiohttp could not parse, or what went wrong outside of a route."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already")
        if status >= 500:
            self.logger.error("%s %s", request.method, request.path, exc_info=exc)
        response = Response(
            status=status, body=error_body(message or str(exc or "Bad Request")), headers=self.common_headers
        )
        response.headers["Content-Type"] = "application/json"
        response.force_close()
        return response


def as_upgrade(data: bytes) -> bytes:
    """A request for a raw stream that does not ask for an upgrade, as if it did; all else as it is."""
    match = RAW_TARGET.match(data)
    if match is None:
        return data
    if match[0].find(b"/attach") < 0 and EXEC_START.match(data) is None:
        return data
    head = data[: data.find(b"\r\n\r\n") + 2]
    if UPGRADE_HEADER.search(head):
        return data
    return match[0] + AS_UPGRADE + data[match.end() :]
