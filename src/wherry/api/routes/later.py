"""Routes of Docker's that this version does not serve: 501, and in words what is not supported."""

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
    ("GET", "/containers/{ref}/changes", "listing the changes in a container (diff)"),
    ("GET", "/containers/{ref}/export", "exporting containers"),
    ("GET", "/containers/{ref}/stats", "statistics (wherry explain shows limits and use)"),
    ("POST", "/containers/{ref}/pause", "pausing containers"),
    ("POST", "/containers/{ref}/unpause", "pausing containers"),
    ("POST", "/containers/{ref}/update", "changing the limits of containers"),
    ("POST", "/containers/prune", "pruning containers"),
    ("POST", "/images/prune", "pruning images"),
    ("POST", "/networks/prune", "pruning networks"),
    ("POST", "/volumes/prune", "volumes"),
    ("POST", "/build/prune", "builds"),
    ("POST", "/build", "builds"),
    ("POST", "/build/cancel", "builds"),
    ("POST", "/commit", "committing containers"),
    ("GET", "/images/get", "saving images"),
    ("GET", "/images/{ref}/get", "saving images"),
    ("POST", "/images/{ref}/push", "pushing images"),
    ("GET", "/images/search", "searching registries"),
    ("GET", "/distribution/{ref}/json", "registries"),
    ("POST", "/auth", "registries"),
    ("GET", "/system/df", "telling the disk usage (system df)"),
    ("GET", "/containers/{ref}/attach/ws", "attaching over a web socket"),
    ("POST", "/networks/{ref}/connect", "networks other than bridge, host and none"),
    ("POST", "/networks/{ref}/disconnect", "networks other than bridge, host and none"),
    ("POST", "/session", "builds"),
    ("POST", "/grpc", "builds"),
)


def refusal(what: str) -> Handler:
    """What answers a route that is not served."""

    async def refuse() -> NoReturn:
        raise HttpError(501, f"this version of wherry does not support {what}")

    refuse.__doc__ = f"501: {what}, not supported yet."
    return refuse


def refusal_of(what: str, pattern: str) -> Handler:
    """The same for a route of one container or network; who misspelled its name learns that first."""
    if "{ref}" not in pattern or not pattern.startswith(("/containers", "/networks")):
        return refusal(what)

    async def refuse(engine: Engine, ref: str) -> NoReturn:
        found = engine.containers.find if pattern.startswith("/containers") else engine.networks.find
        found(ref)
        raise HttpError(501, f"this version of wherry does not support {what}")

    refuse.__doc__ = f"501: {what}, not supported yet; 404 where there is none of that name."
    return refuse


routes = Routes([Route(method, pattern, refusal_of(what, pattern)) for method, pattern, what in LATER])
