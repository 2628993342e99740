"""Routes of Docker's that this version does not serve: 501, and in words what it has not."""

from __future__ import annotations

from typing import NoReturn

from wherry.api.errors import HttpError
from wherry.api.routing import Handler, Route, Routes
from wherry.engine.engine import Engine

# Method, pattern, and what it is for.
LATER = (
    ("GET", "/containers/{ref}/archive", "copying out of containers (cp)"),
    ("HEAD", "/containers/{ref}/archive", "copying from and to containers (cp)"),
    ("PUT", "/containers/{ref}/archive", "copying into containers (cp)"),
    ("GET", "/containers/{ref}/changes", "list of changes in a container (diff)"),
    ("GET", "/containers/{ref}/export", "export of containers"),
    ("GET", "/containers/{ref}/stats", "statistics (wherry explain shows limits and use)"),
    ("POST", "/containers/{ref}/pause", "pausing of containers"),
    ("POST", "/containers/{ref}/unpause", "pausing of containers"),
    ("POST", "/containers/{ref}/update", "way to change the limits of containers"),
    ("POST", "/containers/prune", "pruning of containers"),
    ("POST", "/images/prune", "pruning of images"),
    ("POST", "/networks/prune", "pruning of networks"),
    ("POST", "/volumes/prune", "volumes"),
    ("POST", "/build/prune", "builds"),
    ("POST", "/build", "builds"),
    ("POST", "/build/cancel", "builds"),
    ("POST", "/commit", "commit of containers"),
    ("GET", "/images/get", "saving of images"),
    ("GET", "/images/{ref}/get", "saving of images"),
    ("POST", "/images/{ref}/push", "pushing of images"),
    ("GET", "/images/search", "search in registries"),
    ("GET", "/distribution/{ref}/json", "registry client"),
    ("POST", "/auth", "registry client"),
    ("GET", "/system/df", "account of disk use"),
    ("GET", "/containers/{ref}/attach/ws", "attaching over a web socket"),
    ("POST", "/networks/{ref}/connect", "networks but bridge, host and none"),
    ("POST", "/networks/{ref}/disconnect", "networks but bridge, host and none"),
    ("POST", "/session", "builds"),
    ("POST", "/grpc", "builds"),
)


def refusal(what: str) -> Handler:
    """What answers a route that is not served."""

    async def refuse() -> NoReturn:
        raise HttpError(501, f"this version of wherry has no {what}")

    refuse.__doc__ = f"501: no {what} yet."
    return refuse


def refusal_of(what: str, pattern: str) -> Handler:
    """The same for a route of one container or network; who misspelled its name learns that first."""
    if "{ref}" not in pattern or not pattern.startswith(("/containers", "/networks")):
        return refusal(what)

    async def refuse(engine: Engine, ref: str) -> NoReturn:
        found = engine.containers.find if pattern.startswith("/containers") else engine.networks.find
        found(ref)
        raise HttpError(501, f"this version of wherry has no {what}")

    refuse.__doc__ = f"501: no {what} yet; 404 where there is none of that name."
    return refuse


routes = Routes([Route(method, pattern, refusal_of(what, pattern)) for method, pattern, what in LATER])
