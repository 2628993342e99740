"""From a task to a running process, and back when it has ended: preparation, journal, launcher.

It knows nothing of containers' names, states and policies: a container is one user of it, anything else that wants a
process on layers is another.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from wherry.engine.config import EngineConfig
from wherry.engine.journal import Journal, Launched
from wherry.engine.paths import ContainerPaths
from wherry.engine.planning import Planner
from wherry.engine.preparation.carry_out import carry_out, due, ending, take_back, take_over
from wherry.engine.preparation.cgroups import ParentCgroup, have_parents_again
from wherry.engine.preparation.networks import as_given, attachments_of
from wherry.engine.preparation.planned import Neighbours
from wherry.engine.preparation.step import EngineStep, Host, Launch, Moment
from wherry.engine.preparation.storage import WriteRecord
from wherry.engine.task import Task
from wherry.errors import Conflict, Internal, LaunchFailed, WherryError, sentence
from wherry.linux.procfs import ProcessDirectory
from wherry.messages.exec import ExecCreate, ExecStart
from wherry.network.endpoint import Attachment
from wherry.runtime.cgroups.oom_notice import OomNotice
from wherry.runtime.launcher import Attach, Launcher, Monitored
from wherry.runtime.steps import CgroupCreate, Fd

END_SECONDS = 60.0  # for what cannot even be killed

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Run:
    """A process that runs, with what the engine has done for it."""

    id: str
    monitor: Monitored
    steps: tuple[EngineStep, ...]
    attachments: dict[str, Attachment] = field(default_factory=dict)
    notice: OomNotice | None = None

    @property
    def pid(self) -> int:
        """Its first process, as the host numbers it."""
        return self.monitor.init_pid

    @property
    def ending(self) -> bool:
        """Whether the process has ended or is about to, by the kernel's word."""
        try:
            with ProcessDirectory(self.pid) as process:
                return self.monitor.has_ended() or process.exiting()
        except (FileNotFoundError, ProcessLookupError):
            return True

    def signal(self, number: int) -> None:
        """Signal its first process; nothing where it has ended."""
        self.monitor.signal(number)

    def close(self) -> None:
        """Let go of descriptors; what they held ends with its last holder."""
        if self.notice is not None:
            asyncio.get_running_loop().remove_reader(self.notice.event)
            self.notice.close()
            self.notice = None


