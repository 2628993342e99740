"""The moves of a container's life: which there are, and that verbs in any order and at once make no others."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import Awaitable, Callable
from itertools import product
from pathlib import Path

import pytest

from tests.engine.doubles import Lab, Monitor, told, wished
from wherry.engine.container import Container, WaitResult
from wherry.engine.lifecycle import MOVES, SAVE_SECONDS, move
from wherry.engine.record import ContainerState, Failure, Phase
from wherry.errors import (
    Conflict,
    Internal,
    InvalidArgument,
    LaunchFailed,
    NotFound,
    NotModified,
    WherryError,
)
from wherry.messages.base import ZERO_TIME
from wherry.messages.container import Config
from wherry.runtime.launcher import Attach, ExitStatus
from wherry.values.times import now

# Every move there is. A line more or less is a decision, not an accident.
ALLOWED = """
created     starting running exited removing gone
starting    running created exited
running     paused stopping restarting exited removing
paused      running stopping restarting exited removing
stopping    restarting exited removing
restarting  exited removing
exited      starting running exited removing
removing    gone dead
dead        removing
gone
"""
TABLE = {Phase(line.split()[0]): set(map(Phase, line.split()[1:])) for line in ALLOWED.split("\n") if line}
ANSWERS = (NotModified, Conflict, NotFound)  # what a verb may be told that came at the wrong time


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def soon(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 20))


async def answered(work: Awaitable[None]) -> type[BaseException] | None:
    """How a verb was answered: None is well."""
    try:
        await work
    except ANSWERS as error:
        return type(error)
    return None


def pipe_attach(id: int = 1) -> tuple[Attach, int]:
    """A client, and the other end, where its being closed shows."""
    theirs, ours = os.pipe()
    return Attach(id, ours), theirs


def closed(other_end: int) -> bool:
    os.set_blocking(other_end, False)
    try:
        return os.read(other_end, 1) == b""
    except BlockingIOError:
        return False


# ---------------------------------------------------------------- the table


@pytest.mark.parametrize(("before", "after"), list(product(Phase, Phase)))
def test_every_move(before: Phase, after: Phase) -> None:
    container = Container(wished(), ContainerState(phase=before))
    if after in TABLE[before]:
        move(container, after)
        assert container.phase is after
    else:
        with pytest.raises(Internal, match=f"cannot become {after} while it is {before}"):
            move(container, after)
        assert container.phase is before


def test_every_phase_has_a_line() -> None:
    assert set(MOVES) == set(Phase)


# ---------------------------------------------------------------- one verb after the other


def test_from_start_to_end(lab: Lab) -> None:
    async def scenario() -> None:
        container = lab.container()
        await lab.lifecycle.start(container)
        assert (container.phase, lab.kept(container).phase) == (Phase.RUNNING, Phase.RUNNING)
        assert await answered(lab.lifecycle.start(container)) is NotModified
        assert await answered(lab.lifecycle.remove(container, force=False)) is Conflict
        waiter = container.waiter("not-running")
        await lab.lifecycle.stop(container, 1, None)
        assert await waiter == WaitResult(143)
        assert (container.phase, lab.kept(container).exit_code) == (Phase.EXITED, 143)
        assert await answered(lab.lifecycle.stop(container, 1, None)) is NotModified
        assert await answered(lab.lifecycle.kill(container, 9)) is Conflict
        await lab.lifecycle.remove(container, force=False)
        assert (container.phase, lab.kept(container), lab.released) == (
            Phase.GONE,
            None,
            [container.record.image],
        )

    soon(scenario)


@pytest.mark.parametrize(
    ("phase", "error"),
    [(Phase.GONE, NotFound), (Phase.REMOVING, Conflict), (Phase.DEAD, Conflict)],
)
def test_nothing_is_started_that_is_gone_or_going(lab: Lab, phase: Phase, error: type[WherryError]) -> None:
    async def scenario() -> None:
        container = lab.container(state=ContainerState(phase=phase))
        for verb in (lab.lifecycle.start(container), lab.lifecycle.restart(container, 0, None)):
            with pytest.raises(error):
                await verb
        assert (lab.executor.started, container.phase) == ([], phase)

    soon(scenario)


def test_a_start_that_waits_while_the_container_goes(lab: Lab) -> None:
    """Both have found it by its name; the removal has the lock first."""

    async def scenario() -> None:
        container = lab.container()
        async with container.lock:
            removal = asyncio.create_task(lab.lifecycle.remove(container, force=False))
            start = asyncio.create_task(lab.lifecycle.start(container))
            await asyncio.sleep(0)
        assert await answered(removal) is None
        assert await answered(start) is NotFound
        assert lab.executor.started == []
        assert lab.kept(container) is None

    soon(scenario)


def test_restart_does_not_bring_back_what_is_removed_by_force(lab: Lab) -> None:
    async def scenario() -> None:
        container = lab.container()
        await lab.lifecycle.start(container)
        restart = answered(lab.lifecycle.restart(container, 5, None))
        removal = answered(lab.lifecycle.remove(container, force=True))
        answers = await asyncio.gather(restart, removal)
        assert answers in ([NotFound, None], [Conflict, None])
        assert (len(lab.executor.started), lab.executor.held, lab.kept(container)) == (1, set(), None)

    soon(scenario)


def test_restart_is_no_end_for_rm(lab: Lab) -> None:
    async def scenario() -> None:
        container = lab.container(auto_remove=True)
        await lab.lifecycle.start(container)
        await lab.lifecycle.restart(container, 5, None)
        assert (container.phase, len(lab.executor.started)) == (Phase.RUNNING, 2)
        await lab.lifecycle.stop(container, 5, None)
        assert (container.phase, lab.kept(container)) == (Phase.GONE, None)

    soon(scenario)


@pytest.mark.parametrize("verb", ["stop", "restart"])
def test_a_signal_that_is_none_changes_nothing(lab: Lab, verb: str) -> None:
    """The container would else be taken to be on its way to a restart, and "--rm" would not hold."""

    async def scenario() -> None:
        container = lab.container(auto_remove=True)
        await lab.lifecycle.start(container)
        with pytest.raises(InvalidArgument):
            await getattr(lab.lifecycle, verb)(container, 5, "SIGNONE")
        assert container.phase is Phase.RUNNING
        await lab.lifecycle.kill(container, 9)
        assert (container.phase, lab.kept(container)) == (Phase.GONE, None)

    soon(scenario)


# ---------------------------------------------------------------- who waits


def test_who_waits_for_what(lab: Lab) -> None:
    async def scenario() -> None:
        container = lab.container(state=ContainerState(phase=Phase.EXITED, exit_code=3))
        assert container.attachments == {}
        assert container.waiter("not-running").result() == WaitResult(3)  # at once
        with pytest.raises(InvalidArgument, match='invalid condition: "tomorrow"'):
            container.waiter("tomorrow")
        next_exit, removed = container.waiter("next-exit"), container.waiter("removed")
        await lab.lifecycle.start(container)
        not_running = container.waiter("not-running")
        assert not any(future.done() for future in (next_exit, removed, not_running))
        await lab.lifecycle.kill(container, 9)
        assert next_exit.result() == not_running.result() == WaitResult(137)
        assert not removed.done()
        never = container.waiter("next-exit")
        given_up = container.waiter("removed")
        given_up.cancel()
        await lab.lifecycle.remove(container, force=False)
        assert removed.result() == never.result() == WaitResult(137)
        assert container.waiters == []

    soon(scenario)


# ---------------------------------------------------------------- what fails


@pytest.mark.parametrize("before", [Phase.CREATED, Phase.EXITED])
def test_a_start_that_fails_leaves_it_as_it_was(lab: Lab, before: Phase) -> None:
    async def scenario() -> None:
        container = lab.container(state=ContainerState(phase=before))
        waiter = container.waiter("next-exit")
        (attach, other_end), lab.executor.fails = pipe_attach(), LaunchFailed("no such thing", exit_code=127)
        container.attaching.append(attach)
        with pytest.raises(LaunchFailed):
            await lab.lifecycle.start(container)
        assert (container.phase, container.state.error) == (before, "no such thing")
        assert container.state.failure is Failure.START
        assert (await waiter).status_code == lab.kept(container).exit_code == 127
        assert closed(other_end)
        await lab.lifecycle.start(container)
        assert (container.phase, container.state.error) == (Phase.RUNNING, "")
        assert container.state.failure is Failure.NONE

    soon(scenario)


def test_a_start_that_fails_is_an_end_for_rm(lab: Lab) -> None:
    async def scenario() -> None:
        container = lab.container(auto_remove=True)
        waiters = [container.waiter(condition) for condition in ("next-exit", "removed")]
        lab.executor.fails = Internal("the host refuses")
        with pytest.raises(Internal, match="the host refuses"):
            await lab.lifecycle.start(container)
        assert [(await waiter).status_code for waiter in waiters] == [128, 128]
        assert lab.kept(container) is None

    soon(scenario)


def test_what_cannot_be_removed_is_dead_and_who_waits_is_told(lab: Lab) -> None:
    async def scenario() -> None:
        container = lab.container()
        lab.executor.stuck = "a mount that is busy"
        waiter = container.waiter("removed")
        with pytest.raises(Internal, match="a mount that is busy"):
            await lab.lifecycle.remove(container, force=False)
        assert container.phase is Phase.DEAD
        assert "a mount that is busy" in str((await waiter).error)
        assert await answered(lab.lifecycle.start(container)) is Conflict
        lab.executor.stuck = ""
        await lab.lifecycle.remove(container, force=False)
        assert (container.phase, lab.kept(container)) == (Phase.GONE, None)

    soon(scenario)


def test_rm_that_fails_is_told_in_the_log_and_to_who_waits(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        container = lab.container(auto_remove=True)
        await lab.lifecycle.start(container)
        lab.executor.stuck = "a mount that is busy"
        waiters = [container.waiter(condition) for condition in ("not-running", "next-exit", "removed")]
        await lab.lifecycle.kill(container, 9)
        results = [await waiter for waiter in waiters]
        assert [result.status_code for result in results] == [137] * 3
        assert [bool(result.error) for result in results] == [False, False, True]
        assert container.phase is Phase.DEAD

    with caplog.at_level(logging.ERROR, "wherry.engine.lifecycle"):
        soon(scenario)
    assert "a mount that is busy" in caplog.text


def test_who_waits_is_answered_though_nothing_can_be_given_back(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        container = lab.container()
        await lab.lifecycle.start(container)
        lab.executor.held.clear()  # so that the executor raises
        waiters = [container.waiter(condition) for condition in ("not-running", "next-exit")]
        await lab.lifecycle.kill(container, 9)
        for waiter in waiters:
            await waiter
        assert not container.running

    with caplog.at_level(logging.ERROR, "wherry.engine.lifecycle"):
        soon(scenario)
    (record,) = [record for record in caplog.records if record.name == "wherry.engine.lifecycle"]
    assert "has ended, but not everything that follows could be done" in record.getMessage()


# ---------------------------------------------------------------- clients that attach


def test_who_attaches_in_the_midst_of_a_start_belongs_to_it(lab: Lab) -> None:
    async def scenario() -> None:
        container = lab.container()
        lab.executor.gate = asyncio.Event()
        (early, early_end), (late, late_end) = pipe_attach(1), pipe_attach(2)
        container.attaching.append(early)
        start = asyncio.create_task(lab.lifecycle.start(container))
        await asyncio.sleep(0)
        container.attaching.append(late)
        lab.executor.gate.set()
        await start
        assert lab.executor.last is not None and lab.executor.last.attached == [1, 2]
        assert closed(early_end) and closed(late_end)  # the daemon's copies

    soon(scenario)


@pytest.mark.parametrize("fails", [True, False])
def test_no_client_is_left_with_an_open_stream(lab: Lab, fails: bool) -> None:
    """Neither one that came while a start failed, nor one that waited for a start that never was."""

    async def scenario() -> None:
        container = lab.container()
        lab.executor.gate, (attach, other_end) = asyncio.Event(), pipe_attach()
        if fails:
            start = asyncio.create_task(lab.lifecycle.start(container))
            await asyncio.sleep(0)
            container.attaching.append(attach)
            lab.executor.fails = LaunchFailed("no")
            lab.executor.gate.set()
            with pytest.raises(LaunchFailed):
                await start
        else:
            container.attaching.append(attach)
            await lab.lifecycle.remove(container, force=False)
        assert closed(other_end)

    soon(scenario)


def test_clients_that_have_gone_are_not_kept(lab: Lab) -> None:
    async def scenario() -> None:
        container = lab.container()
        for _ in range(10):
            container.waiter("next-exit").cancel()
        stays = container.waiter("removed")
        assert [who for _, who in container.waiters] == [stays]

    soon(scenario)


# ---------------------------------------------------------------- how it ends, and what is told of it


def test_what_is_told_of_a_life(lab: Lab) -> None:
    async def scenario() -> None:
        events, container = lab.events.subscribe(), lab.container()
        await lab.lifecycle.start(container)
        await lab.lifecycle.restart(container, 5, None)
        await lab.lifecycle.stop(container, 5, None)
        await lab.lifecycle.start(container)
        assert lab.executor.last is not None and lab.executor.last.on_detach is not None
        for reason in (1, 1, 0):  # streams that broke; one who typed the keys
            lab.executor.last.on_detach(7, reason)
        await lab.lifecycle.remove(container, force=True)
        assert await told(events) == [
            "start", "kill", "die", "stop", "start", "restart", "kill", "die", "stop", "start", "detach",
            "kill", "die", "destroy",
        ]  # fmt: skip

    soon(scenario)


def test_what_is_kept_of_a_run(lab: Lab) -> None:
    async def scenario() -> None:
        container = lab.container(state=ContainerState(phase=Phase.EXITED, oom_killed=True, exit_code=3))
        await lab.lifecycle.start(container)
        kept = lab.kept(container)
        assert kept is not None
        assert (kept.pid, kept.exit_code, kept.oom_killed) == (os.getpid(), 0, False)
        assert ZERO_TIME < kept.started_at <= now()
        await lab.lifecycle.kill(container, 9)
        kept = lab.kept(container)
        assert kept is not None
        assert (kept.phase, kept.pid, kept.exit_code) == (Phase.EXITED, 0, 137)
        assert kept.finished_at == "1970-01-01T00:00:01Z"
        await asyncio.sleep(0)
        assert lab.lifecycle._tasks == set()

    soon(scenario)


def test_an_end_is_recorded_before_the_next_start_takes_its_traces_away(lab: Lab) -> None:
    async def scenario() -> None:
        container = lab.container()
        await lab.lifecycle.start(container)
        await lab.lifecycle.kill(container, 9)
        lab.executor.gate = asyncio.Event()
        again = asyncio.create_task(lab.lifecycle.start(container))
        await asyncio.sleep(2 * SAVE_SECONDS)
        assert container.phase is Phase.STARTING
        kept = lab.kept(container)
        assert kept is not None and (kept.phase, kept.exit_code) == (Phase.EXITED, 137)
        lab.executor.gate.set()
        await again

    soon(scenario)


def test_how_long_it_ran(lab: Lab) -> None:
    async def scenario() -> None:
        events, container, begin = lab.events.subscribe(), lab.container(), time.monotonic()
        await lab.lifecycle.start(container)
        await lab.lifecycle.kill(container, 9)
        events.close()
        (die,) = [event async for batch in events for event in batch if event.action == "die"]
        assert 0 <= int(die.actor.attributes["execDuration"]) <= time.monotonic() - begin
        assert die.actor.attributes["exitCode"] == "137"

    soon(scenario)


@pytest.mark.parametrize("oom", [True, False])
def test_an_end_for_want_of_memory_and_a_lost_one(lab: Lab, oom: bool) -> None:
    async def scenario() -> None:
        events, container = lab.events.subscribe(), lab.container()
        await lab.lifecycle.start(container)
        assert lab.executor.last is not None
        waiter = container.waiter("not-running")
        lab.executor.last._exited.set_result(
            ExitStatus(137, oom=oom, finished_ns=1, error="" if oom else "unseen", known=oom)
        )
        assert await waiter == WaitResult(137)
        kept = lab.kept(container)
        assert kept is not None
        assert (kept.oom_killed, kept.error) == (oom, "" if oom else "unseen")
        assert kept.failure is (Failure.NONE if oom else Failure.LOST)
        assert await told(events) == (["start", "oom", "die"] if oom else ["start", "die"])

    soon(scenario)


def test_without_its_image_nothing_is_started(lab: Lab) -> None:
    async def scenario() -> None:
        container = lab.container()
        lab.store.images.delete(container.record.image)
        with pytest.raises(NotFound, match="No such image: sha256:000"):
            await lab.lifecycle.start(container)
        assert (lab.executor.started, container.phase) == ([], Phase.CREATED)
        await lab.lifecycle.remove(container, force=False)
        assert lab.kept(container) is None

    soon(scenario)


class Stubborn:
    """Hears signals; ends by SIGKILL or when it is told to."""

    def __init__(self, monitor: Monitor) -> None:
        self.heard: list[int] = []
        self._signal = monitor.signal
        monitor.signal = self.signal  # type: ignore[method-assign]

    def signal(self, number: int) -> None:
        self.heard.append(number)
        if number == 9:
            self._signal(number)


@pytest.mark.parametrize(
    ("own", "engines", "timeout", "killed"),
    [
        (None, 0, None, True),
        (0, 3600, None, True),
        (3600, 3600, 0, True),
        (0, 0, 3600, False),
        (0, 0, -1, False),
        (-1, 0, None, False),
        (None, 3600, None, False),
    ],
)
def test_how_long_a_stop_waits(
    tmp_path: Path, own: int | None, engines: int, timeout: int | None, killed: bool
) -> None:
    """The call's word counts, then the container's, then the engine's. Less than nothing is for ever."""

    async def scenario() -> None:
        lab = Lab(tmp_path, stop_timeout=engines)
        container = lab.container(config=Config(stop_timeout=own, stop_signal="SIGHUP"))
        await lab.lifecycle.start(container)
        assert lab.executor.last is not None
        stubborn = Stubborn(lab.executor.last)
        stop = asyncio.create_task(lab.lifecycle.stop(container, timeout, None))
        if killed:
            await stop
        else:
            await asyncio.sleep(0.02)
            assert (stop.done(), container.phase) == (False, Phase.STOPPING)
            lab.executor.last.end(0)
            await stop
        assert stubborn.heard == ([1, 9] if killed else [1])

    soon(scenario)


