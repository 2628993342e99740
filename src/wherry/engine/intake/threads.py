"""Work in threads that outlives the cancellation of whoever waits for it.

Each has a thread of its own: it waits for a client that sends what it likes when it likes. Threads of a pool, which
all other requests share, would be held by clients that send nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import TypeVar

from wherry.errors import Unavailable
from wherry.linux import heap

_Result = TypeVar("_Result")


async def in_thread(work: Callable[[], _Result], call_off: Callable[[], None] = lambda: None) -> _Result:
    """What ``work`` returns, which is called in a thread. Unavailable where no thread can be had.

    Where the caller is cancelled, ``call_off`` is called and the cancellation goes on when the work has ended:
    a thread cannot be stopped, and what it works on must not be taken from it.
    """
    future = asyncio.wrap_future(_started(work))
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        call_off()
        while not future.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([future])
        future.exception()  # looked at: what called-off work fails with interests nobody
        raise


def _started(work: Callable[[], _Result]) -> Future[_Result]:
    future: Future[_Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # handed to whoever waits, as an executor does
            future.set_exception(error)
        finally:
            heap.give_back()

    try:
        Thread(target=run, name="intake", daemon=True).start()
    except RuntimeError as error:
        raise Unavailable(f"the host has no thread left: {error}") from error
    return future
