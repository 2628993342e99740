"""The Docker Engine API as a server: from a request to its route, and from what the route returns to an answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from aiohttp.http import HttpVersion11
from aiohttp.web_exceptions import HTTPException
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import Response, StreamResponse

from wherry.api.activity import Activity
from wherry.api.call import (
    HANDED_OVER,
    JSON,
    MAX_VERSION,
    MIN_VERSION,
    Call,
    Plain,
    Reply,
    Stream,
    Version,
    show_version,
)
from wherry.api.connection import Connection
from wherry.api.errors import HttpError, error_body, status_of
from wherry.api.query import parse_query
from wherry.api.routes import all_routes
from wherry.api.routing import Router
from wherry.api.server import ApiRunner, open_sockets
from wherry.engine.engine import Engine
from wherry.engine.system import ENGINE_VERSION
from wherry.errors import WherryError

log = logging.getLogger(__name__)
encode = msgspec.json.Encoder().encode

COMMON_HEADERS = {
    "Api-Version": show_version(MAX_VERSION),
    "Docker-Experimental": "false",
    "Ostype": "linux",
    "Server": f"Wherry/{ENGINE_VERSION} (linux)",
}
JSON_HEADERS = {**COMMON_HEADERS, "Content-Type": JSON}
PLAIN_HEADERS = {**COMMON_HEADERS, "Content-Type": "text/plain; charset=utf-8"}


class App:
    """The API of one engine, apart from sockets. Call it with a request."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.activity = Activity()
        self._router = Router(all_routes())

    async def __call__(self, request: BaseRequest) -> StreamResponse:
        """Answer a request. Never raises, but for a client that has gone."""
        connection = request.protocol
        assert isinstance(connection, Connection)
        with self.activity.request():
            try:
                response = await self._answer(request, connection)
            except WherryError as error:
                response = error_response(error)
            except HTTPException as error:
                response = error_response(HttpError(error.status, error.text or error.reason))
            except ConnectionError:
                return Finished()  # the client has gone: there is nobody to tell
            except Exception as error:
                log.exception("%s %s", request.method, request.path_qs)
                response = error_response(HttpError(500, f"{type(error).__name__}: {error}"))
        if connection.half_closed:
            response.force_close()
        return response

    async def _answer(self, request: BaseRequest, connection: Connection) -> StreamResponse:
        if request.method == "OPTIONS":
            return Response(headers=COMMON_HEADERS)
        target, _, query = request.raw_path.partition("?")
        version, path = split_version(target)
        found = self._router.find(request.method, path)
        if found is None:
            raise HttpError(404, "page not found")
        bound, middle = found
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # of the answer proper
        call = Call(self.engine, request, connection, version, parse_query(query) if query else {})
        result = await bound(call, middle)
        if isinstance(result, Stream):
            return await send_stream(call, result)
        return response_of(result, bound.status)


def create_app(engine: Engine) -> App:
    return App(engine)


async def serve(app: App, hosts: Sequence[str]) -> ApiRunner:
    """Listen on ``unix://PATH`` addresses. InvalidArgument or Unavailable says why one cannot be had."""
    sockets = open_sockets(hosts)
    return await ApiRunner.start(app, app.activity, COMMON_HEADERS, sockets)


# ---------------------------------------------------------------- paths and versions


def split_version(target: str) -> tuple[Version, str]:
    """``/v1.44/info`` as (1, 44) and ``/info``; without a version the newest is meant."""
    if not target.startswith("/v"):
        return MAX_VERSION, target
    prefix, slash, rest = target[2:].partition("/")
    major, dot, minor = prefix.partition(".")
    if not (dot and slash and major.isdecimal() and minor.isdecimal() and len(prefix) <= 10):
        return MAX_VERSION, target
    version = (int(major), int(minor))
    check_version(version, prefix)
    return version, f"/{rest}"


def check_version(version: Version, shown: str) -> None:
    if version > MAX_VERSION:
        raise HttpError(
            400,
            f"client version {shown} is too new. Maximum supported API version is {show_version(MAX_VERSION)}",
        )
    if version < MIN_VERSION:
        raise HttpError(
            400,
            f"client version {shown} is too old. Minimum supported API version is {show_version(MIN_VERSION)}, "
            "please upgrade your client to a newer version",
            plain=True,
        )


# ---------------------------------------------------------------- answers


def response_of(result: Any, status: int) -> StreamResponse:
    """What a route has returned, as an answer."""
    if isinstance(result, Reply):
        result, status = result.document, result.status
    if result is None:
        return Response(status=status, headers=COMMON_HEADERS)
    if isinstance(result, Plain):
        headers = {**COMMON_HEADERS, "Content-Type": result.content_type, **dict(result.headers)}
        return Response(status=status, body=result.body, headers=headers)
    if result is HANDED_OVER:
        return Finished()
    return Response(status=status, body=encode(result) + b"\n", headers=JSON_HEADERS)


def error_response(error: WherryError) -> StreamResponse:
    status = status_of(error)
    if status == 304:
        return Response(status=status, headers=COMMON_HEADERS)
    if isinstance(error, HttpError) and error.plain:
        return Response(status=status, body=f"{error.message}\n".encode(), headers=PLAIN_HEADERS)
    return Response(status=status, body=error_body(error.message), headers=JSON_HEADERS)


class Finished(StreamResponse):
    """For aiohttp: the answer has been sent, there is nothing left to write."""

    def __init__(self) -> None:
        super().__init__()
        self.force_close()

    async def prepare(self, request: BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


async def send_stream(call: Call, stream: Stream) -> StreamResponse:
    """Send an answer in chunks. A client that goes ends the work behind it."""
    task = asyncio.current_task()
    assert task is not None
    unregister = call.connection.on_lost(task.cancel)
    try:
        return await write_chunks(call, stream)
    except asyncio.CancelledError:
        if call.connection.transport is not None and not call.connection.half_closed:
            raise
        task.uncancel()
        return Finished()
    finally:
        unregister()
        await close_iterator(stream.chunks)


async def write_chunks(call: Call, stream: Stream) -> StreamResponse:
    response = StreamResponse(headers={**COMMON_HEADERS, "Content-Type": stream.content_type})
    if call.request.version >= HttpVersion11:
        response.enable_chunked_encoding()
    if stream.eager:
        await response.prepare(call.request)
    try:
        async for chunk in stream.chunks:
            if not response.prepared:
                await response.prepare(call.request)
            await response.write(chunk)
    except Exception:
        if not response.prepared:
            raise
        # The head said 200: only a broken stream can still tell that something went wrong.
        log.exception("%s %s", call.request.method, call.request.path_qs)
        call.connection.force_close()
        return Finished()
    await response.prepare(call.request)
    await response.write_eof()
    return response


async def close_iterator(chunks: AsyncIterator[bytes]) -> None:
    """End an async generator now rather than whenever it is collected."""
    close = getattr(chunks, "aclose", None)
    if close is not None:
        await close()
