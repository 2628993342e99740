"""Compiling the seccomp profiles that requests bring with them, so that nobody waits long behind somebody's slow ones.

What a profile takes cannot be seen from outside. So each is tried for a moment at first, where those that wait get on
quickly, and what takes longer waits for a place where there is more time. A queue that is full is told, not joined.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from wherry.errors import Unavailable
from wherry.runtime.seccomp import SeccompCompiler
from wherry.runtime.seccomp_worker import SECONDS, TooMuch


@dataclass(slots=True)
class Lane:
    """Places for profiles that take no longer than ``seconds`` of a processor; ``most`` may be here, also waiting."""

    seconds: int
    places: int
    most: int
    here: int = 0
    free: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.free = asyncio.Semaphore(self.places)


def lanes() -> tuple[Lane, ...]:
    """At most three threads of the daemon's are with profiles."""
    return Lane(seconds=1, places=2, most=32), Lane(seconds=SECONDS, places=1, most=4)


class Profiles:
    """Has profiles compiled, in a lane behind which there is another, or the end."""

    def __init__(self, compiler: SeccompCompiler, lanes: Sequence[Lane]) -> None:
        self._compiler = compiler
        self._lanes = lanes

    async def compile(self, profile: str, capabilities: frozenset[str]) -> None:
        """From now on the compiler has it done. InvalidArgument; TooMuch; Unavailable where too many wait."""
        for lane in self._lanes:
            if self._compiler.has(capabilities, profile):
                return None
            try:
                return await self._compile_in(lane, profile, capabilities)
            except TooMuch:
                continue
        raise TooMuch

    async def _compile_in(self, lane: Lane, profile: str, capabilities: frozenset[str]) -> None:
        if lane.here >= lane.most:
            raise Unavailable(
                f"{lane.here} slow seccomp profiles are already waiting to be compiled: try again later"
            )
        lane.here += 1
        try:
            async with lane.free:
                await asyncio.to_thread(self._compiler.program, capabilities, profile, lane.seconds)
        finally:
            lane.here -= 1
