"""Work in threads that outlives the cancellation of whoever waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

_Result = TypeVar("_Result")


async def in_thread(work: Callable[[], _Result], call_off: Callable[[], None] = lambda: None) -> _Result:
    """What ``work`` returns, which is called in a thread.

    Where the caller is cancelled, ``call_off`` is called and the cancellation goes on when the work has ended:
    a thread cannot be stopped, and what it works on must not be taken from it.
    """
    future = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        call_off()
        while not future.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([future])
        raise
