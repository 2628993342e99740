"""The one loop: steps are done in their order, and undone in reverse, on failure and at the end."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from wherry.engine.preparation.step import EngineStep, Host, Launch, Moment

log = logging.getLogger(__name__)


def due(steps: Iterable[EngineStep], moment: Moment) -> tuple[EngineStep, ...]:
    """The steps that are done at a moment."""
    return tuple(step for step in steps if step.done_at is moment)


def ending(steps: Iterable[EngineStep], moment: Moment) -> tuple[EngineStep, ...]:
    """The steps that are undone at a moment, or were to be before it."""
    return tuple(step for step in steps if step.undone_at <= moment)


async def carry_out(steps: Sequence[EngineStep], host: Host, launch: Launch) -> tuple[EngineStep, ...]:
    """Do all steps; as they were done. If one fails, all that was done of them is undone, and its error raised."""
    done: list[EngineStep] = []
    try:
        for step in steps:
            done.append(await step.do(host, launch))
    except BaseException:
        launch.close()
        take_back([*done, steps[len(done)]], host)
        raise
    return tuple(done)


def take_back(steps: Sequence[EngineStep], host: Host) -> list[EngineStep]:
    """Undo steps in reverse. One that cannot be undone does not keep the others from it; they are returned."""
    left = []
    for step in reversed(steps):
        try:
            step.undo(host)
        except Exception:
            log.exception("cannot undo: %s", step.describe())
            left.append(step)
    return left
