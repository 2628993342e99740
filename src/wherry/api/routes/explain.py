"""What the kernel holds for containers, and where it is not as planned. Wherry's own; Docker has none of this."""

from __future__ import annotations

from typing import Annotated

from wherry.api.query import Named
from wherry.api.routing import Routes
from wherry.engine.engine import Engine
from wherry.errors import InvalidArgument
from wherry.messages.explain import Checked, Explanation

routes = Routes()

NOBODY: list[str] = []


@routes.get("/containers/{ref}/explain")
async def explain(
    engine: Engine, ref: str, check: bool = False, filter: bool = False
) -> Explanation | list[Checked]:
    """Everything that the kernel holds for one container or, with ``check``, only where it is not as planned.

    ``filter`` reads its seccomp program from the kernel too, for which its first process is stopped for a moment.
    """
    if check:
        return await engine.explainer.check([ref])
    return await engine.explainer.explain(ref, read_filter=filter)


@routes.get("/explain")
async def check_all(
    engine: Engine,
    check: bool = False,
    all: bool = False,
    containers: Annotated[list[str], Named("container")] = NOBODY,
) -> list[Checked]:
    """Where kernel and plans differ: of each ``container``, of those that run, or of ``all``."""
    if not check:
        raise InvalidArgument("name a container to explain, or ask with check=1 for differences alone")
    if containers:
        return await engine.explainer.check(containers)
    return await engine.explainer.check(everyone(engine) if all else None)


def everyone(engine: Engine) -> list[str]:
    return [container.id for container in engine.containers.everyone()]
