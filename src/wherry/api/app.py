"""The Docker Engine API as a server: from a request to its route, and from what the route returns to an answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from aiohttp.http import HttpVersion10, HttpVersion11
from aiohttp.web_exceptions import HTTPException
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import StreamResponse

from wherry.api.activity import Activity
from wherry.api.answer import BARE_HEAD, COMMON_HEADERS, Whole, answer_of, error_answer
from wherry.api.call import Call, Exchange
from wherry.api.connection import Connection
from wherry.api.errors import HttpError
from wherry.api.listen import open_sockets
from wherry.api.query import parse_query
from wherry.api.reply import HANDED_OVER, Stream
from wherry.api.routes import all_routes
from wherry.api.routing import Bound, Names, Router
from wherry.api.server import ApiRunner
from wherry.api.target import check_query, split_target, unescaped
from wherry.api.tls import Tcp
from wherry.api.version import MAX_VERSION, MIN_VERSION, Version, show_version
from wherry.engine.engine import Engine
from wherry.errors import WherryError, sentence

if TYPE_CHECKING:
    from aiohttp.http_parser import RawRequestMessage

log = logging.getLogger(__name__)


class Asked(NamedTuple):
    """What a request line asks for."""

    bound: Bound
    names: Names
    version: Version
    query: dict[str, list[str]]


class App:
    """The API of one engine, apart from sockets. Call it with a request. ValueError for routes that are ambiguous."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.activity = Activity()
        self._router = Router(all_routes())

    def at_once(self, message: RawRequestMessage) -> Whole | None:
        """The answer to a request without a body, where its route has nothing to wait for; None where it has."""
        self.activity.touch()
        try:
            asked = self._asked(message.method, message.path)
            if not asked.bound.at_once:
                return None
            result = asked.bound.call(Call(self.engine, asked.version, asked.query), asked.names)
            if isinstance(result, Coroutine):
                result.close()  # this time it has to wait: it is asked again, in a task
                return None
            return answer_of(result, asked.bound.status)
        except Exception as error:
            return failed(error, message.method, message.path)

    async def __call__(self, request: BaseRequest) -> StreamResponse | Whole:
        """Answer a request. Never raises, but for a client that has gone."""
        connection = request.protocol
        assert isinstance(connection, Connection)
        response: StreamResponse | Whole
        with self.activity.request():
            try:
                response = await self._answer(request, connection)
            except ConnectionError:
                return Finished()  # the client has gone: there is nobody to tell
            except Exception as error:
                response = failed(error, request.method, request.path_qs)
        if connection.half_closed:
            response.force_close()
        return response

    async def _answer(self, request: BaseRequest, connection: Connection) -> StreamResponse | Whole:
        if request.version not in (HttpVersion10, HttpVersion11):
            raise HttpError(505, "HTTP Version Not Supported: unsupported protocol version")
        if request.method == "OPTIONS":
            return Whole(200, BARE_HEAD)
        bound, names, version, query = self._asked(request.method, request.raw_path)
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # of the answer proper
        exchange = Exchange(self.engine, version, query, request, connection)
        result = await bound(exchange, names)
        if isinstance(result, Stream):
            return await send_stream(exchange, result)
        return Finished() if result is HANDED_OVER else answer_of(result, bound.status)

    def _asked(self, method: str, target: str) -> Asked:
        """HttpError for a target, a version or a path that is not served."""
        path, query = split_target(target)
        version, rest = split_version(path)
        found = self._router.find(method, rest)
        if found is None and "%" in path:
            version, rest = split_version(unescaped(path, query))
            found = self._router.find(method, rest)
        if found is None:
            raise HttpError(404, "page not found")
        if not (query and found[0].query):
            return Asked(*found, version, {})
        check_query(query)
        return Asked(*found, version, parse_query(query))


def failed(error: Exception, method: str, target: str) -> Whole:
    """The answer to a request that went wrong; what nobody foresaw is logged."""
    if isinstance(error, WherryError):
        return error_answer(error)
    if isinstance(error, HTTPException):
        return error_answer(HttpError(error.status, error.text or error.reason))
    log.exception("%s %s", method, target)
    if isinstance(error, OSError):
        return error_answer(HttpError(500, f"the host failed: {sentence(error)}"))
    return error_answer(HttpError(500, f"{type(error).__name__}: {error}"))


def create_app(engine: Engine) -> App:
    """The API in front of an engine; ``serve`` puts it on sockets."""
    return App(engine)


async def serve(app: App, hosts: Sequence[str], tcp: Tcp | None = None) -> ApiRunner:
    """Listen on ``unix://PATH`` and, with ``tcp``, on ``tcp://ADDRESS:PORT`` addresses.

    InvalidArgument or Unavailable says why one cannot be had.
    """
    sockets = open_sockets(hosts, tcp)
    return await ApiRunner.start(app, app.activity, sockets, tcp)


# ---------------------------------------------------------------- paths and versions


def split_version(target: str) -> tuple[Version, str]:
    """``/v1.44/info`` as (1, 44) and ``/info``; without a version the newest is meant."""
    if not target.startswith("/v"):
        return MAX_VERSION, target
    prefix, slash, rest = target[2:].partition("/")
    version = version_of(prefix) if slash else None
    if version is None:
        return MAX_VERSION, target
    return version, f"/{rest}"


@lru_cache(64)
def version_of(prefix: str) -> Version | None:
    """``1.44`` as (1, 44), None for what is no version. HttpError for one that is not served."""
    major, dot, minor = prefix.partition(".")
    if not (dot and major.isdecimal() and minor.isdecimal() and len(prefix) <= 10):
        return None
    version = (int(major), int(minor))
    check_version(version, prefix)
    return version


def check_version(version: Version, shown: str) -> None:
    """HttpError, in Docker's words, for a version that is not served."""
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


# ---------------------------------------------------------------- streams


class Finished(StreamResponse):
    """For aiohttp: the answer has been sent, there is nothing left to write."""

    def __init__(self) -> None:
        super().__init__()
        self.force_close()

    async def prepare(self, request: BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


async def send_stream(exchange: Exchange, stream: Stream) -> StreamResponse:
    """Send an answer in chunks. A client that goes ends the work behind it."""
    task = asyncio.current_task()
    assert task is not None
    unregister = exchange.connection.on_lost(task.cancel)
    try:
        return await write_chunks(exchange, stream)
    except asyncio.CancelledError:
        if exchange.connection.transport is not None and not exchange.connection.half_closed:
            raise
        task.uncancel()
        return Finished()
    finally:
        unregister()
        await close_iterator(stream.chunks)


async def write_chunks(exchange: Exchange, stream: Stream) -> StreamResponse:
    response = StreamResponse(headers={**COMMON_HEADERS, "Content-Type": stream.content_type})
    if exchange.request.version >= HttpVersion11:
        response.enable_chunked_encoding()
    if stream.eager:
        await response.prepare(exchange.request)
    try:
        async for chunk in stream.chunks:
            if not response.prepared:
                await response.prepare(exchange.request)
            await (response.write_eof(chunk) if stream.single else response.write(chunk))
    except Exception:
        if not response.prepared:
            raise
        # The head said 200: only a broken stream can still tell that something went wrong.
        log.exception("%s %s", exchange.request.method, exchange.request.path_qs)
        exchange.connection.force_close()
        return Finished()
    await response.prepare(exchange.request)
    await response.write_eof()
    return response


async def close_iterator(chunks: AsyncIterator[bytes]) -> None:
    """End an async generator now rather than whenever it is collected."""
    close = getattr(chunks, "aclose", None)
    if close is not None:
        await close()
