"""Seeing to it that what is ours on the host's network stays whole, whatever others do to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from wherry.errors import WherryError, sentence
from wherry.network.driver import Watched

RETRY_SECONDS = 1.0

log = logging.getLogger(__name__)


class NetworkWatch:
    """Calls ``put_back`` after each change: one call at a time, and one more for what has changed meanwhile.

    ``put_back`` says what was missing; it is called in a thread, and again later where it fails.
    """

    def __init__(self, what: str, changes: Watched, put_back: Callable[[], Sequence[str]]) -> None:
        self._what, self._changes, self._put_back = what, changes, put_back
        self._changed = asyncio.Event()
        self._keeper = asyncio.create_task(self._keep())
        asyncio.get_running_loop().add_reader(changes.fileno(), self._note)

    async def stop(self) -> None:
        """Watch no more. A call that is under way ends first."""
        asyncio.get_running_loop().remove_reader(self._changes.fileno())
        self._keeper.cancel()
        await asyncio.gather(self._keeper, return_exceptions=True)

    def _note(self) -> None:
        self._changes.drain()
        self._changed.set()

    async def _keep(self) -> None:
        said = ""
        while await self._changed.wait():
            self._changed.clear()
            failure = await self._try()
            if failure and failure != said:
                log.error("cannot put back %s: %s", self._what, failure)
            said = failure
            if failure:
                await asyncio.sleep(RETRY_SECONDS)
                self._changed.set()

    async def _try(self) -> str:
        """Why it cannot be put back, or nothing. Not interrupted: a thread cannot be."""
        call = asyncio.ensure_future(asyncio.to_thread(self._put_back))
        try:
            missing = await asyncio.shield(call)
        except asyncio.CancelledError:
            await asyncio.gather(call, return_exceptions=True)
            raise
        except OSError as error:
            return sentence(error)
        except WherryError as error:
            return error.message
        if missing:
            log.warning("%s was changed from outside; put back: %s", self._what, ", ".join(missing))
        return ""
