"""Routes of containers. Engine API, Container."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable
from typing import Annotated

import msgspec

from wherry.api.call import HANDED_OVER, Call, Exchange, HandedOver, Reply, Stream
from wherry.api.hijack import take_connection
from wherry.api.query import NO_FILTERS, NO_TIME, Named, Nanoseconds
from wherry.api.render import containers as render
from wherry.api.routing import Routes
from wherry.engine.container import WaitResult
from wherry.engine.containers import ListQuery
from wherry.engine.engine import Engine
from wherry.engine.filters import Filters
from wherry.engine.paths import ContainerPaths
from wherry.engine.record import ContainerView
from wherry.engine.streams import AttachRequest
from wherry.engine.task import layer_names
from wherry.errors import InvalidArgument, NotFound, WherryError
from wherry.messages.base import ZERO_TIME
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
from wherry.values.keys import parse_detach_keys

routes = Routes()


@routes.post("/containers/create", status=201)
async def create(
    engine: Engine,
    body: ContainerCreate,
    name: str | None = None,
    platform: str | None = None,
    dry_run: bool = False,
) -> CreatedAnswer | Reply:
    """Make a container. 404 ``No such image`` makes ``docker run`` pull; 409 the name is taken.

    With ``dryRun``, which no client of Docker sends, nothing is made: 200, and the plan.
    """
    if dry_run:
        planned = await engine.containers.dry_run(body, name=name or None, platform=platform or None)
        return Reply(planned.view(id_word="<id>"), 200)
    created = await engine.containers.create(body, name=name or None, platform=platform or None)
    return CreatedAnswer(id=created.id, warnings=created.warnings)


@routes.get("/containers/json")
async def list_containers(
    engine: Engine, all: bool = False, limit: int = 0, size: bool = False, filters: Filters = NO_FILTERS
) -> list[ContainerSummary]:
    """Containers, newest first: the running ones, or those that ``all``, ``limit`` and ``filters`` ask for."""
    filters = await resolve_ancestors(engine, filters)
    views = engine.containers.list(ListQuery(all, max(limit, 0), filters))
    names = await image_names(engine, views)
    sizes = [await engine.containers.size(view.id) if size else None for view in views]
    now = time.time()
    return [render.summary(v, names[v.id], now, s) for v, s in zip(views, sizes, strict=True)]


@routes.get("/containers/{ref}/json")
async def inspect(engine: Engine, ref: str, size: bool = False) -> ContainerInspect:
    """Everything about one container."""
    view = engine.containers.find(ref)
    sizes = await engine.containers.size(ref) if size else None
    return render.inspect(view, await places(engine, view), engine.execs.of_container(view.id), sizes)


@routes.post("/containers/{ref}/start", status=204)
async def start(engine: Engine, ref: str, detach_keys: str = "") -> None:
    """Start a container. 304 it runs already; 400 its command cannot be run."""
    await engine.containers.start(ref, detach_keys)


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
    """Remove a container. 409 it runs, unless ``force`` kills it first."""
    await engine.containers.remove(ref, force=force, volumes=v, link=link)


@routes.post("/containers/{ref}/rename", status=204)
async def rename(engine: Engine, ref: str, name: str = "") -> None:
    """Give it another name. 409 the name is taken."""
    if not name:
        raise InvalidArgument("Neither old nor new names may be empty")
    await engine.containers.rename(ref, name)


@routes.post("/containers/{ref}/resize")
async def resize(
    engine: Engine, ref: str, rows: Annotated[int, Named("h")] = 0, columns: Annotated[int, Named("w")] = 0
) -> None:
    """Set the size of its terminal. 409 it does not run."""
    await engine.containers.resize(ref, rows, columns)


@routes.get("/containers/{ref}/top")
async def top(engine: Engine, ref: str, ps_arguments: Annotated[str, Named("ps_args")] = "") -> TopAnswer:
    """Its processes, as the host's ``ps`` shows them. 409 it does not run."""
    table = await engine.system.processes(engine.containers.get(ref), ps_arguments)
    return TopAnswer(titles=table.titles, processes=table.rows)


# ---------------------------------------------------------------- wait


@routes.post("/containers/{ref}/wait")
async def wait(engine: Engine, ref: str, condition: str = "") -> Stream:
    """Wait for ``not-running``, ``next-exit`` or ``removed``.

    The head is sent at once: clients start the container only when they have seen it.
    """
    waiter = engine.containers.waiter(ref, condition)
    return Stream(exit_status(waiter), eager=True)


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
    """What the container has written, framed unless it has a terminal; with ``follow`` also what it will write."""
    record = engine.containers.find(ref).record
    if not (stdout or stderr):
        raise InvalidArgument("Bad parameters: you must choose at least one stream")
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
    """Make the connection the container's streams. 409 it is paused or restarting."""
    record = engine.containers.find(ref).record
    engine.containers.check_attach(ref)
    if detach_keys:
        parse_detach_keys(detach_keys)
    framed = not record.config.tty
    wanted = AttachRequest(
        stream=stream,
        stdin=stdin and record.config.open_stdin,
        stdout=stdout,
        stderr=stderr,
        logs=logs,
        detach_keys=detach_keys,
        framed=framed,
    )
    taken = await take_connection(exchange, framed=framed)
    await engine.containers.attach(record.id, wanted, taken.fd, taken.leftover)
    return HANDED_OVER


# ---------------------------------------------------------------- what a record does not say itself


async def places(engine: Engine, view: ContainerView) -> render.Places:
    """Where its files are. What is made at the first start has no place before it."""
    paths = ContainerPaths(engine.config, view.id)
    started = view.state.started_at != ZERO_TIME
    made = {
        name: str(getattr(paths, name)) if started else ""
        for name in ("log", "hosts", "hostname", "resolv_conf")
    }
    return render.Places(
        **made,
        lower=":".join(await layer_directories(engine, view.record.image)),
        upper=paths.upper,
        work=paths.work,
        merged=paths.merged,
    )


async def layer_directories(engine: Engine, image: str) -> list[str]:
    """Directories of an image's layers, topmost first; none where the image has been removed by force."""
    try:
        names = layer_names(await engine.images.resolve(image))
    except NotFound:
        return []
    return [str(engine.config.layers_dir / name) for name in reversed(names)]


async def resolve_ancestors(engine: Engine, filters: Filters) -> Filters:
    """The ``ancestor`` filter with image ids for names; a name that is none matches nothing."""
    wanted = filters.get("ancestor")
    if not wanted:
        return filters
    ids = []
    for name in wanted:
        try:
            ids.append((await engine.images.resolve(name)).id)
        except WherryError:
            ids.append("")
    return filters.replace("ancestor", ids)


async def image_names(engine: Engine, views: list[ContainerView]) -> dict[str, str]:
    """What ``ps`` shows as each container's image: the name asked for, or the id once it names another image."""
    current: dict[str, str] = {}
    records = [view.record for view in views]
    for name in {record.config.image for record in records}:
        try:
            current[name] = (await engine.images.resolve(name)).id
        except WherryError:
            current[name] = ""
    return {r.id: r.config.image if current[r.config.image] == r.image else r.image for r in records}
