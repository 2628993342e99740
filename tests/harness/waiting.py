"""Waiting for what comes in its own time, and no longer than for what does not come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

SECONDS = 10.0
PAUSE = 0.01

T = TypeVar("T")


def eventually(condition: Callable[[], T], seconds: float = SECONDS) -> T:
    """What the condition says as soon as it holds; what it says at last where it does not in time."""
    deadline = time.monotonic() + seconds
    while not (said := condition()) and time.monotonic() < deadline:
        time.sleep(PAUSE)
    return said


async def until(condition: Callable[[], T], seconds: float = SECONDS) -> T:
    """The same for a test on an event loop, which goes on meanwhile."""
    deadline = time.monotonic() + seconds
    while not (said := condition()) and time.monotonic() < deadline:
        await asyncio.sleep(PAUSE)
    return said
