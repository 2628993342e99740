"""Plans: what would be done, and how two of them differ. Wherry's own; Docker has none of this."""

from __future__ import annotations

from wherry.api.routing import Routes
from wherry.engine.engine import Engine
from wherry.messages.plan import PlanComparison, PlanDifference, PlanView

routes = Routes()


@routes.get("/containers/{ref}/plan")
async def plan(engine: Engine, ref: str) -> PlanView:
    """The plan of a container: as it was started, if it runs, else as it would be."""
    return await engine.explainer.plan(engine.containers.plan(ref))


@routes.post("/plans/compare")
async def compare_plans(engine: Engine, body: PlanComparison) -> PlanDifference:
    """What differs between two plans, with causes."""
    return await engine.views.plan_difference(body)
