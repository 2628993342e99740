"""What a new daemon makes of what the last one left: ends that nobody saw, removals half done, things without owner."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from tests.engine.doubles import BEGAN, Lab, Monitor, running
from tests.harness.daemon import Daemon
from tests.harness.waiting import eventually
from wherry.engine.paths import ContainerPaths
from wherry.engine.preparation.step import Launch
from wherry.engine.preparation.storage import RuntimeDirectory
from wherry.engine.record import Asked, ContainerState, Failure, Phase
from wherry.engine.recovery import LOST_EXIT_CODE, UNSEEN, ended, recover, settle, sweep
from wherry.messages.base import ZERO_TIME
from wherry.runtime.launcher import ExitStatus
from wherry.values.times import rfc3339

FINISHED = 1_700_000_000_123_456_789
RUNNING = ContainerState(phase=Phase.RUNNING, pid=4711, started_at=rfc3339(FINISHED - 10**9))
ENDED = ContainerState(phase=Phase.EXITED, exit_code=3, finished_at=rfc3339(FINISHED))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def exit_file(lab: Lab, id: str, text: str) -> None:
    path = Path(ContainerPaths(lab.config, id).exit)
    path.parent.mkdir(parents=True)
    path.write_text(text)


# ---------------------------------------------------------------- how it ended


@pytest.mark.parametrize(
    ("state", "ran", "file", "status"),
    [
        (ContainerState(), False, None, None),
        (ContainerState(), False, f"4 0 {FINISHED}", ExitStatus(4, False, FINISHED)),
        (ContainerState(), True, f"5 0 {FINISHED}", ExitStatus(5, False, FINISHED)),
        (RUNNING, True, f"5 1 {FINISHED}", ExitStatus(5, True, FINISHED)),
        (RUNNING, False, f"5 0 {FINISHED}", ExitStatus(5, False, FINISHED)),
        (ENDED, False, f"3 0 {FINISHED}", None),
        (ENDED, True, f"7 0 {FINISHED + 10**9}", ExitStatus(7, False, FINISHED + 10**9)),
        (ENDED, False, None, None),
    ],
    ids=[
        "never started", "all was given back, and nothing recorded", "ended, and nothing recorded",
        "ran", "ran, and all was given back", "ended before", "a later run", "ended before, and the file is gone",
    ],
)  # fmt: skip
def test_how_it_ended(
    lab: Lab, state: ContainerState, ran: bool, file: str | None, status: ExitStatus | None
) -> None:
    container = lab.container(state=state)
    lab.executor.had_run = {container.id} if ran else set()
    if file is not None:
        exit_file(lab, container.id, file)
    assert ended(lab.config, lab.executor, container) == status  # type: ignore[arg-type]
    assert lab.executor.settled == [container.id]


@pytest.mark.parametrize("file", [None, "half a li"])
@pytest.mark.parametrize(
    ("state", "ran"),
    [(RUNNING, False), (RUNNING, True), (ContainerState(), True), (ENDED, True)],
    ids=["ran", "ran, and holds something", "ran, and nothing recorded", "ran again"],
)
def test_one_that_ended_without_a_word(lab: Lab, state: ContainerState, ran: bool, file: str | None) -> None:
    container = lab.container(state=state)
    lab.executor.had_run = {container.id} if ran else set()
    if file is not None:
        exit_file(lab, container.id, file)
    status = ended(lab.config, lab.executor, container)  # type: ignore[arg-type]
    assert status is not None and not status.known
    assert (status.code, status.error) == (LOST_EXIT_CODE, UNSEEN)


def test_a_start_takes_away_what_an_earlier_run_left(tmp_path: Path) -> None:
    """A monitor that is lost would otherwise be taken to have ended as the last one did."""
    for name in ("exit", "m", "launch.json"):
        (tmp_path / name).write_text("")
    step = RuntimeDirectory(str(tmp_path), str(tmp_path / "m"))
    asyncio.run(step.do(None, Launch()))  # type: ignore[arg-type]
    assert os.listdir(tmp_path) == ["launch.json"]


# ---------------------------------------------------------------- what becomes of it


async def settled(lab: Lab, state: ContainerState, file: str | None = None, **host: object) -> Phase:
    container = lab.container(state=state, **host)
    if file is not None:
        exit_file(lab, container.id, file)
    settle(lab.config, lab.executor, lab.lifecycle, container)  # type: ignore[arg-type]
    assert (lab.kept(container) is None) == (container.phase is Phase.GONE)
    return container.phase


@pytest.mark.parametrize(
    ("state", "auto_remove", "phase"),
    [
        (RUNNING, False, Phase.EXITED),
        (RUNNING, True, Phase.GONE),
        (ContainerState(phase=Phase.EXITED), False, Phase.EXITED),
        (ContainerState(phase=Phase.EXITED), True, Phase.GONE),  # a restart had put it off
        (ContainerState(phase=Phase.REMOVING), False, Phase.GONE),
        (ContainerState(), False, Phase.EXITED),  # that it runs was not recorded yet, nor that it has ended
        (ContainerState(), True, Phase.GONE),
        (ContainerState(phase=Phase.STARTING), False, Phase.EXITED),
    ],
)
def test_what_becomes_of_it(lab: Lab, state: ContainerState, auto_remove: bool, phase: Phase) -> None:
    async def scenario() -> None:
        assert await settled(lab, state, f"5 0 {FINISHED}", auto_remove=auto_remove) is phase

    asyncio.run(scenario())


@pytest.mark.parametrize(("began", "phase"), [(ZERO_TIME, Phase.CREATED), (rfc3339(FINISHED), Phase.EXITED)])
def test_a_start_that_an_earlier_version_has_recorded(lab: Lab, began: str, phase: Phase) -> None:
    async def scenario() -> None:
        assert await settled(lab, ContainerState(phase=Phase.STARTING, started_at=began)) is phase

    asyncio.run(scenario())


def test_its_end_is_recorded(lab: Lab) -> None:
    async def scenario() -> None:
        container = lab.container(state=RUNNING)
        exit_file(lab, container.id, f"5 1 {FINISHED}")
        settle(lab.config, lab.executor, lab.lifecycle, container)  # type: ignore[arg-type]
        kept = lab.kept(container)
        assert kept is not None
        assert (kept.phase, kept.pid, kept.exit_code, kept.oom_killed) == (Phase.EXITED, 0, 5, True)
        assert kept.finished_at == rfc3339(FINISHED)

    asyncio.run(scenario())


def test_an_end_that_is_known_has_nothing_of_a_failed_start_before_it(lab: Lab) -> None:
    """The engine was killed before it had recorded that it runs."""

    async def scenario() -> None:
        failed = ContainerState(exit_code=127, error="not found", failure=Failure.START)
        container = lab.container(state=failed)
        exit_file(lab, container.id, f"0 0 {FINISHED}")
        settle(lab.config, lab.executor, lab.lifecycle, container)  # type: ignore[arg-type]
        kept = lab.kept(container)
        assert kept is not None
        assert (kept.exit_code, kept.error, kept.failure) == (0, "", Failure.NONE)
        assert kept.started_at == rfc3339(BEGAN), "when its journal was written"

    asyncio.run(scenario())


class Nothing:
    """A host on which nothing is left."""

    def __init__(self, lab: Lab) -> None:
        self.store = lab.store
        self.removed: list[str] = []
        self.ghosts: list[str] = []
        self.networks = SimpleNamespace(reconcile=self.reconcile)
        self.snapshots = SimpleNamespace(list=lambda: self.ghosts, remove=self.remove)
        self.cgroups = SimpleNamespace(names=lambda parent: [])

    async def reconcile(self) -> None: ...

    def remove(self, key: str) -> None:
        if key == "stuck":
            raise OSError(errno.ENOTEMPTY, "Directory not empty")
        self.removed.append(key)


def test_who_runs_is_taken_over_and_who_cannot_be_settled_is_no_obstacle(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        alive = lab.container("alive", RUNNING)
        under_way = lab.container("under-way")
        stuck = lab.container("stuck", ContainerState(phase=Phase.REMOVING))
        other = lab.container("other", RUNNING)
        for container in (alive, under_way):
            lab.executor.alive[container.id] = running(container.id, Monitor())
        lab.executor.stuck = "a mount that is busy"
        for container in list(lab.registry.everyone()):
            lab.registry.forget(container)
        host = Nothing(lab)
        host.ghosts = [alive.id, "ghost"]
        await recover(lab.config, host, lab.registry, lab.executor, lab.lifecycle)  # type: ignore[arg-type]
        phases = {c.record.name: c.phase for c in lab.registry.everyone()}
        assert phases == {
            "alive": Phase.RUNNING, "under-way": Phase.RUNNING, "stuck": Phase.DEAD, "other": Phase.EXITED,
        }  # fmt: skip
        assert lab.registry.get("alive").state.started_at == RUNNING.started_at
        assert lab.registry.get("under-way").state.started_at > RUNNING.started_at
        assert sorted(lab.executor.settled) == sorted([stuck.id, other.id])
        assert host.removed == ["ghost"]

    asyncio.run(scenario())
    assert "a mount that is busy" in caplog.text


def test_the_end_of_what_was_taken_over_is_noted(lab: Lab) -> None:
    async def scenario() -> None:
        container, monitor = lab.container(state=RUNNING), Monitor()
        lab.executor.alive[container.id] = running(container.id, monitor)
        lab.executor.held.add(container.id)
        assert await lab.lifecycle.recover(container) is True
        waiter = container.waiter("not-running")
        monitor.end(5)
        assert (await waiter).status_code == 5
        kept = lab.kept(container)
        assert kept is not None and (kept.phase, kept.exit_code) == (Phase.EXITED, 5)
        assert await lab.lifecycle.recover(lab.container("other")) is False

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_what_cannot_be_swept_is_no_obstacle(lab: Lab) -> None:
    (lab.config.runtime_dir / "no directory").write_text("")
    host = Nothing(lab)
    host.ghosts = ["one", "stuck", "other"]
    sweep(lab.config, host, (), ())  # type: ignore[arg-type]
    assert sorted(host.removed) == ["one", "other"]


# ---------------------------------------------------------------- on a real host


def outside(daemon: Daemon, *parts: str) -> Path:
    return daemon.sandbox.outside(Path(*parts))


def test_what_nobody_owns_is_swept(fresh_daemon: Callable[..., Daemon]) -> None:
    """Directories of either root and cgroups, with what runs in them; and nothing of a container's that is there."""
    daemon = fresh_daemon()
    body = {"Image": "busybox", "Cmd": ["sleep", "1000"]}
    made = daemon.api("POST", "/containers/create?name=mine", body).body["Id"]
    daemon.api("POST", "/containers/mine/start")
    kept = {*daemon.directories(), *map(str, daemon.sandbox.cgroups())}
    daemon.kill9()
    ghost = "e" * 64
    for root in (daemon.data_root, daemon.exec_root):
        outside(daemon, str(root), "containers", ghost, "some").mkdir(parents=True)
    cgroups = [
        folder.parent / ghost for folder in daemon.sandbox.cgroups() if folder.name == made
    ]  # in each hierarchy, or in the one
    assert cgroups
    left = subprocess.Popen(["sleep", "1000"])
    for folder in cgroups:
        folder.mkdir()
        if "cpuset" not in folder.parts:
            (folder / "cgroup.procs").write_text(str(left.pid))
    daemon.start()
    assert eventually(lambda: {*daemon.directories(), *map(str, daemon.sandbox.cgroups())} == kept)
    assert left.wait(10) == -signal.SIGKILL
    assert daemon.inspect("mine")["State"]["Running"] is True


