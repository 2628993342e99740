"""The containers of one engine, as the API asks of them: made, looked up, planned; lives and streams are apart."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec

from wherry.engine.config import EngineConfig
from wherry.engine.container import Container, WaitResult
from wherry.engine.events import EventBus
from wherry.engine.executor import Executor
from wherry.engine.filters import Filters, match_containers
from wherry.engine.image import Images
from wherry.engine.image_record import ImageRecord
from wherry.engine.lifecycle import Lifecycle
from wherry.engine.log_options import attributes
from wherry.engine.names import new_id
from wherry.engine.network import Networks
from wherry.engine.planning import Planner
from wherry.engine.platform import check_platform, foreign
from wherry.engine.record import ContainerRecord, ContainerView
from wherry.engine.registry import Registry, no_such
from wherry.engine.request import by_name, ignored, wanted
from wherry.engine.sharing import by_id
from wherry.engine.store import Store
from wherry.engine.streams import AttachRequest, Streams
from wherry.engine.task import task_of
from wherry.errors import InvalidArgument, NotFound, WherryError
from wherry.image.manifest import Platform
from wherry.messages.container import ContainerCreate
from wherry.messages.plan import PlanView
from wherry.runtime.logs import LogsQuery
from wherry.runtime.plan_view import view
from wherry.runtime.steps import Plan
from wherry.snapshot.overlay import OverlayStore
from wherry.values.signals import parse_kill_signal
from wherry.values.times import now

Views = list[ContainerView]
Warnings = list[str]


@dataclass(frozen=True, slots=True)
class Created:
    """A container that was made, and warnings of what it asks for and does not get."""

    id: str
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Planned:
    """A container, there or only wished for, and its plan."""

    record: ContainerRecord
    plan: Plan

    def view(self, id_word: str = "") -> PlanView:
        """For a reader; with ``id_word`` instead of an id that does not exist, or is not to count."""
        id = self.record.id
        return view(self.plan, {id: id_word, id[:12]: id_word} if id_word else None)


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What ``GET /containers/json`` may ask: ``limit`` 0 is no limit and implies ``all`` where given."""

    all: bool = False
    limit: int = 0
    filters: Filters = field(default_factory=Filters)

    @property
    def takes_time(self) -> bool:
        """Whether a thread should look. InvalidArgument for more patterns than a request may bring."""
        return self.filters.take_time("name", "id")


