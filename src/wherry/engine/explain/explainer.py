"""Explain and check: a container's plan, read back from the kernel.

All reading runs in one thread of its own, so that however many ask, there is only one that works; the event loop
only takes down which containers there are and what is recorded of them. What all containers of one question have in
common is read once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from wherry.engine.config import EngineConfig
from wherry.engine.containers import Containers, Planned
from wherry.engine.explain.reach import reach
from wherry.engine.journal import Journal
from wherry.engine.preparation.step import Host
from wherry.engine.record import ContainerView
from wherry.messages.explain import Checked, Explanation
from wherry.messages.plan import PlanView

if TYPE_CHECKING:
    from wherry.engine.explain.examiner import Examiner

T = TypeVar("T")


class Explainer:
    """Answers what the kernel holds for containers, and where that is not what their plans say."""

    def __init__(
        self,
        config: EngineConfig,
        host: Host,
        containers: Containers,
        journal: Journal,
    ) -> None:
        self._config = config
        self._host = host
        self._containers = containers
        self._journal = journal
        self._thread = ThreadPoolExecutor(1, "explain")

    async def explain(self, ref: str, *, read_filter: bool = False) -> Explanation:
        """All of one container. NotFound, InvalidArgument for a bad ``ref``.

        ``read_filter``: the seccomp program is read from the kernel too, for which the container's first process
        is stopped for a moment. Of one that does not run there is only what is left of it.
        """
        container = self._containers.get(ref)
        view = container.view.copied()
        running, images = self._running(), [c.record.image for c in self._containers.everyone()]
        return await self._in_thread(
            lambda: self._examiner.explain(view, running, images, read_filter=read_filter)
        )

    async def check(self, refs: Sequence[str] | None = None) -> list[Checked]:
        """The differences between plan and kernel of some containers or, by default, of all that run.

        NotFound where one of ``refs`` does not exist. A container that does not run has none.
        """
        wanted = self._containers.everyone() if refs is None else [self._containers.get(ref) for ref in refs]
        views = [c.view.copied() for c in wanted if refs is not None or c.running]
        running = self._running()
        return await self._in_thread(lambda: self._examiner.check(views, running))

    async def plan(self, planned: Planned, id_word: str = "") -> PlanView:
        """A plan for a reader (see `Planned.view`), with what the container can do to the host."""
        shown = planned.view(id_word)
        shown.reach = await self._in_thread(lambda: reach(planned.record, planned.plan))
        return shown

    def close(self) -> None:
        """Let go of the thread, when it has done what it was asked."""
        self._thread.shutdown()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    @cached_property
    def _examiner(self) -> Examiner:
        from wherry.engine.explain.examiner import Examiner  # late: most engines are never asked

        return Examiner(self._config, self._host, self._containers, self._journal)

    def _running(self) -> list[ContainerView]:
        return [c.view.copied() for c in self._containers.everyone() if c.running]
