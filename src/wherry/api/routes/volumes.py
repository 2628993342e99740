"""Routes of volumes. Engine API, Volume. There are none yet: a list is empty, and that is the truth."""

from __future__ import annotations

from wherry.api.errors import HttpError
from wherry.api.query import NO_FILTERS
from wherry.api.routing import Routes
from wherry.engine.filters import Filters
from wherry.errors import NotFound
from wherry.messages.volume import VolumeList

routes = Routes()

VOLUME_FILTERS = frozenset(["dangling", "driver", "label", "name"])


@routes.get("/volumes")
def list_volumes(filters: Filters = NO_FILTERS) -> VolumeList:
    """No volumes."""
    filters.check(VOLUME_FILTERS)
    return VolumeList(volumes=[])


@routes.get("/volumes/{name}")
def inspect(name: str) -> None:
    """404: there are none."""
    raise NotFound(f"get {name}: no such volume")


@routes.delete("/volumes/{name}", status=204)
async def remove(name: str) -> None:
    """404: there are none."""
    raise NotFound(f"get {name}: no such volume")


@routes.put("/volumes/{name}")
async def update(name: str) -> None:
    """503: only volumes of a swarm can be changed."""
    raise HttpError(503, "volume update only valid for cluster volumes, but swarm is unavailable")


@routes.post("/volumes/create", status=201)
async def create() -> None:
    """501: not there yet."""
    raise HttpError(
        501, "this version of wherry has no volumes: bind a directory of the host, or use a tmpfs"
    )
