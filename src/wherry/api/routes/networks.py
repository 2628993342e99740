"""Routes of networks. Engine API, Network."""

from __future__ import annotations

from wherry.api.errors import HttpError
from wherry.api.query import NO_FILTERS
from wherry.api.routing import Routes
from wherry.engine.containers import ListQuery
from wherry.engine.engine import Engine
from wherry.engine.filters import Filters
from wherry.errors import Denied
from wherry.messages.network import EndpointResource, NetworkResource

routes = Routes()


@routes.get("/networks")
def list_networks(engine: Engine, filters: Filters = NO_FILTERS) -> list[NetworkResource]:
    """The predefined networks: bridge, host, none."""
    return engine.networks.list(filters)


@routes.get("/networks/{ref}")
def inspect(engine: Engine, ref: str) -> NetworkResource:
    """One network, with the containers that run on it."""
    return engine.networks.inspect(ref, endpoints(engine, engine.networks.find(ref).name))


def endpoints(engine: Engine, network: str) -> dict[str, EndpointResource]:
    """Running containers on a network, by id."""
    found: dict[str, EndpointResource] = {}
    for view in engine.containers.list(ListQuery()):
        lease = view.attachments.get(network)
        if lease is not None:
            found[view.id] = EndpointResource(
                name=view.record.name,
                endpoint_id=lease.endpoint_id,
                mac_address=lease.mac,
                ipv4_address=lease.address,
            )
    return found


@routes.delete("/networks/{ref}", status=204)
async def remove(engine: Engine, ref: str) -> None:
    """403: there are only predefined networks."""
    name = engine.networks.find(ref).name
    raise Denied(f"{name} is a pre-defined network and cannot be removed")


@routes.post("/networks/create", status=201)
async def create() -> None:
    """501: not there yet."""
    raise HttpError(501, "this version of wherry has only the networks bridge, host and none")
