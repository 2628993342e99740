"""The containers of one engine: create, start, stop, attach, remove, and what happens when one exits."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from wherry.engine.config import EngineConfig
from wherry.engine.container import AttachRequest, Container, WaitResult
from wherry.engine.events import EventBus
from wherry.engine.filters import Filters, match_containers
from wherry.engine.image import Images
from wherry.engine.image_record import ImageRecord
from wherry.engine.launching import Launching
from wherry.engine.names import check_name, new_id, random_name
from wherry.engine.planning import Planner, layer_names
from wherry.engine.record import ContainerRecord, Status
from wherry.engine.request import check_platform, ignored, make_record
from wherry.engine.store import Store
from wherry.errors import Conflict, InvalidArgument, LaunchFailed, NotFound, NotModified, WherryError
from wherry.messages.container import ContainerCreate
from wherry.messages.plan import PlanView
from wherry.runtime.launcher import Attach, ExitStatus, Monitored
from wherry.runtime.logs import LogsQuery, follow
from wherry.runtime.plan_view import view
from wherry.runtime.steps import Plan
from wherry.snapshot.overlay import OverlayStore
from wherry.values.keys import DEFAULT_DETACH_KEYS, parse_detach_keys
from wherry.values.signals import parse_signal
from wherry.values.times import now

SIGKILL = 9
MIN_PREFIX = 1
Records = list[ContainerRecord]
ImageUsers = list[tuple[str, bool]]
Warnings = list[str]


@dataclass(frozen=True, slots=True)
class Created:
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
    size: bool = False
    filters: Filters = field(default_factory=Filters)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes in the writable layer, and in the whole root."""

    size_rw: int
    size_root_fs: int