def test_a_lost_run_does_not_end_as_the_one_before(fresh_daemon: Callable[..., Daemon]) -> None:
    daemon = fresh_daemon()
    script = "[ -e /again ] && exec sleep 1000; touch /again; exit 3"
    daemon.api("POST", "/containers/create?name=twice", {"Image": "busybox", "Cmd": ["sh", "-c", script]})
    daemon.api("POST", "/containers/twice/start")
    assert daemon.api("POST", "/containers/twice/wait").body["StatusCode"] == 3
    daemon.api("POST", "/containers/twice/start")
    first = daemon.inspect("twice")["State"]["Pid"]
    monitor = int(Path(f"/proc/{first}/stat").read_text().rpartition(")")[2].split()[1])
    daemon.kill9()
    for pid in (monitor, first):
        os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not Path(f"/proc/{first}").exists())
    daemon.start()
    state = daemon.inspect("twice")["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", LOST_EXIT_CODE)
    assert "without leaving an exit status" in state["Error"]


@pytest.mark.parametrize("phase", [Phase.STOPPING, Phase.RESTARTING])
def test_an_end_that_nobody_waits_for_any_more(lab: Lab, phase: Phase) -> None:
    """With ``--rm``, a restart keeps its container; but the daemon that was to start it again has died."""

    async def scenario() -> None:
        state = ContainerState(phase=phase, pid=7, started_at=rfc3339(1))
        assert await settled(lab, state, f"137 0 {FINISHED}", auto_remove=True) is Phase.GONE

    asyncio.run(scenario())


@pytest.mark.parametrize(("pid", "by"), [(7, "stop"), (0, None)], ids=["of this run", "of the one before"])
def test_what_was_asked_is_of_a_run(lab: Lab, pid: int, by: str | None) -> None:
    async def scenario() -> None:
        phase = Phase.RUNNING if pid else Phase.EXITED
        state = ContainerState(phase=phase, pid=pid, oom_killed=True, asked=Asked("stop", 15))
        ends, lives = (
            lab.container("ends", state=state),
            lab.container("lives", state=msgspec.structs.replace(state)),
        )
        lab.executor.had_run = {ends.id}
        exit_file(lab, ends.id, f"143 0 {FINISHED}")
        settle(lab.config, lab.executor, lab.lifecycle, ends)  # type: ignore[arg-type]
        lab.executor.alive[lives.id] = running(lives.id, Monitor())
        assert await lab.lifecycle.recover(lives)
        for container in (ends, lives):
            asked = container.state.asked
            assert (asked.by if asked is not None else None) == by
            assert container.state.oom_killed is (pid != 0)

    asyncio.run(scenario())
