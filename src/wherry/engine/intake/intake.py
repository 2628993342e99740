"""The one door by which content comes in: load and import; later pull, commit and build."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

from wherry.engine.intake.collector import Collector
from wherry.engine.intake.content import Content
from wherry.engine.intake.lease import Lease, Leases
from wherry.engine.intake.threads import in_thread
from wherry.errors import Unavailable, wanting
from wherry.image.blobs import BlobStore
from wherry.snapshot.layers import LayerStore

LIMIT = 128  # at once; each has a thread and a window of its upload in memory

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


class Intake:
    """Opens the way in. What is recorded before the block ends stays; all else is gone then.

    ::

        async with intake.open("load") as arrival:
            images = await arrival.work(unpack_archive, stream)  # in a thread
            await arrival.work(Content.keep, *images)  # durable, in the stores
            register.add(images)  # recorded, in one transaction
    """

    def __init__(self, leases: Leases, blobs: BlobStore, layers: LayerStore, collector: Collector) -> None:
        self._leases, self._blobs, self._layers = leases, blobs, layers
        self._collector = collector
        self._open = 0

    @asynccontextmanager
    async def open(self, kind: str) -> AsyncIterator[Arrival]:
        """Writers of blobs and layers under a lease; ``kind`` names it in messages.

        At the end, what was taken in and is not recorded is deleted, unless somebody else holds it. Internal, which
        says so, where the host cannot keep it. Unavailable while ``LIMIT`` others are open, whose clients may send
        nothing for as long as they like.
        """
        if self._open >= LIMIT:
            raise Unavailable(
                f"cannot {kind}: {LIMIT} uploads of images are under way; try again when one is done"
            )
        self._open += 1
        lease = self._leases.open(kind)
        try:
            with wanting(f"{kind} the archive"):
                content = Content(lease, self._blobs, self._layers)
                try:
                    yield Arrival(lease, content)
                finally:
                    await in_thread(content.close)
        finally:
            self._open -= 1
            lease.end()
            await self._collector.collect(lease.held)


class Arrival:
    """Content that is coming in."""

    def __init__(self, lease: Lease, content: Content) -> None:
        self._lease, self._content = lease, content

    async def work(
        self,
        what: Callable[Concatenate[Content, _Given], _Result],
        *given: _Given.args,
        **named: _Given.kwargs,
    ) -> _Result:
        """What ``what`` returns, which is called in a thread, with the writers before what else is given.

        If the caller is cancelled, the work is called off: it fails as soon as it takes something more in.
        """
        return await in_thread(partial(what, self._content, *given, **named), call_off=self._lease.end)
