"""Commands that are run in containers that run already."""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
from dataclasses import dataclass, field

from wherry.engine.container import Container, WaitResult
from wherry.engine.containers import Containers
from wherry.engine.events import EventBus
from wherry.engine.executor import Executor, Run, reason_of
from wherry.engine.fates import refuse
from wherry.engine.names import new_id
from wherry.engine.record import Phase
from wherry.engine.streams import detach_keys
from wherry.errors import Conflict, LaunchFailed, NotFound, WherryError
from wherry.linux.root_file import read_in_root
from wherry.messages.exec import ExecCreate, ExecStart
from wherry.runtime.checks import check_exec
from wherry.runtime.launcher import Attach, ExitStatus, Monitored
from wherry.runtime.users import DATABASE_MAX, check_known, names_of

ENDING_SECONDS = 30.0  # that a container's end may take once it has begun
KEPT_AFTER_EXIT = 300.0  # seconds that a finished exec can still be inspected


@dataclass(slots=True)
class Exec:
    """One exec instance: what was asked, and how it stands."""

    id: str
    container: Container
    request: ExecCreate
    monitor: Monitored | None = None  # while it runs
    pid: int = 0  # of its first process, on the host
    started: bool = False
    running: bool = False
    exit_code: int | None = None
    launched: asyncio.Event = field(default_factory=asyncio.Event)  # or has failed to be


