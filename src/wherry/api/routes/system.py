"""Routes that concern the engine as a whole. Engine API, System."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from wherry.api.call import Call
from wherry.api.query import NO_FILTERS, NO_TIME, Nanoseconds
from wherry.api.render.system import render_info, version_info
from wherry.api.reply import Plain, Stream
from wherry.api.routing import Routes
from wherry.engine.engine import Engine
from wherry.engine.events import EventQuery, Subscription
from wherry.engine.filters import Filters
from wherry.errors import InvalidArgument
from wherry.messages.system import Info, VersionInfo

routes = Routes()

PING_HEADERS = (
    ("Builder-Version", "2"),
    ("Swarm", "inactive"),
    ("Cache-Control", "no-cache, no-store, must-revalidate"),
    ("Pragma", "no-cache"),
)
PING = Plain(b"OK", "text/plain; charset=utf-8", PING_HEADERS)
PING_HEAD = Plain(b"", "text/plain; charset=utf-8", PING_HEADERS)


@routes.get("/_ping")
def ping() -> Plain:
    """Is the engine there? The headers tell what it speaks."""
    return PING


@routes.head("/_ping")
def ping_head() -> Plain:
    """The same without a body."""
    return PING_HEAD


@routes.get("/version")
def version(engine: Engine) -> VersionInfo:
    """Versions of the engine, the API and the kernel."""
    return version_info(engine.system.host())


@routes.get("/info")
async def info(engine: Engine, call: Call) -> Info:
    """Counts, limits and the host."""
    return render_info(await engine.system.info(), engine.events.listeners, call.version)


@routes.get("/events")
async def events(
    engine: Engine,
    since: Nanoseconds = NO_TIME,
    until: Nanoseconds = NO_TIME,
    filters: Filters = NO_FILTERS,
) -> Stream:
    """Events as they happen, one JSON document a line; those of the past too with ``since``."""
    if since and until and since > until:
        whole = (since // 1_000_000_000, until // 1_000_000_000)
        raise InvalidArgument(f"`since` time ({whole[0]}) cannot be after `until` time ({whole[1]})")
    subscription = engine.events.subscribe(EventQuery(since, until, filters))
    return Stream(event_lines(subscription), eager=True)


async def event_lines(subscription: Subscription) -> AsyncIterator[bytes]:
    encode = msgspec.json.encode
    try:
        async for batch in subscription:
            yield b"".join(encode(event) + b"\n" for event in batch)
    finally:
        subscription.close()
