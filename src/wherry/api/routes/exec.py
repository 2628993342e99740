"""Routes of exec instances. Engine API, Exec."""

from __future__ import annotations

from typing import Annotated

from wherry.api import older
from wherry.api.call import Call, Exchange
from wherry.api.hijack import take_connection
from wherry.api.query import Named, parse_dimension
from wherry.api.render import exec as render
from wherry.api.reply import HANDED_OVER, HandedOver
from wherry.api.routing import Routes
from wherry.engine.engine import Engine
from wherry.messages.exec import ExecCreate, ExecCreated, ExecInspect, ExecStart

routes = Routes()


@routes.post("/containers/{ref}/exec", status=201)
async def create(engine: Engine, call: Call, ref: str, body: ExecCreate) -> ExecCreated:
    """Prepare a command in a running container. 404 no such container; 409 it is not running."""
    return ExecCreated(id=await engine.execs.create(ref, older.exec_of_today(body, call.version)))


@routes.post("/exec/{id}/start")
async def start(
    engine: Engine, exchange: Exchange, id: str, body: ExecStart | None = None
) -> HandedOver | None:
    """Run it: detached, or with the connection as its streams. 404 no such exec; 409 it has been started.

    Once the connection is a stream, a command that cannot be run is told of in the stream.
    """
    options = older.exec_of_today(body or ExecStart(), exchange.version)
    engine.execs.check_start(id)
    if options.detach:
        await engine.execs.start(id, options)
        return None
    taken = await take_connection(exchange, framed=not options.tty)
    await engine.execs.start(id, options, taken.fd, framed=not options.tty, leftover=taken.leftover)
    return HANDED_OVER


@routes.get("/exec/{id}/json")
async def inspect(engine: Engine, id: str) -> ExecInspect:
    """How it stands; ``ExitCode`` is null until it has ended."""
    return render.inspect(await engine.execs.settled(id))


@routes.post("/exec/{id}/resize")
async def resize(
    engine: Engine, id: str, rows: Annotated[str, Named("h")] = "", columns: Annotated[str, Named("w")] = ""
) -> None:
    """Set the size of its terminal."""
    height, width = parse_dimension(rows, "height"), parse_dimension(columns, "width")
    await engine.execs.resize(id, height, width)
