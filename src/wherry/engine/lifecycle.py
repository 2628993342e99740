"""The life of a container: every move from phase to phase is here, each under the container's own lock.

A verb holds the lock while it moves, and never while it waits for a process to end: ``stop`` says STOPPING and lets
go, and whoever comes meanwhile finds that. The exit of a process is a move like the others.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from wherry.engine.config import EngineConfig
from wherry.engine.container import Container, close_all
from wherry.engine.events import EventBus
from wherry.engine.executor import Executor, Run, reason_of
from wherry.engine.image_record import ImageRecord
from wherry.engine.journal import Launched
from wherry.engine.network import Networks
from wherry.engine.record import Asked, Failure, Phase
from wherry.engine.registry import Registry, no_such
from wherry.engine.store import Store
from wherry.engine.task import Task, task_of
from wherry.errors import Conflict, Internal, LaunchFailed, NotFound, NotModified, WherryError, sentence
from wherry.network.endpoint import Attachment
from wherry.runtime.launcher import ExitStatus, Monitored
from wherry.values.signals import ending_signal, parse_signal
from wherry.values.times import now, rfc3339

SIGKILL = 9
SAVE_SECONDS = 0.005
KILL_SECONDS = 30.0  # longer than a monitor may take to tell of the end
FAILED_START = 128  # exit code of a start that came to no process

MOVES = {
    Phase.CREATED: {Phase.STARTING, Phase.RUNNING, Phase.EXITED, Phase.REMOVING, Phase.GONE},
    Phase.STARTING: {Phase.RUNNING, Phase.CREATED, Phase.EXITED},
    Phase.RUNNING: {Phase.PAUSED, Phase.STOPPING, Phase.RESTARTING, Phase.EXITED, Phase.REMOVING},
    Phase.PAUSED: {Phase.RUNNING, Phase.STOPPING, Phase.RESTARTING, Phase.EXITED, Phase.REMOVING},
    Phase.STOPPING: {Phase.RESTARTING, Phase.EXITED, Phase.REMOVING},
    Phase.RESTARTING: {Phase.EXITED, Phase.REMOVING},
    Phase.EXITED: {Phase.STARTING, Phase.RUNNING, Phase.EXITED, Phase.REMOVING},
    Phase.REMOVING: {Phase.GONE, Phase.DEAD},
    Phase.DEAD: {Phase.REMOVING},
    Phase.GONE: set[Phase](),
}
CALM = (Phase.RUNNING, Phase.PAUSED)  # nobody has asked it to end

log = logging.getLogger(__name__)


def move(container: Container, phase: Phase) -> None:
    """The only way from phase to phase. Internal for a move that there is not: a fault of the engine."""
    if phase not in MOVES[container.phase]:
        raise Internal(f"container {container.id[:12]} cannot become {phase} while it is {container.phase}")
    container.state.phase = phase


def recorded(container: Container) -> bool:
    """Of one that a former daemon left: whether what is recorded is of its present run, or of the one before."""
    return container.state.pid != 0


def failure_of(status: ExitStatus) -> Failure:
    """What the error of an exit status tells of, if there is one."""
    if not status.known:
        return Failure.LOST
    return Failure.MONITOR if status.error else Failure.NONE


class Lifecycle:
    """Starts, stops and removes containers, and notes what became of them."""

    def __init__(
        self,
        config: EngineConfig,
        store: Store,
        registry: Registry,
        executor: Executor,
        networks: Networks,
        events: EventBus,
        image: Callable[[str], ImageRecord | None],
        released: Callable[[str], None],
    ) -> None:
        """``image`` looks an image up by its id; ``released`` is told that of each container that is gone."""
        self._image = image
        self._networks = networks
        self._config = config
        self._store = store
        self._registry = registry
        self._executor = executor
        self._events = events
        self._released = released
        self._tasks: set[asyncio.Task[None]] = set()
        self._unsaved: dict[str, Container] = {}

    def task(self, container: Container) -> Task:
        """What its next start would run. NotFound where its image is gone."""
        image = self._image(container.record.image)
        if image is None:
            raise NotFound(f"No such image: {container.record.image}")
        return task_of(container.record, image)

    # ------------------------------------------------------------ create

    async def create(self, container: Container, image: ImageRecord) -> None:
        """Make it, all or nothing. It has its name from the beginning; whoever asks for more by that waits."""
        async with container.lock:
            self._registry.add(container)
            try:
                await self._executor.create(task_of(container.record, image))
            except BaseException:
                move(container, Phase.GONE)
                self._forget(container)
                raise
            self._publish(container, "create")

    # ------------------------------------------------------------ start

    async def start(self, container: Container) -> None:
        """NotModified if it runs; Conflict where it is being removed; LaunchFailed, with Docker's texts."""
        async with container.lock:
            if container.running and container.phase is not Phase.REMOVING:
                raise NotModified(f"container {container.id} is already running")
            await self._start(container)

    async def _start(self, container: Container) -> None:
        if container.phase is Phase.GONE:
            raise no_such(container.record.name)
        if container.phase in (Phase.REMOVING, Phase.DEAD):
            raise Conflict(f"container {container.id} is marked for removal and cannot be started")
        if container.id in self._unsaved:
            self._save(container)  # how its last run ended: the exit file of that goes now
        before = container.phase
        move(container, Phase.STARTING)
        attaching = container.take_attaching()
        try:
            run = await self._executor.start(self.task(container), attaching)
        except BaseException as error:
            attaching += container.take_attaching()
            self._start_failed(container, before, error)
            if isinstance(error, OSError):
                raise Internal(f"cannot start container {container.id[:12]}: {sentence(error)}") from error
            raise
        finally:
            close_all(attaching)
        self._adopt(container, run)
        self._begin(container, now())
        self._running(container)
        await self._attach_late(container, run)
        self._publish(container, "start")

    def _start_failed(self, container: Container, before: Phase, error: BaseException) -> None:
        """It is as it was before, with the reason; whoever waits for its end has waited long enough."""
        move(container, before)
        state = container.state
        state.error = reason_of(error) if isinstance(error, Exception) else "the start was given up"
        state.failure = Failure.START
        state.exit_code = error.exit_code if isinstance(error, LaunchFailed) else FAILED_START
        self._save(container)
        container.settle("next-exit")
        if container.record.host_config.auto_remove:
            self._remove_by_itself(container)

    async def _attach_late(self, container: Container, run: Run) -> None:
        """Clients that came while it was being started: too late for the launch, but they want this run."""
        late = container.take_attaching()
        try:
            for attach in late:
                await run.monitor.attach(attach)
        except WherryError as error:  # that a client could not be handed on is no failure of the start
            log.error("container %s: %s", container.id[:12], error.message)
        finally:
            close_all(late)

    def _adopt(self, container: Container, run: Run) -> None:
        """Look after a process from now on."""
        container.run = run
        container.ended = asyncio.Event()
        container.started_monotonic = time.monotonic()
        run.monitor.on_detach = lambda id, reason: self._detached(container, reason)
        self._spawn(self._watch(container, run.monitor))
        if container.record.host_config.oom_kill_disable:
            self._executor.watch_memory(run, lambda: self._out_of_memory(container))

    def _out_of_memory(self, container: Container) -> None:
        """Nobody is killed there, so that nothing else would tell."""
        if not container.state.oom_killed:
            container.state.oom_killed = True
            self._save(container)
            self._publish(container, "oom")

    def _begin(self, container: Container, since: str) -> None:
        """A run of which nothing more is known yet."""
        state = container.state
        state.started_at, state.asked = since, None
        state.exit_code, state.error, state.failure, state.oom_killed = 0, "", Failure.NONE, False

    def _running(self, container: Container) -> None:
        move(container, Phase.RUNNING)
        state = container.state
        state.pid = container.run.pid if container.run else 0
        state.networks = {name: self._networks.find(name).id for name in container.record.networks}
        self._save_soon(container)

    def _detached(self, container: Container, reason: int) -> None:
        if reason == 0:
            self._publish(container, "detach")

    # ------------------------------------------------------------ exit

    async def _watch(self, container: Container, monitor: Monitored) -> None:
        status = await monitor.exited
        async with container.lock:
            try:
                self._exited(container, status)
            except Exception:
                log.exception(
                    "container %s has ended, but not everything that follows could be done", container.id[:12]
                )

    def _exited(self, container: Container, status: ExitStatus) -> None:
        """Free what it held, record its end, answer who waits, and remove it if so asked. Under the lock.

        Whatever fails on the way, whoever waits is answered.
        """
        run, container.run = container.run, None
        asked = container.phase
        try:
            if asked not in (Phase.REMOVING, Phase.DEAD):
                move(container, Phase.EXITED)
            if run is not None:
                run.close()
                self._executor.finish(container.id, run.steps)
            self._note_exit(container, status)
        finally:
            container.ended.set()
            container.settle("not-running", "next-exit")
        if container.record.host_config.auto_remove and asked not in (Phase.REMOVING, Phase.RESTARTING):
            self._remove_by_itself(container)

    def _remove_by_itself(self, container: Container) -> None:
        """The removal that ``--rm`` asked for; nobody is there to be told that it cannot be, but who waits for it."""
        move(container, Phase.REMOVING)
        try:
            self._discard(container)
        except WherryError as error:
            log.error("%s", error.message)

    def _note_exit(self, container: Container, status: ExitStatus) -> None:
        state = container.state
        told = state.oom_killed
        state.pid, state.exit_code, state.oom_killed = 0, status.code, status.oom or told
        state.finished_at = rfc3339(status.finished_ns)
        state.error, state.failure = status.error, failure_of(status)
        if state.failure is Failure.NONE:
            self._save_soon(container)
        else:
            self._save(container)  # no exit file tells of it
        if status.oom and not told:
            self._publish(container, "oom")
        lasted = int(time.monotonic() - container.started_monotonic)
        self._publish(container, "die", exitCode=str(status.code), execDuration=str(lasted))

    # ------------------------------------------------------------ stop, kill, restart

    async def stop(self, container: Container, timeout: int | None, signal: str | None) -> None:
        """Ask it to end, and kill it when the time is over. NotModified if it does not run."""
        async with container.lock:
            if not container.running:
                raise NotModified(f"container {container.id} is not running")
            self._ask(container, signal, "stop")
            if container.phase in CALM:
                move(container, Phase.STOPPING)
        await self._end(container, timeout)
        self._publish(container, "stop")

    def _ask(self, container: Container, signal: str | None, by: str) -> None:
        """Send the signal that is to end it, this one or its own. InvalidArgument for what is none."""
        number = parse_signal(signal or ending_signal(container.record.config.stop_signal))
        self._note_asked(container, Asked(by, number))
        self._signal(container, number)

    def _note_asked(self, container: Container, asked: Asked) -> None:
        """Recorded before the signal is sent: nothing else tells of it after a crash."""
        container.state.asked = asked
        self._save(container)

    async def _end(self, container: Container, timeout: int | None) -> None:
        """Wait until the present run is over, which has been asked to end, with SIGKILL when the time is over."""
        config, ended = container.record.config, container.ended
        own = config.stop_timeout if config.stop_timeout is not None else self._config.stop_timeout
        seconds = own if timeout is None else timeout
        try:
            await asyncio.wait_for(ended.wait(), None if seconds < 0 else seconds)
        except TimeoutError:
            if not ended.is_set():
                if container.state.asked is not None:
                    self._note_asked(
                        container, msgspec.structs.replace(container.state.asked, killed_after=seconds)
                    )
                self._signal(container, SIGKILL)
            await self._killed(container, ended)

    async def kill(self, container: Container, number: int) -> None:
        """Send a signal. Conflict if it does not run. Killed means gone when this returns, as with Docker."""
        ended = container.ended
        if not container.running:
            raise Conflict(f"container {container.id} is not running")
        if container.phase in CALM or number == SIGKILL:
            self._note_asked(container, Asked("kill", number))
        self._signal(container, number)
        if number == SIGKILL:
            await self._killed(container, ended)

    async def _killed(self, container: Container, ended: asyncio.Event) -> None:
        """Wait for the end of a run that was sent SIGKILL. Internal, in Docker's words, where it does not come."""
        try:
            await asyncio.wait_for(ended.wait(), KILL_SECONDS)
        except TimeoutError:
            raise Internal(
                "tried to kill container, but did not receive an exit event: "
                f"process {container.state.pid} is frozen, or the kernel does not let go of it"
            ) from None

    def _signal(self, container: Container, number: int) -> None:
        if container.run is not None:
            container.run.signal(number)
            self._publish(container, "kill", signal=str(number))

    async def restart(self, container: Container, timeout: int | None, signal: str | None) -> None:
        """Stop it, if it runs, and start it. Its end is none that ``--rm`` waits for."""
        async with container.lock:
            ran = container.running
            if ran:
                self._ask(container, signal, "restart")
            if ran and container.phase not in (Phase.REMOVING, Phase.RESTARTING):
                move(container, Phase.RESTARTING)
        if ran:
            await self._end(container, timeout)
            self._publish(container, "stop")
        async with container.lock:
            if not container.running:
                await self._start(container)
        self._publish(container, "restart")

    # ------------------------------------------------------------ removal

    async def remove(self, container: Container, *, force: bool) -> None:
        """Take it out of the world; with ``force`` a process that runs is killed first. Conflict, NotFound."""
        async with container.lock:
            self._check_removal(container, force)
            ended = container.ended
            self._signal(container, SIGKILL)  # nothing where it does not run
            move(container, Phase.REMOVING)
            if not container.running:
                self._discard(container)
                return
        try:
            await self._killed(container, ended)
        except Internal as error:
            move(container, Phase.DEAD)  # from where it can be tried again
            container.settle("removed", error=error.message)
            raise
        async with container.lock:
            self._discard(container)

    def _check_removal(self, container: Container, force: bool) -> None:
        name = container.record.name
        if container.phase is Phase.GONE:
            raise no_such(name)
        if container.phase is Phase.REMOVING:
            raise Conflict(f"removal of container {name} is already in progress")
        if container.running and not force:
            raise Conflict(
                f'cannot remove container "{name}": container is running: '
                "stop the container before removing or force remove"
            )

    def _discard(self, container: Container) -> None:
        """Its record goes, then its directories by one rename; a sweep deletes them. Under the lock.

        Where the record cannot go, all stays as it is. Internal; a later removal may have more luck.
        """
        try:
            self._executor.remove(task_of(container.record, None))
        except Exception as error:
            move(container, Phase.DEAD)
            container.settle("removed", error=reason_of(error))
            raise
        move(container, Phase.GONE)
        self._forget(container)
        self._publish(container, "destroy")

    def _forget(self, container: Container) -> None:
        """There is nothing of it any more; whoever waits for anything of it has waited long enough."""
        try:
            self._unsaved.pop(container.id, None)
            self._registry.forget(container)
            self._released(container.record.image)
            close_all(container.take_attaching())
        finally:
            container.settle("removed", "not-running", "next-exit")

    # ------------------------------------------------------------ after a restart of the daemon

    async def recover(self, container: Container) -> bool:
        """Find out what became of a container of an earlier daemon; whether it runs still."""
        former, container.state.unjournaled = container.state.unjournaled, []
        run = await self._executor.take_over(
            container.id, lambda pid: self._journal_anew(container, former, pid)
        )
        if run is None:
            return False
        if not recorded(container):
            self._begin(container, self._began(container))
        self._adopt(container, run)
        if container.phase is not Phase.PAUSED:
            container.state.phase = Phase.CREATED  # from where every run begins
            self._running(container)
        return True

    def _began(self, container: Container) -> str:
        """When a run began that is not recorded yet."""
        began = self._executor.journal.time_of(container.id)
        return rfc3339(began) if began is not None else now()

    def _journal_anew(self, container: Container, former: list[Attachment], pid: int) -> Launched | None:
        """The journal of a run that has none to be read, by its places on networks: an earlier version kept them in
        its record, otherwise the kernel has them."""
        try:
            if not former:
                log.error("container %s runs, and its launch.json is not there or damaged", container.id[:12])
                former = self._executor.recognise(container.record.networks, pid)
            return self._executor.journal_anew(self.task(container), former)
        except Exception:
            log.exception("cannot tell what container %s holds", container.id[:12])
            return None

    def recover_ended(self, container: Container, status: ExitStatus | None) -> None:
        """It does not run. ``status`` is how it ended while no daemon was there, or None where it did not start.

        A removal that was begun is ended, also one that ``--rm`` asked for and a restart had put off.
        """
        if status is not None:
            if not recorded(container):
                self._begin(container, self._began(container))
            elif container.phase in (Phase.STOPPING, Phase.RESTARTING):
                container.state.phase = Phase.RUNNING  # who was to go on with it has died
            self._exited(container, status)
        elif container.phase is Phase.STARTING:  # as earlier versions may have written down
            move(container, Phase(container.view.status))
        elif container.record.host_config.auto_remove and container.phase is Phase.EXITED:
            move(container, Phase.REMOVING)
        if container.phase is Phase.REMOVING:
            self._discard(container)

    # ------------------------------------------------------------ small things

    def _save(self, container: Container) -> None:
        """Record how it stands. A store that cannot be written costs no process."""
        self._unsaved.pop(container.id, None)
        try:
            self._store.containers.save_state(container.id, container.state)
        except Internal as error:
            log.error("cannot record the state of container %s: %s", container.id[:12], error.message)

    def _save_soon(self, container: Container) -> None:
        """The same behind the answers that tell of a start or an end; after a crash, journal and exit file do so. What
        has come to life and is removed meanwhile is never written."""
        if not self._unsaved:
            asyncio.get_running_loop().call_later(SAVE_SECONDS, self.flush)
        self._unsaved[container.id] = container

    def flush(self) -> None:
        """Record how those stand of which that is due."""
        unsaved = list(self._unsaved.values())
        self._unsaved.clear()
        try:
            with self._store.transaction():
                for container in unsaved:
                    self._store.containers.save_state(container.id, container.state)
        except Internal:  # on a disk that is full, one by one may do
            for container in unsaved:
                self._save(container)

    def _publish(self, container: Container, action: str, **attributes: str) -> None:
        self._events.container(action, container.record, attributes)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
