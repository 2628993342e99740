"""Plans, shown and compared. Wherry's own; Docker has none of this."""

from __future__ import annotations

from typing import Any

from msgspec import field

from wherry.messages.base import Model
from wherry.messages.container import ContainerCreate


class StepView(Model):
    """One step. ``number`` counts in the order of execution, from 1; ``phase`` says who does it."""

    number: int
    phase: str  # engine, monitor, container
    heading: str
    name: str
    text: str
    origin: str
    cause: str
    arguments: dict[str, Any]


class Reach(Model):
    """Something of the host's that a container is given: what it could do with it, and who asked for that."""

    could: str
    origin: str
    cause: str


class PlanView(Model):
    """A plan, for a reader. ``reach``: what the container could do to the host."""

    steps: list[StepView]
    reach: list[Reach] = field(default_factory=list)


class Difference(Model):
    """What only A has (``b`` None), only B has (``a`` None), or both have differently."""

    heading: str
    name: str
    what: str
    a: StepView | None = None
    b: StepView | None = None


class PlanDifference(Model):
    """``POST /plans/compare``: what differs between ``a`` and ``b``."""

    a: str
    b: str
    differences: list[Difference]


class PlanSource(Model):
    """One side of a comparison: a container that is there, or the body of a create request."""

    container: str = ""
    create: ContainerCreate | None = None


class PlanComparison(Model):
    """Body of ``POST /plans/compare``."""

    a: PlanSource
    b: PlanSource
