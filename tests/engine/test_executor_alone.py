"""What an executor does where something fails: with steps of its own, a network and a launcher that only say so."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import suppress
from ipaddress import IPv4Interface
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.engine.doubles import Monitor, image, wished
from wherry.engine.config import EngineConfig
from wherry.engine.events import EventBus
from wherry.engine.executor import Executor, Run
from wherry.engine.journal import Launched
from wherry.engine.paths import ContainerPaths
from wherry.engine.preparation.cgroups import ParentCgroup
from wherry.engine.preparation.namespaces import JoinContainer
from wherry.engine.preparation.networks import NetworkEndpoint
from wherry.engine.preparation.step import EngineStep, Neighbour
from wherry.engine.task import task_of
from wherry.errors import Conflict, Internal, LaunchFailed
from wherry.linux.pidfd import open_pidfd, readable
from wherry.messages.exec import ExecCreate, ExecStart
from wherry.network.endpoint import Attachment
from wherry.runtime.oci_spec import Spec
from wherry.runtime.steps import CgroupCreate, Fd, Hostname, Plan

LEASE = Attachment(
    network="bridge",
    network_id="n",
    endpoint_id="e",
    address="172.17.0.2/16",
    gateway="172.17.0.1",
    inside="eth0",
)
NO_CGROUP = LaunchFailed("no such file", name=CgroupCreate.name, errno=errno.ENOENT)


class Place:
    """A network with one lease, cgroups, a planner and a launcher; each notes what it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.config = EngineConfig(data_root=folder, exec_root=folder / "run")
        self.config.runtime_dir.mkdir(parents=True)
        self.notes: list[str] = []
        self.stuck = False  # the network does not take its lease back
        self.more: tuple[EngineStep, ...] = ()
        self.full = False  # the network has no lease to give
        self.failures: list[Exception] = []  # of the next launches
        self.monitor: Any = None  # of an earlier daemon
        self.given: list[dict[Fd, int]] = []
        note = self.notes.append
        networks = SimpleNamespace(
            attach=self.attach, release=self.release, adopt=lambda lease: note("adopt"),
            find=lambda name: SimpleNamespace(id="n", name=name, driver=name),
        )  # fmt: skip
        cgroups = SimpleNamespace(
            ensure=lambda path: note("ensure"),
            prepare=lambda path: note("prepare"),
            destroy=lambda path: True,
        )
        self.events = EventBus()
        host: Any = SimpleNamespace(
            networks=networks,
            cgroups=cgroups,
            events=self.events,
            neighbour=lambda ref: Neighbour("o", "other", os.getpid(), "running", "private", "o"),
        )
        planner: Any = SimpleNamespace(
            preparation=lambda task, id_of: (
                NetworkEndpoint("bridge", "wherry0", "eth0", container=task.id),
                ParentCgroup("w"),
                *self.more,
            ),
            lasting=lambda task: (NetworkEndpoint("bridge", "wherry0", "eth0", container=task.id),),
            plan=lambda task, prepared: Launched(Plan((Hostname("x"),), tuple(prepared)), Spec()),
            write=lambda task, prepared: Launched(Plan((Hostname("x"),), tuple(prepared)), Spec()),
            compile_profile=self.compile_profile,
            cgroup=lambda task: f"/w/{task.id}",
            exec=lambda id, launched, request, options: Plan((Hostname("exec"),)),
        )
        launcher: Any = SimpleNamespace(launch=self.launch, take_over=self.take_over)
        self.executor = Executor(self.config, host, planner, launcher, lambda ref: "")
        self.later = Executor(self.config, host, planner, launcher, lambda ref: "")  # of another daemon

    async def attach(self, network: str, mac: str) -> Any:
        self.notes.append("attach")
        if self.full:
            raise Conflict("no address is left")
        return SimpleNamespace(
            netns_fd=7, endpoint_id="e", address=IPv4Interface(LEASE.address), attachment=LEASE
        )

    def release(self, lease: Attachment) -> bool:
        self.notes.append(f"release {lease.endpoint_id or 'any'}")
        if self.stuck:
            raise OSError(errno.EBUSY, "Device or resource busy")
        return True

    async def compile_profile(self, host: Any) -> None:
        """There is none."""

    async def launch(self, plan: Plan, *, fds: dict[Fd, int], meanwhile: Any = None, **_: Any) -> Any:
        self.notes.append("launch")
        self.given.append(dict(fds))
        if meanwhile is not None:
            meanwhile()
        if self.failures:
            raise self.failures.pop(0)
        return Monitor()

    async def take_over(self, socket: Path, exit_file: Path, clean: Any) -> Any:
        if self.monitor is None:
            raise ConnectionRefusedError
        return self.monitor


