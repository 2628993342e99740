"""Routes of networks. Engine API, Network."""

from __future__ import annotations

from collections.abc import Sequence

from wherry.api.errors import HttpError
from wherry.api.query import NO_FILTERS
from wherry.api.routing import Later, Routes
from wherry.engine.engine import Engine
from wherry.engine.filters import Filters
from wherry.engine.network import check_new
from wherry.errors import InvalidArgument, NotFound
from wherry.messages.network import NetworkCreate, NetworkResource
from wherry.values.words import boolean

routes = Routes()

LOCAL = "local"  # the scope of all networks that there are


@routes.get("/networks/")
@routes.get("/networks")
def list_networks(engine: Engine, filters: Filters = NO_FILTERS) -> Later[Sequence[NetworkResource]]:
    """The predefined networks: bridge, host, none."""
    if filters.take_time("name"):
        return engine.networks.list_in_thread(filters)
    return engine.networks.list(filters)


@routes.get("/networks/{ref}")
def inspect(engine: Engine, ref: str, scope: str = "", verbose: str = "") -> NetworkResource:
    """One network, with the containers that run on it. 404 also where there is none of that scope."""
    try:
        boolean(verbose or "false")
    except ValueError as error:
        raise InvalidArgument(f"invalid value for verbose: {verbose}: {error}") from None
    if scope not in ("", LOCAL):
        raise NotFound(f"network {ref} not found")
    return engine.views.network(ref)


@routes.delete("/networks/{ref}", status=204)
def remove(engine: Engine, ref: str) -> None:
    """403: there are only predefined networks."""
    engine.networks.remove(ref)


@routes.post("/networks/create", status=201)
async def create(request: NetworkCreate | None = None) -> None:
    """501: not there yet. Before that, what no engine would make is refused as Docker does."""
    if request is not None:
        check_new(request.name, request.driver)
    raise HttpError(501, "this version of wherry has only the networks bridge, host and none")
