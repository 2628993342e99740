"""The routes of the API, one module a noun."""

from __future__ import annotations

from wherry.api.routes import (
    containers,
    exec,
    explain,
    images,
    later,
    networks,
    plans,
    swarm,
    system,
    volumes,
)
from wherry.api.routing import Route


def all_routes() -> list[Route]:
    """Every route that is served."""
    modules = (containers, exec, explain, images, later, networks, plans, swarm, system, volumes)
    return [route for module in modules for route in module.routes.declared]
