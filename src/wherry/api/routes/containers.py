"""Routes of containers. Engine API, Container."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable
from typing import Annotated

import msgspec
from aiohttp.web_request import BaseRequest

from wherry.api import older
from wherry.api.call import Call, Exchange
from wherry.api.errors import HttpError
from wherry.api.hijack import take_connection
from wherry.api.query import NO_FILTERS, NO_TIME, Named, Nanoseconds, parse_dimension
from wherry.api.render import containers as render
from wherry.api.reply import HANDED_OVER, HandedOver, Reply, Stream
from wherry.api.routing import Later, Routes
from wherry.api.version import Version
from wherry.engine.container import WaitResult
from wherry.engine.containers import ListQuery
from wherry.engine.engine import Engine
from wherry.engine.filters import Filters
from wherry.engine.streams import AttachRequest
from wherry.engine.views import ContainerDetail, ContainerLine
from wherry.errors import InvalidArgument
from wherry.messages.container import ContainerCreate
from wherry.messages.container_view import (
    ContainerInspect,
    ContainerSummary,
    CreatedAnswer,
    TopAnswer,
    WaitAnswer,
    WaitError,
)
from wherry.runtime.logs import LogsQuery

routes = Routes()


@routes.post("/containers/create", status=201)
async def create(
    engine: Engine,
    call: Call,
    body: ContainerCreate,
    name: str | None = None,
    platform: str | None = None,
    dry_run: bool = False,
) -> CreatedAnswer | Reply:
    """Make a container. 404 ``No such image`` makes ``docker run`` pull; 409 the name is taken.

    With ``dryRun``, which no client of Docker sends, nothing is made: 200, and the plan.
    """
    asked = older.in_words_of_today(body, call.version)
    wanted = {"name": name or None, "platform": older.platform(platform, call.version)}
    recursive = older.recursive_read_only(call.version)
    if dry_run:
        planned = await engine.containers.dry_run(asked, **wanted, recursive_read_only=recursive)
        return Reply(await engine.explainer.plan(planned, id_word="<id>"), 200)
    created = await engine.containers.create(asked, **wanted, recursive_read_only=recursive)
    return CreatedAnswer(id=created.id, warnings=[*older.deprecated(body, call.version), *created.warnings])


@routes.get("/containers/json")
def list_containers(
    engine: Engine,
    call: Call,
    all: bool = False,
    limit: int = 0,
    size: bool = False,
    filters: Filters = NO_FILTERS,
) -> Later[list[ContainerSummary]]:
    """Containers, newest first: the running ones, or those that ``all``, ``limit`` and ``filters`` ask for."""
    query = ListQuery(all, max(limit, 0), filters)
    if size or query.takes_time:
        return list_in_time(engine, query, size, call.version)
    return summaries(engine.views.containers(query), call.version)


async def list_in_time(
    engine: Engine, query: ListQuery, size: bool, version: Version
) -> list[ContainerSummary]:
    views = engine.views
    lines = await views.containers_in_thread(query) if query.takes_time else views.containers(query)
    return await with_sizes(engine, lines, version) if size else summaries(lines, version)


def summaries(lines: list[ContainerLine], version: Version) -> list[ContainerSummary]:
    now = time.time()
    return [render.summary(line, now, version) for line in lines]


async def with_sizes(engine: Engine, lines: list[ContainerLine], version: Version) -> list[ContainerSummary]:
    sizes = await engine.views.sizes([line.view for line in lines])
    now = time.time()
    return [render.summary(line, now, version, size) for line, size in zip(lines, sizes, strict=True)]


@routes.get("/containers/{ref}/json")
def inspect(engine: Engine, ref: str, size: bool = False) -> Later[ContainerInspect]:
    """Everything about one container."""
    detail = engine.views.container(ref)
    return inspect_with_size(engine, detail) if size else render.inspect(detail)


async def inspect_with_size(engine: Engine, detail: ContainerDetail) -> ContainerInspect:
    (size,) = await engine.views.sizes([detail.view])
    return render.inspect(detail, size)


@routes.post("/containers/{ref}/start", status=204)
async def start(engine: Engine, exchange: Exchange, ref: str, detach_keys: str = "") -> None:
    """Start a container. 304 it runs already; 400 its command cannot be run, or there are options with the request."""
    if brings_options(exchange.request):
        raise InvalidArgument(
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24"
        )
    await engine.containers.start(ref)


def brings_options(request: BaseRequest) -> bool:
    """Whether a body may say something: fewer than eight bytes, such as the ``{}`` of some clients, cannot."""
    if request.content_length is None:
        return request.body_exists
    return request.content_length > len('{"A":1}')


@routes.post("/containers/{ref}/stop", status=204)
async def stop(engine: Engine, ref: str, t: int | None = None, signal: str | None = None) -> None:
    """Ask a container to end, and kill it after ``t`` seconds. 304 it does not run."""
    await engine.containers.stop(ref, t, signal or None)


@routes.post("/containers/{ref}/restart", status=204)
async def restart(engine: Engine, ref: str, t: int | None = None, signal: str | None = None) -> None:
    """Stop it, if it runs, and start it."""
    await engine.containers.restart(ref, t, signal or None)


@routes.post("/containers/{ref}/kill", status=204)
async def kill(engine: Engine, ref: str, signal: str = "SIGKILL") -> None:
    """Send a signal. 409 it does not run."""
    await engine.containers.kill(ref, signal or "SIGKILL")


@routes.delete("/containers/{ref}", status=204)
async def remove(engine: Engine, ref: str, force: bool = False, v: bool = False, link: bool = False) -> None:
    """Remove a container. 409 it runs, unless ``force`` kills it first; 500 for ``link``, as there are none."""
    if link:
        engine.containers.find(ref)
        raise HttpError(500, "Conflict, cannot remove the default link name of the container")
    await engine.containers.remove(ref, force=force)


@routes.post("/containers/{ref}/rename", status=204)
async def rename(engine: Engine, ref: str, name: str = "") -> None:
    """Give it another name. 409 the name is taken."""
    if not name:
        raise InvalidArgument("Neither old nor new names may be empty")
    await engine.containers.rename(ref, name)


@routes.post("/containers/{ref}/resize")
async def resize(
    engine: Engine, ref: str, rows: Annotated[str, Named("h")] = "", columns: Annotated[str, Named("w")] = ""
) -> None:
    """Set the size of its terminal. 409 it does not run."""
    height, width = parse_dimension(rows, "height"), parse_dimension(columns, "width")
    await engine.containers.resize(ref, height, width)


@routes.get("/containers/{ref}/top")
async def top(engine: Engine, ref: str, ps_arguments: Annotated[str, Named("ps_args")] = "") -> TopAnswer:
    """Its processes, as the host's ``ps`` shows them. 409 it does not run."""
    container = engine.containers.get(ref)
    table = await engine.system.processes(container, ps_arguments)
    engine.events.container("top", container.record, {})
    return TopAnswer(titles=table.titles, processes=table.rows)