class Execs:
    """Every exec instance of the engine. They are not kept over a restart of the daemon, as with Docker."""

    def __init__(self, containers: Containers, executor: Executor, events: EventBus) -> None:
        self._containers = containers
        self._executor = executor
        self._events = events
        self._by_id: dict[str, Exec] = {}
        self._watched: dict[
            str, asyncio.Event
        ] = {}  # the ends of containers that are waited for, by their ids
        self._tasks: set[asyncio.Task[None]] = set()

    async def create(self, container_ref: str, request: ExecCreate) -> str:
        """Prepare an exec. Conflict where the container does not run."""
        container = self._containers.get(container_ref)
        check_exec(request)
        refuse(request)
        check_user_there(self._running(container), request.user)
        instance = Exec(new_id(), container, request)
        self._by_id[instance.id] = instance
        self._forget_with(container)
        self._publish(instance, f"exec_create: {told(request)}")
        return instance.id

    def inspect(self, id: str) -> Exec:
        """The exec instance of that id. NotFound, also for one that ended a while ago, or whose container did."""
        instance = self._by_id.get(id)
        if instance is None:
            raise no_such(id)
        return instance

    async def settled(self, id: str) -> Exec:
        """The exec as a client may know it: one whose output has ended for the client has ended here too.

        The monitor tells the engine of the end before the client, but tasks that wait for it come later.
        """
        instance = self.inspect(id)
        if instance.started:
            await instance.launched.wait()
        if instance.monitor is not None and instance.monitor.exited.done():
            instance.running, instance.exit_code = False, instance.monitor.exited.result().code
        return instance

    def of_container(self, container_id: str) -> list[str]:
        """Ids of the execs of a container that run."""
        return [e.id for e in self._by_id.values() if e.container.id == container_id and e.running]

    def check_start(self, id: str) -> None:
        """Raise what ``start`` would, while the answer can still be an error. NotFound where its container has ended:
        it is about to be forgotten."""
        instance = self.inspect(id)
        if instance.started:
            raise Conflict(f"exec command {id} has already run")
        if not instance.container.running:
            raise no_such(id)
        self._running(instance.container)

    async def start(
        self,
        id: str,
        options: ExecStart,
        client_fd: int | None = None,
        *,
        framed: bool = True,
        leftover: bytes = b"",
    ) -> None:
        """Run it, with the client's socket as its streams unless detached. Takes ``client_fd``.

        A command that cannot be run raises where the exec is detached; otherwise the client
        is told through its stream, as Docker does, since its answer was given already.
        """
        try:
            self.check_start(id)
            instance = self.inspect(id)
            instance.started = True
            attaches = [self._attach(instance, client_fd, framed, leftover)] if client_fd is not None else []
            try:
                await self._launch(instance, options, attaches)
            finally:
                instance.launched.set()
        except (WherryError, OSError) as error:
            if client_fd is None:
                raise
            write_stdout(client_fd, f"{reason_of(error)}\r\n".encode(), framed)
        finally:
            if client_fd is not None:
                os.close(client_fd)

    def _attach(self, instance: Exec, client_fd: int, framed: bool, leftover: bytes) -> Attach:
        request = instance.request
        return Attach(
            id=1,
            sock_fd=client_fd,
            stdin=request.attach_stdin,
            stdout=request.attach_stdout,
            stderr=request.attach_stderr,
            framed=framed,
            detach_keys=detach_keys(request.detach_keys, terminal=not framed),
            leftover=leftover,
        )

    async def _launch(self, instance: Exec, options: ExecStart, attaches: list[Attach]) -> None:
        self._publish(instance, f"exec_start: {told(instance.request)}")
        try:
            monitor = await self._run(instance, options, attaches)
        except (WherryError, OSError) as error:
            instance.exit_code = error.exit_code if isinstance(error, LaunchFailed) else 126
            self._forget_later(instance)
            raise
        instance.monitor, instance.pid, instance.running = monitor, monitor.init_pid, True
        task = asyncio.ensure_future(self._watch(instance, monitor))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, instance: Exec, options: ExecStart, attaches: list[Attach]) -> Monitored:
        """Conflict where the container ends meanwhile: when that is the case for everybody."""
        container = instance.container
        run, ended = self._running(container), container.ended
        try:
            return await self._executor.exec(run, instance.request, options, attaches)
        except LaunchFailed as error:
            if not run.ending:
                raise
            with contextlib.suppress(
                TimeoutError
            ):  # a child of its that the kernel does not let go of keeps it
                await asyncio.wait_for(ended.wait(), ENDING_SECONDS)
            raise Conflict(f"container {container.id} is not running") from error

    async def _watch(self, instance: Exec, monitor: Monitored) -> None:
        status: ExitStatus = await monitor.exited
        instance.monitor, instance.running, instance.exit_code = None, False, status.code
        self._publish(instance, "exec_die", exitCode=str(status.code))
        self._forget_later(instance)

    def _forget_with(self, container: Container) -> None:
        """As with Docker, what was only prepared goes when its container ends, all else when that is removed."""
        if self._watched.get(container.id) is container.ended:
            return
        if container.id not in self._watched:
            self._await_removal(container)
        self._watched[container.id] = container.ended
        container.waiter("next-exit").add_done_callback(lambda _: self._drop_prepared(container.id))

    def _await_removal(self, container: Container) -> None:
        def removed(waited: asyncio.Future[WaitResult]) -> None:
            if waited.cancelled() or waited.result().error is None:
                self._drop_all(container.id)
            else:  # it could not be removed, this time
                self._await_removal(container)

        container.waiter("removed").add_done_callback(removed)

    def _drop_prepared(self, container_id: str) -> None:
        for id in [e.id for e in self._by_id.values() if e.container.id == container_id and not e.started]:
            del self._by_id[id]

    def _drop_all(self, container_id: str) -> None:
        self._watched.pop(container_id, None)
        for id in [e.id for e in self._by_id.values() if e.container.id == container_id]:
            del self._by_id[id]

    def _forget_later(self, instance: Exec) -> None:
        asyncio.get_running_loop().call_later(KEPT_AFTER_EXIT, self._by_id.pop, instance.id, None)

    async def resize(self, id: str, rows: int, columns: int) -> None:
        """Set the size of its terminal. NotFound; Conflict where it does not run."""
        instance = self.inspect(id)
        if instance.monitor is None or not instance.running:
            raise Conflict(f"exec {id} is not running")
        await instance.monitor.resize(rows, columns)

    def _running(self, container: Container) -> Run:
        if container.phase is Phase.PAUSED:
            raise Conflict(f"container {container.id} is paused, unpause the container before exec")
        if container.run is None:
            raise Conflict(f"container {container.id} is not running")
        return container.run

    def _publish(self, instance: Exec, action: str, **attributes: str) -> None:
        self._events.container(action, instance.container.record, {"execID": instance.id, **attributes})


def check_user_there(run: Run, spec: str) -> None:
    """InvalidArgument for a name that the container does not know. What cannot be looked at is left to the launcher."""
    for what, name in zip(("passwd", "group"), names_of(spec), strict=True):
        if not name:
            continue
        with contextlib.suppress(OSError):
            database = read_in_root(run.pid, f"/etc/{what}", DATABASE_MAX)
            if database is not None:
                check_known(name, what, database)


def no_such(id: str) -> NotFound:
    """The error in Docker's words."""
    return NotFound(f"No such exec instance: {id}")


def write_stdout(client_fd: int, text: bytes, framed: bool) -> None:
    """A last word to a client whose stream has not been handed on."""
    header = struct.pack(">BxxxI", 1, len(text)) if framed else b""
    with contextlib.suppress(OSError):
        os.write(client_fd, header + text)


def told(request: ExecCreate) -> str:
    """Its command, in the words of events: a space follows the program even without arguments, as with Docker."""
    program, *arguments = request.cmd or [""]
    return f"{program} {' '.join(arguments)}"
