"""The one loop: steps are done in their order, and undone in reverse, on failure and at the end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from wherry.engine.preparation.step import EngineStep, Host, Launch, Moment
from wherry.errors import wanting

SLICE_SECONDS = 0.005  # that steps take without a look at who else waits

log = logging.getLogger(__name__)


def due(steps: Iterable[EngineStep], moment: Moment) -> tuple[EngineStep, ...]:
    """The steps that are done at a moment."""
    return tuple(step for step in steps if step.done_at is moment)


def ending(steps: Iterable[EngineStep], moment: Moment) -> tuple[EngineStep, ...]:
    """The steps that are undone at a moment, or were to be before it."""
    return tuple(step for step in steps if step.undone_at <= moment)


async def carry_out(steps: Sequence[EngineStep], host: Host, launch: Launch) -> tuple[EngineStep, ...]:
    """Do all steps; as they were done. If one fails, all that was done of them is undone, and its error raised.

    What cannot be undone then is in ``launch.left``. Internal, in words, where the host fails.
    """
    done: list[EngineStep] = []
    try:
        begun = time.monotonic()
        for step in steps:
            if time.monotonic() - begun > SLICE_SECONDS:
                await asyncio.sleep(0)  # a thousand ports keep nobody else waiting
                begun = time.monotonic()
            with wanting(f"prepare the container, {step.name} ({step.describe()})"):
                done.append(await step.do(host, launch))
    except BaseException:
        launch.close()
        launch.left = [step for step, _ in take_back([*done, steps[len(done)]], host)]
        raise
    return tuple(done)


def take_back(
    steps: Sequence[EngineStep], host: Host, *, whole: bool = False
) -> list[tuple[EngineStep, Exception]]:
    """Undo steps in reverse; those that cannot be undone, in the order of their doing, each with the reason.

    One that cannot does not keep the others from it; but with ``whole`` it does: what others rest on stays.
    """
    left: list[tuple[EngineStep, Exception]] = []
    for bundle in bundles(reversed(steps)):
        try:
            bundle[0].undo_together(bundle, host)
        except Exception as error:
            log.exception("cannot undo: %s", bundle[0].describe())
            left = [*((step, error) for step in reversed(bundle)), *left]
            if whole:
                break
    return left


def bundles(steps: Iterable[EngineStep]) -> Iterator[tuple[EngineStep, ...]]:
    """Each step alone, but neighbours of a kind that is undone together."""
    for together, alike in groupby(steps, lambda step: type(step) if step.together else None):
        if together:
            yield tuple(alike)
        else:
            yield from ((step,) for step in alike)


def take_over(steps: Sequence[EngineStep], host: Host) -> None:
    """After a restart of the daemon: take over what is there. One that cannot be does not end the container, nor keep
    the daemon from starting."""
    for step in steps:
        try:
            step.adopt(host)
        except Exception:
            log.exception("cannot take over: %s", step.describe())