def matching(views: Views, query: ListQuery) -> Views:
    """Those of all containers, newest first, that a query asks for."""
    return match_containers(views, query.filters, all=query.all, limit=query.limit)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes in the writable layer, and in the whole root."""

    size_rw: int
    size_root_fs: int


class Containers:
    """Every container of the engine. ``ref`` is an id, a name, or the beginning of an id; NotFound for none."""

    def __init__(
        self,
        config: EngineConfig,
        store: Store,
        images: Images,
        snapshots: OverlayStore,
        registry: Registry,
        networks: Networks,
        planner: Planner,
        executor: Executor,
        events: EventBus,
    ) -> None:
        self._config = config
        self._store = store
        self._images = images
        self._snapshots = snapshots
        self._registry = registry
        self._networks = networks
        self._planner = planner
        self._executor = executor
        self._events = events
        self._lifecycle = Lifecycle(
            config, store, registry, executor, networks, events, images.record, images.released
        )
        self._streams = Streams(config, events)

    # ------------------------------------------------------------ looking up

    def get(self, ref: str) -> Container:
        """InvalidArgument where several ids begin so."""
        return self._registry.get(ref)

    def find(self, ref: str) -> ContainerView:
        """One container to look at. InvalidArgument where several ids begin so."""
        return self.get(ref).view

    def lender(self, record: ContainerRecord) -> ContainerRecord:
        """Whose names and files in /etc a container has: its own, or those of whose network it shares."""
        return self._registry.lender(record)

    def everyone(self) -> Iterable[Container]:
        """Those of every phase, in the order in which they became known."""
        return self._registry.everyone()

    def list(self, query: ListQuery) -> Views:
        """Newest first; only running ones unless all, a limit or a status filter asks for more."""
        return matching(self._newest_first(), query)

    async def list_in_thread(self, query: ListQuery) -> Views:
        """The same, for a query whose filters take time."""
        views = [view.copied() for view in self._newest_first()]
        return await asyncio.to_thread(matching, views, query)

    def _newest_first(self) -> Views:
        return sorted((c.view for c in self.everyone()), key=lambda v: v.record.created, reverse=True)

    async def size(self, ref: str) -> Sizes:
        """Counts the writable layer's files, in a thread."""
        container = self.get(ref)
        written = await asyncio.to_thread(self._snapshots.size_rw, container.id)
        image = self._images.record(container.record.image)
        return Sizes(written, written + (image.size if image else 0))

    # ------------------------------------------------------------ create, rename, plan

    async def create(
        self,
        request: ContainerCreate,
        *,
        name: str | None,
        platform: str | None,
        recursive_read_only: bool = True,
    ) -> Created:
        """Make a container from an image: its writable directories, then its record."""
        record, image, warnings = await self._wished(request, name, platform, recursive_read_only)
        container = Container(msgspec.structs.replace(record, created=now()))
        await self._lifecycle.create(container, image)
        return Created(container.id, warnings)

    async def dry_run(
        self,
        request: ContainerCreate,
        *,
        name: str | None = None,
        platform: str | None = None,
        recursive_read_only: bool = True,
    ) -> Planned:
        """The plan that create and start would execute. Nothing is made, recorded or reserved."""
        record, image, _ = await self._wished(request, name, platform, recursive_read_only)
        return Planned(record, self._executor.plan(task_of(record, image)).plan)

    async def _wished(
        self, request: ContainerCreate, name: str | None, platform: str | None, recursive_read_only: bool
    ) -> tuple[ContainerRecord, ImageRecord, Warnings]:
        """The record of a container that is asked for, checked; its image; and warnings. Nothing is kept."""
        if not request.image:
            raise InvalidArgument("config cannot be empty in order to create a container")
        # This waits: what is found behind it is still so when the record is made.
        if request.host_config is not None:
            await self._planner.compile_profile(request.host_config)
        image = self._images.find(request.image)
        if request.host_config is not None:
            host = by_id(request.host_config, self._registry.id_of)
            request = msgspec.structs.replace(request, host_config=host)
        if platform:
            check_platform(request.image, image, Platform.parse(platform))
        name = self._registry.claim(name)
        record, points = wanted(
            new_id(),
            name,
            by_name(request, self._networks.name_of),
            image,
            self._config,
            recursive_read_only=recursive_read_only,
        )
        warnings = self._planner.check(record.config, record.host_config, points)
        if not platform:
            warnings += foreign(image)
        return record, image, [*warnings, *ignored(record, image)]

    def plan(self, ref: str, *, anew: bool = False) -> Planned:
        """The plan that a container was started with or, where it does not run or ``anew``, would be started with."""
        container = self.get(ref)
        launched = self._executor.journal.under_way(container.id) if not anew else None
        if launched is None or launched.spec is None:
            launched = self._executor.plan(self._lifecycle.task(container))
        return Planned(container.record, launched.plan)

    async def rename(self, ref: str, name: str) -> None:
        """InvalidArgument for what is no name, Conflict where it is taken."""
        container = self.get(ref)
        async with container.lock:
            if self.get(ref) is not container:  # its name has changed hands meanwhile
                raise no_such(ref)
            old = container.record.name
            if name.removeprefix("/") == old:
                raise InvalidArgument("Renaming a container with the same name as its current name")
            with told_as("Error when allocating new name"):
                claimed = self._registry.claim(f"/{name.removeprefix('/')}")
            record = msgspec.structs.replace(container.record, name=claimed)
            attributes(record)  # InvalidArgument: each line of its log may tell its name
            self._store.containers.save_record(record)
            self._registry.rename(container, record)
        self._events.container("rename", record, {"oldName": f"/{old}"})

    # ------------------------------------------------------------ lives

    async def start(self, ref: str) -> None:
        """NotModified if it runs; LaunchFailed, with Docker's texts, where it cannot."""
        await self._lifecycle.start(self.get(ref))

    async def stop(self, ref: str, timeout: int | None = None, signal: str | None = None) -> None:
        """Ask a container to end, and kill it when the time is over. NotModified if it does not run.

        ``timeout`` in seconds; negative waits without end; None takes the container's own.
        """
        container = self.get(ref)
        with told_as(f"cannot stop container: {ref}"):
            await self._lifecycle.stop(container, timeout, signal)

    async def restart(self, ref: str, timeout: int | None = None, signal: str | None = None) -> None:
        """Stop it, if it runs, and start it."""
        container = self.get(ref)
        with told_as(f"Cannot restart container {ref}"):
            await self._lifecycle.restart(container, timeout, signal)

    async def kill(self, ref: str, signal: str = "SIGKILL") -> None:
        """Send a signal. InvalidArgument for what is none; Conflict where it does not run."""
        with told_as(f"cannot kill container: {ref}"):
            number = parse_kill_signal(signal or "SIGKILL")
            await self._lifecycle.kill(self.get(ref), number)

    async def remove(self, ref: str, *, force: bool = False) -> None:
        """Remove a container; with ``force`` a running one is killed first."""
        await self._lifecycle.remove(self.get(ref), force=force)

    def waiter(self, ref: str, condition: str = "not-running") -> asyncio.Future[WaitResult]:
        """A future for ``not-running``, ``next-exit`` or ``removed``."""
        return self.get(ref).waiter(condition or "not-running")

    # ------------------------------------------------------------ streams

    def check_attach(self, ref: str, request: AttachRequest) -> AttachRequest:
        """The request as the container can fulfil it. Raises what stands in the way, while that can be an answer."""
        return self._streams.check_attach(self.get(ref), ref, request)

    async def attach(self, ref: str, request: AttachRequest, client_fd: int, leftover: bytes = b"") -> None:
        """Hand a client's socket to the container's monitor, at once or when it starts. Takes ``client_fd``."""
        try:
            container = self.get(ref)
        except NotFound:
            os.close(client_fd)  # it was removed in the meantime
            raise
        await self._streams.attach(container, request, client_fd, leftover)

    def logs(self, ref: str, query: LogsQuery) -> AsyncIterator[bytes]:
        """The log as framed batches; with ``follow`` until the container ends."""
        return self._streams.logs(self.get(ref), query)

    async def resize(self, ref: str, rows: int, columns: int) -> None:
        """Set the size of its terminal. Conflict where it does not run."""
        await self._streams.resize(self.get(ref), rows, columns)

    # ------------------------------------------------------------ after a restart of the daemon

    @property
    def lifecycle(self) -> Lifecycle:
        """For what moves containers without a client's asking, as recovery does."""
        return self._lifecycle


@contextmanager
def told_as(what: str) -> Iterator[None]:
    """Within, an error says first what went wrong, in Docker's words."""
    try:
        yield
    except WherryError as error:
        error.args = (f"{what}: {error.message}", *error.args[1:])
        raise