TASK = task_of(wished(), image())
ID = TASK.id
START = ["attach", "ensure", "launch"]


def nothing(pid: int) -> Launched | None:
    raise AssertionError("there is a journal")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_from_start_to_end(place: Place) -> None:
    async def scenario() -> None:
        events = place.events.subscribe()
        started = await place.executor.start(TASK)
        assert (place.notes, place.given) == (START, [{Fd.NET: 7}])
        assert started.attachments == {"bridge": LEASE}
        assert (started.pid, started.ending) == (os.getpid(), False)
        kept = place.later.journal.under_way(ID)
        assert kept is not None and kept.spec is not None and kept.preparation == started.steps
        started.close()
        started.close()
        started.monitor.close()
        assert started.ending
        place.executor.finish(ID, started.steps)
        assert place.notes == [*START, "release e"]
        assert place.executor._owed == {}
        assert place.executor.journal.under_way(ID) is None
        events.close()
        said = [event async for batch in events for event in batch]
        assert [(event.type, event.action, event.actor.id) for event in said] == [
            ("network", "connect", "n"), ("network", "disconnect", "n"),
        ]  # fmt: skip
        assert said[0].actor.attributes == {"container": ID, "name": "bridge", "type": "bridge"}

    run(scenario)


def test_what_the_launcher_has_copies_of_is_closed(place: Place) -> None:
    async def scenario() -> None:
        place.more = (JoinContainer("ipc", "other", shm="/dev/shm"),)
        started = await place.executor.start(TASK)
        (given,) = place.given
        assert given.keys() == {Fd.NET, Fd.IPC}
        with suppress(FileNotFoundError):
            assert not os.readlink(f"/proc/self/fd/{given[Fd.IPC]}").startswith("ipc:")
        assert started.steps[-1] == JoinContainer(
            "ipc", "other", "o", f"/proc/{os.getpid()}/ns/ipc", "/dev/shm"
        )
        started.close()

    run(scenario)


def test_what_cannot_be_removed_is_told_with_its_reason(place: Place) -> None:
    place.executor.remove(TASK)
    place.stuck = True
    with pytest.raises(
        Internal, match=r"cannot be removed: take a network namespace .*: device or resource busy$"
    ):
        place.executor.remove(TASK)


def test_a_process_that_has_ended_is_known_to(place: Place) -> None:
    """Before anybody has waited for it."""
    child = subprocess.Popen(["true"])
    descriptor = os.pidfd_open(child.pid)
    monitor: Any = SimpleNamespace(init_pid=child.pid, has_ended=lambda: readable(descriptor))
    process = Run("a", monitor, ())
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process.ending
    child.wait()
    assert process.ending
    os.close(descriptor)


def test_one_that_is_gone_has_no_descriptor() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    assert open_pidfd(child.pid) == -1


def test_an_end_that_cannot_be_noted_is_noted_later(place: Place) -> None:
    async def scenario() -> None:
        started = await place.executor.start(TASK)
        started.close()
        in_the_way = Path(ContainerPaths(place.config, ID).ended)
        in_the_way.mkdir()
        place.executor.finish(ID, started.steps)
        assert place.later.journal.under_way(ID) is not None
        in_the_way.rmdir()
        place.executor.retry()
        assert place.later.journal.under_way(ID) is None
        assert place.notes == [*START, "release e"]  # given back once

    run(scenario)


def test_a_launch_that_fails_leaves_nothing(place: Place) -> None:
    async def scenario() -> None:
        place.failures = [LaunchFailed("no such command", name="exec", errno=errno.ENOENT)]
        with pytest.raises(LaunchFailed, match="no such command"):
            await place.executor.start(TASK)
        assert place.notes == [*START, "release e"]
        assert place.executor.journal.under_way(ID) is None

    run(scenario)


def test_a_parent_cgroup_that_was_taken_away_is_made_again_once(place: Place) -> None:
    async def scenario() -> None:
        place.failures = [NO_CGROUP]
        started = await place.executor.start(TASK)
        started.close()
        assert place.notes == [*START, "prepare", "launch"]
        for error in (NO_CGROUP, LaunchFailed("denied", name=CgroupCreate.name, errno=errno.EACCES)):
            place.notes.clear()
            place.failures = [error, error]
            with pytest.raises(LaunchFailed):
                await place.executor.start(TASK)
            again = ["prepare", "launch"] if error is NO_CGROUP else []
            assert place.notes == [*START, *again, "release e"]

    run(scenario)