def test_the_signal_that_a_stop_names_goes_before_the_containers(lab: Lab) -> None:
    async def scenario() -> None:
        container = lab.container(config=Config(stop_signal="SIGHUP"))
        await lab.lifecycle.start(container)
        assert lab.executor.last is not None
        stubborn = Stubborn(lab.executor.last)
        await lab.lifecycle.stop(container, 0, "SIGUSR1")
        assert stubborn.heard == [10, 9]

    soon(scenario)


def test_only_sigkill_is_waited_for(lab: Lab) -> None:
    """Docker's "kill" has come back when the container is gone; any other signal may be caught."""

    async def scenario() -> None:
        container = lab.container()
        await lab.lifecycle.start(container)
        assert lab.executor.last is not None
        stubborn = Stubborn(lab.executor.last)
        await lab.lifecycle.kill(container, 15)
        assert container.phase is Phase.RUNNING
        await lab.lifecycle.kill(container, 9)
        assert (container.phase, stubborn.heard) == (Phase.EXITED, [15, 9])

    soon(scenario)


# ---------------------------------------------------------------- everything at once


@pytest.mark.parametrize("seed", range(80))
def test_any_verbs_at_once(lab: Lab, seed: int) -> None:
    """Whatever comes whenever: nobody is told of an engine's fault, nobody waits for ever, and nothing is left."""
    source = random.Random(seed)

    async def client(container: Container, waiters: list[Awaitable[WaitResult]]) -> None:
        for _ in range(source.randint(1, 6)):
            for _ in range(source.randint(0, 4)):
                await asyncio.sleep(0)
            verb = source.choice(VERBS)
            if container.phase is Phase.GONE:
                return  # nobody finds it any more
            if verb == "wait":
                waiters.append(container.waiter(source.choice(("not-running", "next-exit", "removed"))))
            elif verb == "ends" and lab.executor.last is not None:
                lab.executor.last.end(3)
            elif verb in CALLS:
                await answered(CALLS[verb](lab, container))
            assert container.phase in Phase

    async def scenario() -> None:
        container, waiters = lab.container(auto_remove=source.random() < 0.4), list[Awaitable[WaitResult]]()
        await asyncio.gather(*(client(container, waiters) for _ in range(4)))
        assert await answered(lab.lifecycle.remove(container, force=True)) in (None, NotFound)
        await asyncio.gather(*(waiter for waiter in waiters))
        assert container.phase is Phase.GONE
        assert (lab.kept(container), list(lab.registry.everyone()), lab.executor.held) == (None, [], set())
        assert lab.executor.removed == [container.id]

    soon(scenario)


CALLS: dict[str, Callable[[Lab, Container], Awaitable[None]]] = {
    "start": lambda lab, container: lab.lifecycle.start(container),
    "stop": lambda lab, container: lab.lifecycle.stop(container, 5, None),
    "kill": lambda lab, container: lab.lifecycle.kill(container, 9),
    "restart": lambda lab, container: lab.lifecycle.restart(container, 5, None),
    "rm": lambda lab, container: lab.lifecycle.remove(container, force=False),
    "rm -f": lambda lab, container: lab.lifecycle.remove(container, force=True),
}
VERBS = (*CALLS, "start", "start", "restart", "wait", "ends")
