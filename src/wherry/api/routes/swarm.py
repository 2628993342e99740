"""Routes of swarms and of plugins. Engine API, Swarm, Node, Service, Task, Secret, Config, Plugin.

There are none, and the answers are those of a dockerd that is in no swarm and has no plugin.
"""

from __future__ import annotations

from wherry.api.errors import HttpError
from wherry.api.routes.later import refusal
from wherry.api.routing import Route, Routes
from wherry.errors import NotFound

routes = Routes()

NO_SWARM = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node '
    "to swarm and try again."
)
OF_MANAGERS = (
    ("GET", "/swarm"),
    ("POST", "/swarm/update"),
    ("GET", "/swarm/unlockkey"),
    ("POST", "/swarm/unlock"),
    ("GET", "/services/{id}/logs"),
    ("GET", "/tasks/{id}/logs"),
)
NOUNS = {  # what can be done with them, beside list and inspect
    "nodes": ("DELETE", "update"),
    "services": ("create", "DELETE", "update"),
    "tasks": (),
    "secrets": ("create", "DELETE", "update"),
    "configs": ("create", "DELETE", "update"),
}


def managed() -> None:
    """503: there is no swarm."""
    raise HttpError(503, NO_SWARM)


def of_managers() -> list[tuple[str, str]]:
    """Every route that only a manager of a swarm serves."""
    found = [*OF_MANAGERS]
    for noun, verbs in NOUNS.items():
        found += [("GET", f"/{noun}"), ("GET", f"/{noun}/{{id}}")]
        found += [("DELETE", f"/{noun}/{{id}}")] if "DELETE" in verbs else []
        found += [("POST", f"/{noun}/create")] if "create" in verbs else []
        found += [("POST", f"/{noun}/{{id}}/update")] if "update" in verbs else []
    return found


routes.declared += [Route(method, pattern, managed) for method, pattern in of_managers()]
routes.declared += [Route("POST", f"/swarm/{verb}", refusal("swarms")) for verb in ("init", "join")]


@routes.post("/swarm/leave")
def leave() -> None:
    """503: there is none to leave."""
    raise HttpError(503, "This node is not part of a swarm")


@routes.get("/plugins")
def plugins() -> list[str]:
    """There are none."""
    return []


@routes.post("/plugins/{name}/set")
@routes.post("/plugins/{name}/push")
@routes.post("/plugins/{name}/upgrade")
@routes.post("/plugins/{name}/disable")
@routes.post("/plugins/{name}/enable")
@routes.delete("/plugins/{name}")
@routes.get("/plugins/{name}/json")
def plugin(name: str) -> None:
    """404: there are none."""
    raise NotFound(f'plugin "{name}" not found')


routes.declared += [
    Route(method, f"/plugins/{verb}", refusal("plugins"))
    for method, verb in (("GET", "privileges"), ("POST", "pull"), ("POST", "create"))
]