@pytest.mark.parametrize("stuck", [True, False])
def test_a_preparation_that_fails_is_noted_to_its_end(place: Place, stuck: bool) -> None:
    async def scenario() -> None:
        place.full, place.stuck = True, stuck
        with pytest.raises(Conflict, match="no address is left"):
            await place.executor.start(TASK)
        assert place.notes == ["attach", "release any"]
        assert (place.executor.journal.under_way(ID) is not None) == stuck
        place.stuck = False
        place.executor.retry()
        assert place.executor.journal.under_way(ID) is None

    run(scenario)


@pytest.mark.parametrize("by_retry", [True, False])
def test_what_is_owed_is_given_back_before_the_next_start(place: Place, by_retry: bool) -> None:
    async def scenario() -> None:
        started = await place.executor.start(TASK)
        started.close()
        place.stuck = True
        place.executor.finish(ID, started.steps)
        assert place.later.journal.under_way(ID) is not None  # so that a later daemon sees it as well
        place.notes.clear()
        with pytest.raises(Internal, match="held before cannot be given back: take a network namespace"):
            await place.executor.start(TASK)
        assert place.notes == ["release e"]
        place.stuck = False
        if by_retry:
            place.executor.retry()
            place.executor.retry()
            assert place.notes == ["release e"] * 2
            assert place.later.journal.under_way(ID) is None
        again = await place.executor.start(TASK)
        again.close()
        assert place.notes == [*["release e"] * 2, *START]

    run(scenario)


# ---------------------------------------------------------------- after a restart of the daemon


def test_what_runs_on_is_taken_over_with_what_it_holds(place: Place) -> None:
    async def scenario() -> None:
        started = await place.executor.start(TASK)
        started.close()
        place.notes.clear()
        assert await place.later.take_over(ID, nothing) is None  # nobody answers
        place.monitor = Monitor()
        taken = await place.later.take_over(ID, nothing)
        assert taken is not None and taken.monitor is place.monitor
        assert (taken.steps, taken.attachments) == (started.steps, {"bridge": LEASE})
        assert place.notes == ["adopt"]
        taken.close()
        place.monitor.end(0)
        await asyncio.sleep(0)
        assert await place.later.take_over(ID, nothing) is None  # it has ended; only its monitor is there

    run(scenario)


def test_a_start_that_nobody_was_told_of_is_ended(place: Place) -> None:
    async def scenario() -> None:
        place.executor.journal.begin(ID, place.executor._planner.preparation(TASK, lambda ref: ""))
        place.monitor = Monitor()
        place.monitor.cleaned = place.monitor.exited
        assert await place.later.take_over(ID, nothing) is None
        assert (await place.monitor.exited).code == 128 + 9
        assert place.later.settle(ID) is False, "it never came so far as a launch"
        assert place.notes == ["release any"]
        assert place.later.settle(ID) is False

    run(scenario)


@pytest.mark.parametrize("found", [True, False])
def test_a_process_without_a_journal_runs_on_with_what_is_found_of_it(place: Place, found: bool) -> None:
    async def scenario() -> None:
        place.monitor = Monitor()
        Path(ContainerPaths(place.config, ID).runtime).mkdir()  # its socket is in there

        def anew(pid: int) -> Launched | None:
            assert pid == place.monitor.init_pid
            return place.later.journal_anew(TASK, [LEASE]) if found else None

        taken = await place.later.take_over(ID, anew)
        assert taken is not None
        assert (taken.attachments, place.notes) == (({"bridge": LEASE}, ["adopt"]) if found else ({}, []))
        assert (place.executor.journal.under_way(ID) is not None) == found
        taken.close()

    run(scenario)


# ---------------------------------------------------------------- execs


def test_a_command_enters_what_runs(place: Place) -> None:
    async def scenario() -> None:
        started = await place.executor.start(TASK)
        await place.executor.exec(started, ExecCreate(cmd=["true"]), ExecStart(), ())
        assert place.given[-1] == {Fd.TARGET: started.monitor.pidfd}
        started.monitor.close()
        with pytest.raises(Conflict, match="is not running"):
            await place.executor.exec(started, ExecCreate(cmd=["true"]), ExecStart(), ())
        place.executor.finish(ID, started.steps)
        lost = Run(ID, Monitor(), started.steps)
        with pytest.raises(Internal, match=r"cannot read what container .* was started with: no such file"):
            await place.executor.exec(lost, ExecCreate(cmd=["true"]), ExecStart(), ())
        lost.monitor.close()

    run(scenario)