class Containers:
    """Every container of the engine, by id and by name."""

    def __init__(
        self,
        config: EngineConfig,
        store: Store,
        images: Images,
        snapshots: OverlayStore,
        planner: Planner,
        launching: Launching,
        events: EventBus,
    ) -> None:
        self._config = config
        self._store = store
        self._images = images
        self._snapshots = snapshots
        self._planner = planner
        self._launching = launching
        self._events = events
        self._by_id: dict[str, Container] = {}
        self._by_name: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._attach_ids = 0

    # ------------------------------------------------------------ looking up

    def get(self, ref: str) -> Container:
        """By full id, exact name (with or without slash), or unambiguous id prefix, in this order."""
        name = ref.removeprefix("/")
        id = ref if ref in self._by_id else self._by_name.get(name)
        if id is not None:
            return self._by_id[id]
        matches = [key for key in self._by_id if key.startswith(ref)] if len(ref) >= MIN_PREFIX else []
        if len(matches) > 1:
            raise InvalidArgument(f"multiple IDs found with provided prefix: {ref}")
        if not matches:
            raise NotFound(f"No such container: {ref}")
        return self._by_id[matches[0]]

    def find(self, ref: str) -> ContainerRecord:
        return self.get(ref).record

    def everyone(self) -> Iterable[Container]:
        return self._by_id.values()

    def list(self, query: ListQuery) -> Records:
        """Newest first; only running ones unless all, a limit or a status filter asks for more."""
        records = sorted((c.record for c in self._by_id.values()), key=lambda r: r.created, reverse=True)
        return match_containers(records, query.filters, all=query.all, limit=query.limit)

    def users_of_image(self, image_id: str) -> ImageUsers:
        """(container id, does it run) of all containers made from an image."""
        return [(c.id, c.running) for c in self._by_id.values() if c.record.image == image_id]

    async def size(self, ref: str) -> Sizes:
        container = self.get(ref)
        written = await asyncio.to_thread(self._snapshots.size_rw, container.id)
        image = self._store.image(container.record.image)
        return Sizes(written, written + (image.size if image else 0))

    # ------------------------------------------------------------ create, rename, remove

    async def create(self, request: ContainerCreate, *, name: str | None, platform: str | None) -> Created:
        """Make a container from an image: its record, then its writable directories."""
        record, image, warnings = await self._wished(request, name, platform)
        record.created = now()
        self.restore(record)
        try:
            self._store.put_container(record)
            self._snapshots.prepare(record.id, layer_names(image))
        except BaseException:
            self._forget(record)
            raise
        self._publish(record, "create")
        return Created(record.id, warnings)

    async def dry_run(
        self, request: ContainerCreate, *, name: str | None = None, platform: str | None = None
    ) -> Planned:
        """The plan that create and start would execute. Nothing is made, recorded or reserved."""
        record, _, _ = await self._wished(request, name, platform)
        return Planned(record, self._launching.plan_of(record, self.get))

    async def _wished(
        self, request: ContainerCreate, name: str | None, platform: str | None
    ) -> tuple[ContainerRecord, ImageRecord, Warnings]:
        """The record of a container that is asked for, checked; its image; and warnings. Nothing is kept."""
        if not request.image:
            raise InvalidArgument("config cannot be empty in order to create a container")
        image = await self._images.resolve(request.image)
        if platform:
            check_platform(request.image, image, platform)
        record = make_record(new_id(), self._claim_name(name), request, image, self._config)
        return record, image, [*self._planner.check(record), *ignored(record, image)]

    def plan(self, ref: str, *, anew: bool = False) -> Planned:
        """The plan of a container that is there; ``anew`` without what it has got from the pool."""
        record = self.find(ref)
        if anew:
            record = msgspec.structs.replace(record, attachment=None)
        return Planned(record, self._launching.plan_of(record, self.get))

    def _claim_name(self, name: str | None) -> str:
        if not name:
            return self._free_name()
        plain = check_name(name)
        holder = self._by_name.get(plain)
        if holder is not None:
            raise Conflict(
                f'Conflict. The container name "/{plain}" is already in use by container "{holder}". '
                "You have to remove (or rename) that container to be able to reuse that name."
            )
        return plain

    def _free_name(self) -> str:
        while (name := random_name()) in self._by_name:
            if len(self._by_name) > 1000:
                return f"{name}_{new_id()[:8]}"
        return name

    def _forget(self, record: ContainerRecord) -> None:
        self._by_id.pop(record.id, None)
        if self._by_name.get(record.name) == record.id:
            del self._by_name[record.name]

    async def rename(self, ref: str, name: str) -> None:
        container = self.get(ref)
        old = container.record.name
        if name.removeprefix("/") == old:
            raise InvalidArgument("Renaming a container with the same name as its current name")
        new = self._claim_name(name)
        container.record.name = new
        self._store.put_container(container.record)
        self._by_name.pop(old, None)
        self._by_name[new] = container.id
        self._publish(container.record, "rename", oldName=f"/{old}")

    async def remove(
        self, ref: str, *, force: bool = False, volumes: bool = False, link: bool = False
    ) -> None:
        """Remove a container; with ``force`` a running one is killed first."""
        container = self.get(ref)
        if container.removing:
            raise Conflict(f"removal of container {ref} is already in progress")
        if container.running and not force:
            raise Conflict(
                f'cannot remove container "{container.record.name}": container is running: '
                "stop the container before removing or force remove"
            )
        container.removing = True
        try:
            if container.running:
                await self._kill(container, SIGKILL)
                await container.ended.wait()
            async with container.lock:
                self._discard(container)
        finally:
            container.removing = False

    def _discard(self, container: Container) -> None:
        """Take a stopped container out of the world. Its directories go by one rename; a sweep deletes them."""
        if container.running:
            raise Conflict(f"container {container.id[:12]} was started again while it was being removed")
        if container.id not in self._by_id:
            return
        self._launching.discard(container)
        self._snapshots.remove(container.id)
        self._store.delete_container(container.id)
        self._images.released(container.record.image)
        self._forget(container.record)
        container.drop_attaching()
        self._publish(container.record, "destroy")
        container.settle("removed", "not-running", "next-exit")

    # ------------------------------------------------------------ start, stop

    async def start(self, ref: str, detach_keys: str = "") -> None:
        """Start a container. NotModified if it runs; LaunchFailed, with Docker's texts, where it cannot."""
        container = self.get(ref)
        async with container.lock:
            if container.running:
                raise NotModified(f"container {ref} is already running")
            if container.removing or container.id not in self._by_id:
                raise Conflict(f"container {ref} is marked for removal and cannot be started")
            await self._start(container)

    async def _start(self, container: Container) -> None:
        try:
            monitor = await self._launching.launch(container, self.get)
        except WherryError as error:
            await self._start_failed(container, error)
            raise
        self._adopt(container, monitor)
        self._store.put_container(container.record)
        self._publish(container.record, "start")

    def _adopt(self, container: Container, monitor: Monitored) -> None:
        container.monitor = monitor
        container.mark_running(monitor.init_pid)
        container.pidfd = open_pidfd(monitor.init_pid)
        container.started_monotonic = time.monotonic()
        monitor.on_detach = lambda id, reason: self._detached(container, reason)
        self._spawn(self._watch(container, monitor))

    async def _start_failed(self, container: Container, error: WherryError) -> None:
        code = error.exit_code if isinstance(error, LaunchFailed) else 128
        container.mark_failed(error.message, code)
        container.drop_attaching()
        self._store.put_container(container.record)
        container.settle("next-exit")
        if container.record.host_config.auto_remove:
            self._discard(container)

    async def _watch(self, container: Container, monitor: Monitored) -> None:
        status = await monitor.exited
        await self._exited(container, status)

    async def _exited(self, container: Container, status: ExitStatus) -> None:
        """Record an exit, free what the container held, answer who waits, and remove it if so asked."""
        self._launching.release(container)
        container.drop_handles()
        lasted = int(time.monotonic() - container.started_monotonic)
        container.mark_exited(status)
        self._store.put_container(container.record)
        if status.oom:
            self._publish(container.record, "oom")
        self._publish(container.record, "die", exitCode=str(status.code), execDuration=str(lasted))
        container.settle("not-running", "next-exit")
        if container.record.host_config.auto_remove and not (container.removing or container.restarting):
            async with container.lock:
                if not container.running:
                    self._discard(container)

    async def stop(self, ref: str, timeout: int | None = None, signal: str | None = None) -> None:
        """Ask a container to end, and kill it when the time is over. NotModified if it does not run.

        ``timeout`` in seconds; negative waits without end; None takes the container's own.
        """
        container = self.get(ref)
        if not container.running:
            raise NotModified(f"container {ref} is not running")
        await self._stop(container, timeout, signal)
        self._publish(container.record, "stop")

    async def _stop(self, container: Container, timeout: int | None, signal: str | None) -> None:
        config = container.record.config
        number = parse_signal(signal or config.stop_signal or "SIGTERM")
        own = config.stop_timeout if config.stop_timeout is not None else self._config.stop_timeout
        seconds = own if timeout is None else timeout
        await self._kill(container, number)
        try:
            await asyncio.wait_for(container.ended.wait(), None if seconds < 0 else seconds)
        except TimeoutError:
            await self._kill(container, SIGKILL)
            await container.ended.wait()

    async def restart(self, ref: str, timeout: int | None = None, signal: str | None = None) -> None:
        container = self.get(ref)
        container.restarting = True
        try:
            if container.running:
                await self._stop(container, timeout, signal)
                self._publish(container.record, "stop")
        finally:
            container.restarting = False
        async with container.lock:
            if not container.running:
                await self._start(container)
        self._publish(container.record, "restart")

    async def kill(self, ref: str, signal: str = "SIGKILL") -> None:
        container = self.get(ref)
        number = parse_signal(signal or "SIGKILL")
        if not container.running:
            raise Conflict(f"cannot kill container: {ref}: container {container.id} is not running")
        await self._kill(container, number)
        if number == SIGKILL:
            await container.ended.wait()  # as Docker: killed means gone when the answer comes

    async def _kill(self, container: Container, number: int) -> None:
        if container.monitor is not None:
            await container.monitor.signal(number)
            self._publish(container.record, "kill", signal=str(number))

    # ------------------------------------------------------------ wait, attach, logs, resize

    def waiter(self, ref: str, condition: str = "not-running") -> asyncio.Future[WaitResult]:
        return self.get(ref).waiter(condition or "not-running")

    def check_attach(self, ref: str) -> None:
        """Raise what ``attach`` would, while the answer can still be an error."""
        container = self.get(ref)
        if container.state.paused:
            raise Conflict(f"container {ref} is paused, unpause the container before attach")
        if container.state.restarting:
            raise Conflict(f"container {ref} is restarting, wait until the container is running")

    async def attach(self, ref: str, request: AttachRequest, client_fd: int, leftover: bytes = b"") -> None:
        """Hand a client's socket to the container's monitor, at once or when it starts. Takes ``client_fd``."""
        container = self.get(ref)
        kept = False
        try:
            attach = self._attach(request, client_fd, leftover)
            if request.logs:
                await self._write_history(container, request, client_fd)
            if request.stream and container.monitor is not None:
                await container.monitor.attach(attach)
            elif request.stream:
                container.attaching.append(attach)
                kept = True
        finally:
            if not kept:
                os.close(client_fd)
        self._publish(container.record, "attach")

    def _attach(self, request: AttachRequest, client_fd: int, leftover: bytes) -> Attach:
        self._attach_ids += 1
        return Attach(
            id=self._attach_ids,
            sock_fd=client_fd,
            stdin=request.stdin,
            stdout=request.stdout,
            stderr=request.stderr,
            framed=request.framed,
            detach_keys=detach_keys(request.detach_keys, terminal=not request.framed),
            leftover=leftover,
        )

    async def _write_history(self, container: Container, request: AttachRequest, client_fd: int) -> None:
        """Send what is in the log already. A client that does not read holds up only this."""
        query = LogsQuery(stdout=request.stdout, stderr=request.stderr, framed=request.framed)
        loop = asyncio.get_running_loop()
        with socket.socket(fileno=os.dup(client_fd)) as client:
            client.setblocking(False)
            async for batch in follow(self._launching.paths(container.id).log, query, container.ended):
                await loop.sock_sendall(client, batch)

    def _detached(self, container: Container, reason: int) -> None:
        if reason == 0:
            self._publish(container.record, "detach")

    async def logs(self, ref: str, query: LogsQuery) -> AsyncIterator[bytes]:
        """The log as framed batches; with ``follow`` until the container ends."""
        container = self.get(ref)
        if not (query.stdout or query.stderr):
            raise InvalidArgument("Bad parameters: you must choose at least one stream")
        async for batch in follow(self._launching.paths(container.id).log, query, container.ended):
            yield batch

    async def resize(self, ref: str, rows: int, columns: int) -> None:
        container = self.get(ref)
        if container.monitor is None:
            raise Conflict(f"container {container.id} is not running")
        await container.monitor.resize(rows, columns)
        self._publish(container.record, "resize", height=str(rows), width=str(columns))

    # ------------------------------------------------------------ after a restart of the daemon

    def restore(self, record: ContainerRecord) -> Container:
        """Take a record from the store into the world, not running as yet."""
        container = Container(record)
        container.ended.set()
        self._by_id[record.id] = container
        self._by_name[record.name] = record.id
        return container

    def readopt(self, container: Container, monitor: Monitored) -> None:
        """The monitor lives: the container runs on."""
        started = container.state.started_at
        self._adopt(container, monitor)
        if container.state.status == Status.RUNNING and started:
            container.state.started_at = started
        self._store.put_container(container.record)

    def never_started(self, container: Container) -> None:
        """The last daemon died between recording a start and making it."""
        container.record.attachment = None
        self._store.put_container(container.record)

    async def ended_unseen(self, container: Container, status: ExitStatus) -> None:
        """It exited while no daemon was there."""
        await self._exited(container, status)

    # ------------------------------------------------------------ small things

    def _publish(self, record: ContainerRecord, action: str, **attributes: str) -> None:
        self._events.container(action, record, attributes)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def detach_keys(text: str, *, terminal: bool) -> bytes:
    """The sequence that detaches. Only who types has one: any bytes may come through a pipe."""
    return parse_detach_keys(text or DEFAULT_DETACH_KEYS) if terminal else b""


def open_pidfd(pid: int) -> int:
    """A pidfd, or -1 where the process has gone already."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return -1