class Executor:
    """Starts tasks, and frees what they held.

    What the host does not take back at once is tried again: by ``retry``, and before the task's next start.
    """

    def __init__(
        self, config: EngineConfig, host: Host, planner: Planner, launcher: Launcher, neighbours: Neighbours
    ) -> None:
        self._config = config
        self._host = host
        self._planner = planner
        self._launcher = launcher
        self._neighbours = neighbours
        self._owed: dict[str, list[EngineStep]] = {}  # by task: what could not be given back
        self.journal = Journal(config)

    # ------------------------------------------------------------ before a start

    def plan(self, task: Task) -> Launched:
        """What would be done, from creation on. Touches nothing."""
        return self._planner.plan(task, self._planner.preparation(task, self._neighbours))

    async def create(self, task: Task) -> None:
        """Do what comes before a start: the writable layer and, for a container, its record. All or nothing."""
        await carry_out(due(self._planner.lasting(task), Moment.CREATE), self._host, Launch(task.name))

    def remove(self, task: Task) -> None:
        """Undo all that there is of a task that does not run. Internal where something stays; the rest is as it was."""
        left = take_back(self._planner.lasting(task), self._host, whole=True)
        if left:
            said = "; ".join(f"{step.describe()}: {reason_of(error)}" for step, error in left)
            raise Internal(f"container {task.id[:12]} cannot be removed: {said}")

    # ------------------------------------------------------------ from start to end

    async def start(self, task: Task, attaches: Sequence[Attach] = ()) -> Run:
        """Start a task's process; ``attaches`` get its first byte. Where a step fails, all is undone, and it raises."""
        self._pay(task)
        await self._planner.compile_profile(task.host)
        steps = self._planner.preparation(task, self._neighbours)
        starting = due(steps, Moment.START)
        self.journal.begin(task.id, starting)
        launch = Launch(task.name)
        try:
            done = await carry_out(starting, self._host, launch)
        except BaseException:
            self._settled(task.id, launch.left)
            raise
        try:
            monitor = await self._launch(task, (*made(steps), *done), launch, attaches)
        except BaseException:
            self.finish(task.id, done)
            raise
        finally:
            launch.close()
        try:
            self.journal.runs(task.id)
            return self._run(task.id, monitor, done)
        except OSError as error:
            await self._call_off(task.id, monitor, done)
            raise Internal(f"cannot hold on to the process that was started: {sentence(error)}") from error

    async def _launch(
        self, task: Task, prepared: Sequence[EngineStep], launch: Launch, attaches: Sequence[Attach]
    ) -> Monitored:
        plan, paths = self._planner.write(task, prepared), ContainerPaths(self._config, task.id)
        carry_on = partial(
            self._launcher.launch,
            plan,
            fds=launch.fds,
            listen_path=Path(paths.socket),
            exit_file=Path(paths.exit),
            clean=partial(self._host.cgroups.destroy, self._planner.cgroup(task)),
            attaches=attaches,
            meanwhile=lambda: self.journal.keep(task.id, plan),
        )
        try:
            return await carry_on()
        except LaunchFailed as error:
            if (error.name, error.errno) != (CgroupCreate.name, errno.ENOENT):
                raise
        # Somebody has taken the parent cgroup away; to look for it at each start would be to wait for the kernel.
        have_parents_again(prepared, self._host)
        return await carry_on()

    async def _call_off(self, id: str, monitor: Monitored, done: Sequence[EngineStep]) -> None:
        """End what has been started, and give back what it held."""
        await end(monitor)
        monitor.close()
        self.finish(id, done)

    def _run(self, id: str, monitor: Monitored, done: tuple[EngineStep, ...]) -> Run:
        if monitor.unheld is not None:
            raise monitor.unheld
        return Run(id, monitor, done, attachments_of(done))

    def finish(self, id: str, steps: Sequence[EngineStep]) -> None:
        """Give back what a process held that has ended. Never raises: what cannot be given back now is owed."""
        self._settled(id, [step for step, _ in take_back(ending(steps, Moment.EXIT), self._host)])

    def _settled(self, id: str, left: list[EngineStep]) -> None:
        """What is left stays in the journal, until it and the journal's end are dealt with."""
        if not left:
            try:
                self.journal.end(id)
                return
            except OSError as error:
                log.error("cannot note the end of %s: %s", id[:12], sentence(error))
        self._owed[id] = left

    def _pay(self, task: Task) -> None:
        """Give back what an earlier start owes still. Internal where it cannot be."""
        self._finish_owed(task.id)
        if self._owed.get(task.id):
            said = "; ".join(step.describe() for step in self._owed[task.id])
            raise Internal(f"what container {task.id[:12]} held before cannot be given back: {said}")

    def _finish_owed(self, id: str) -> None:
        """Try again to give back what one task owes; that it owes nothing is fine."""
        owed = self._owed.pop(id, None)
        if owed is not None:
            self.finish(id, owed)

    def retry(self) -> None:
        """Try again to give back what is owed, by whomever."""
        for id in list(self._owed):
            self._finish_owed(id)

    # ------------------------------------------------------------ after a restart of the daemon

    def recognise(self, networks: Iterable[str], pid: int) -> list[Attachment]:
        """The places that a process has on networks, by their names."""
        return [place for name in networks for place in self._host.networks.recognise(name, pid)]

    def journal_anew(self, task: Task, leases: Iterable[Attachment]) -> Launched:
        """Write the journal of a run that has none, by what it was given on networks, as if it was started now."""
        steps = self._planner.preparation(task, self._neighbours)
        done = as_given(due(steps, Moment.START), leases)
        launched = self._planner.plan(task, (*made(steps), *done))
        self.journal.keep(task.id, launched)
        self.journal.runs(task.id)
        return launched

    async def take_over(self, id: str, anew: Callable[[int], Launched | None]) -> Run | None:
        """The process of a task that an earlier daemon started, if it runs still.

        A monitor may outlive its process: while it cleans up, or as long as a client has not read all. A process whose
        journal is not whole was under way when that daemon died, and nobody was told of it: it is ended.
        ``anew`` finds out what the run of a first process holds where the journal cannot be read.
        """
        paths = ContainerPaths(self._config, id)
        known = self.journal.under_way(id)
        clean = partial(self._host.cgroups.destroy, cgroup_of(id, known, self._config))
        try:
            monitor = await self._launcher.take_over(Path(paths.socket), Path(paths.exit), clean)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                log.warning("container %s is not taken over: %s", id[:12], sentence(error))
            if known is not None:  # who was at work on it has died with that daemon, wherever it was
                await asyncio.to_thread(clean)
            return None
        if monitor.exited.done():
            return None
        launched = known or anew(monitor.init_pid)
        if launched is not None and launched.spec is None:
            await end(monitor)
            return None
        done = due(launched.preparation, Moment.START) if launched is not None else ()
        take_over(done, self._host)
        return self._run(id, monitor, done)

    def settle(self, id: str) -> bool:
        """Give back what an earlier daemon's start of a task has left; whether that came so far that it ran."""
        launched, has_run = self.journal.under_way(id), self.journal.has_run(id)
        if launched is not None:
            self.finish(id, due(launched.preparation, Moment.START))
        return has_run

    def watch_memory(self, run: Run, tell: Callable[[], None]) -> None:
        """Have ``tell`` called when a process runs out of memory. Nothing where the kernel gives no word of that."""
        launched = self.journal.under_way(run.id)
        try:
            notice = self._host.cgroups.oom_notice(launched.cgroup) if launched is not None else None
        except OSError as error:
            log.error("the kernel does not tell the memory use of %s: %s", run.id[:12], sentence(error))
            return
        if notice is not None:
            run.notice = notice
            asyncio.get_running_loop().add_reader(notice.event, lambda: tell() if notice.struck() else None)

    # ------------------------------------------------------------ execs

    async def exec(
        self, run: Run, request: ExecCreate, options: ExecStart, attaches: Sequence[Attach]
    ) -> Monitored:
        """Run a command in the namespaces of a process. Conflict where that has ended; Internal."""
        launched = None
        try:
            launched = self.journal.of_running(run.id)
        except Internal:
            if not run.ending:
                raise
        if run.monitor.pidfd < 0 or launched is None:
            raise Conflict(f"container {run.id} is not running")
        plan = self._planner.exec(run.id, launched, request, options)
        return await self._launcher.launch(
            plan, fds={Fd.TARGET: run.monitor.pidfd}, listen_path=None, attaches=attaches
        )


def made(steps: Sequence[EngineStep]) -> tuple[EngineStep, ...]:
    """The steps of the creation, as a start finds them done: the record is in the store."""
    return tuple(
        replace(step, record=None) if isinstance(step, WriteRecord) else step
        for step in due(steps, Moment.CREATE)
    )


def cgroup_of(id: str, launched: Launched | None, config: EngineConfig) -> str:
    """Where the processes of a launch are, also of one that came to no plan."""
    if launched is None:
        return f"/{config.cgroup_parent}/{id}"
    parents = (step.path for step in launched.preparation if isinstance(step, ParentCgroup))
    return launched.cgroup or f"/{next(parents, config.cgroup_parent)}/{id}"


async def end(monitor: Monitored) -> None:
    """Kill a process and wait until its cgroups are gone, but not for ever."""
    monitor.signal(signal.SIGKILL)
    with suppress(TimeoutError):
        await asyncio.wait_for(monitor.cleaned, END_SECONDS)


def reason_of(error: Exception) -> str:
    """What went wrong, in words."""
    if isinstance(error, WherryError):
        return error.message
    return sentence(error) if isinstance(error, OSError) else str(error)