# ---------------------------------------------------------------- wait


@routes.post("/containers/{ref}/wait")
async def wait(engine: Engine, ref: str, condition: str = "") -> Stream:
    """Wait for ``not-running``, ``next-exit`` or ``removed``.

    The head is sent at once: clients start the container only when they have seen it.
    """
    waiter = engine.containers.waiter(ref, condition)
    return Stream(exit_status(waiter), eager=not waiter.done(), single=True)


async def exit_status(waiter: Awaitable[WaitResult]) -> AsyncIterator[bytes]:
    result = await waiter
    answer = WaitAnswer(status_code=result.status_code)
    if result.error is not None:
        answer.error = WaitError(message=result.error)
    yield msgspec.json.encode(answer) + b"\n"


# ---------------------------------------------------------------- logs and attach


@routes.get("/containers/{ref}/logs")
async def logs(
    engine: Engine,
    call: Call,
    ref: str,
    stdout: bool = False,
    stderr: bool = False,
    follow: bool = False,
    timestamps: bool = False,
    details: bool = False,
    tail: str = "all",
    since: Nanoseconds = NO_TIME,
    until: Nanoseconds = NO_TIME,
) -> Stream:
    """What the container has written, framed unless it has a terminal; with ``follow`` also what it will write.

    501 where it keeps no log.
    """
    record = engine.containers.find(ref).record
    if not (stdout or stderr):
        raise InvalidArgument("Bad parameters: you must choose at least one stream")
    if record.host_config.log_config.type == "none":
        raise HttpError(501, "configured logging driver does not support reading")
    framed = not record.config.tty
    query = LogsQuery(
        stdout=stdout,
        stderr=stderr,
        follow=follow,
        since=since or None,
        until=until or None,
        timestamps=timestamps,
        tail=tail_of(tail),
        details=details,
        framed=framed,
    )
    return Stream(engine.containers.logs(record.id, query), call.stream_type(framed), eager=True)


def tail_of(text: str) -> int | None:
    """How many of the last lines; anything but a number is all of them, as with Docker."""
    return int(text) if text.isdecimal() and len(text) < 10 else None


@routes.post("/containers/{ref}/attach")
async def attach(
    engine: Engine,
    exchange: Exchange,
    ref: str,
    stream: bool = False,
    stdin: bool = False,
    stdout: bool = False,
    stderr: bool = False,
    logs: bool = False,
    detach_keys: str = "",
) -> HandedOver:
    """Make the connection the container's streams. 409 it is paused."""
    id = engine.containers.find(ref).id  # its name may be another's by then
    asked = AttachRequest(stream, stdin, stdout, stderr, logs, detach_keys)
    wanted = engine.containers.check_attach(ref, asked)
    taken = await take_connection(exchange, framed=wanted.framed)
    await engine.containers.attach(id, wanted, taken.fd, taken.leftover)
    return HANDED_OVER
