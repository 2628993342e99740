"""Plans: what would be done, and how two of them differ. Wherry's own; Docker has none of this."""

from __future__ import annotations

from wherry.api.routing import Routes
from wherry.engine.containers import Planned
from wherry.engine.engine import Engine
from wherry.errors import InvalidArgument
from wherry.messages.plan import PlanComparison, PlanDifference, PlanSource, PlanView
from wherry.runtime.plan_view import compare

routes = Routes()

ID_WORD = "<id>"  # two containers always differ in their ids


@routes.get("/containers/{ref}/plan")
async def plan(engine: Engine, ref: str) -> PlanView:
    """The plan of a container: as it was started, if it runs, else as it would be."""
    return engine.containers.plan(ref).view()


@routes.post("/plans/compare")
async def compare_plans(engine: Engine, body: PlanComparison) -> PlanDifference:
    """What differs between two plans, with causes."""
    first, second = await planned(engine, body.a, "A"), await planned(engine, body.b, "B")
    return compare(first.view(ID_WORD), second.view(ID_WORD), title(body.a), title(body.b))


async def planned(engine: Engine, source: PlanSource, side: str) -> Planned:
    if source.create is not None:
        return await engine.containers.dry_run(source.create)
    if not source.container:
        raise InvalidArgument(f"{side} is neither a container nor an image with options")
    return engine.containers.plan(source.container, anew=True)


def title(source: PlanSource) -> str:
    return source.create.image if source.create is not None else source.container
