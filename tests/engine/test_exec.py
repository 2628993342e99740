"""Execs: what is forgotten of them, and when; and commands whose container ends."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.engine.doubles import Lab
from tests.harness.waiting import until
from wherry.engine import exec as execs_module
from wherry.engine.container import Container
from wherry.engine.exec import Execs
from wherry.engine.lifecycle import move
from wherry.engine.record import Phase
from wherry.errors import Conflict, Internal, InvalidArgument, LaunchFailed, NotFound, WherryError
from wherry.messages.exec import ExecCreate, ExecStart
from wherry.runtime.launcher import Attach

REQUEST = ExecCreate(cmd=["true"])


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def run(lab: Lab, scenario: Callable[[Execs, Container], Awaitable[None]]) -> None:
    """With a container that runs."""

    async def with_execs() -> None:
        container = lab.container()
        await lab.lifecycle.start(container)
        containers = SimpleNamespace(get=lab.registry.get)
        await scenario(Execs(containers, lab.executor, lab.events), container)  # type: ignore[arg-type]

    asyncio.run(asyncio.wait_for(with_execs(), 20))


def test_what_was_prepared_goes_with_its_container(lab: Lab) -> None:
    async def scenario(execs: Execs, container: Container) -> None:
        ids = [await execs.create("box", REQUEST) for _ in range(2)]
        other = lab.container("other")
        await lab.lifecycle.start(other)
        stays = await execs.create("other", REQUEST)
        await lab.lifecycle.remove(container, force=True)
        await asyncio.sleep(0)
        for id in ids:
            with pytest.raises(NotFound):
                execs.inspect(id)
        assert list(execs._watched) == [other.id]
        assert execs.inspect(stays).container is other

    run(lab, scenario)


def test_what_was_prepared_goes_when_its_container_ends(lab: Lab) -> None:
    """What has run can be asked about as long as the container is there. dockerd 28.5 does so."""

    async def scenario(execs: Execs, container: Container) -> None:
        ran, prepared = [await execs.create("box", REQUEST) for _ in range(2)]
        await execs.start(ran, ExecStart(detach=True))
        assert lab.executor.last is not None
        lab.executor.last.end(4)
        for _ in range(3):
            await lab.lifecycle.restart(container, 5, None)
            await asyncio.sleep(0)
            with pytest.raises(NotFound):
                await execs.start(prepared, ExecStart(detach=True))
            assert (await execs.settled(ran)).exit_code == 4
            prepared = await execs.create("box", REQUEST)
        await lab.lifecycle.remove(container, force=True)
        await asyncio.sleep(0)
        assert execs._by_id == {} and execs._watched == {}

    run(lab, scenario)


def test_a_container_that_cannot_be_removed_keeps_its_execs(lab: Lab) -> None:
    async def scenario(execs: Execs, container: Container) -> None:
        ran = await execs.create("box", REQUEST)
        await execs.start(ran, ExecStart(detach=True))
        lab.executor.stuck = "a mount that is busy"
        with pytest.raises(Internal):
            await lab.lifecycle.remove(container, force=True)
        await asyncio.sleep(0)
        assert execs.inspect(ran).started
        lab.executor.stuck = ""
        await lab.lifecycle.remove(container, force=True)
        await asyncio.sleep(0)
        assert execs._by_id == {}

    run(lab, scenario)


def test_execs_are_waited_for_once_a_run(lab: Lab) -> None:
    async def scenario(execs: Execs, container: Container) -> None:
        for _ in range(50):
            await execs.create("box", REQUEST)
        assert len(container.waiters) == 2

    run(lab, scenario)


def test_how_it_ended_is_known_before_the_engine_has_noted_it(lab: Lab) -> None:
    """The monitor tells the client and the engine; who asks at once may come before the engine's own task."""

    async def scenario(execs: Execs, container: Container) -> None:
        id = await execs.create("box", REQUEST)
        await execs.start(id, ExecStart(detach=True))
        assert lab.executor.last is not None
        lab.executor.last.end(4)
        seen = await execs.settled(id)
        assert (seen.running, seen.exit_code) == (False, 4)
        assert await until(lambda: not execs._tasks)

    run(lab, scenario)


def test_what_has_ended_is_forgotten_after_a_while(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execs_module, "KEPT_AFTER_EXIT", 0.05)

    async def scenario(execs: Execs, container: Container) -> None:
        good, bad = [await execs.create("box", REQUEST) for _ in range(2)]
        await execs.start(good, ExecStart(detach=True))
        assert lab.executor.last is not None
        lab.executor.last.end(4)
        lab.executor.fails = LaunchFailed("no such command", exit_code=127)
        with pytest.raises(LaunchFailed):
            await execs.start(bad, ExecStart(detach=True))
        await asyncio.sleep(0)
        seen = [await execs.settled(id) for id in (good, bad)]
        assert [(e.running, e.exit_code) for e in seen] == [(False, 4), (False, 127)]
        assert await until(lambda: not execs._by_id)
        with pytest.raises(NotFound):
            execs.inspect(good)

    run(lab, scenario)


def test_an_exec_is_started_once(lab: Lab) -> None:
    async def scenario(execs: Execs, container: Container) -> None:
        id = await execs.create("box", REQUEST)
        starts = (execs.start(id, ExecStart(detach=True)) for _ in range(2))
        results = await asyncio.gather(*starts, return_exceptions=True)
        assert [type(result) for result in results] == [type(None), Conflict]

    run(lab, scenario)


def test_a_container_that_ends_while_a_command_enters_it(lab: Lab) -> None:
    """The client hears of that when it is so for everybody."""

    async def scenario(execs: Execs, container: Container) -> None:
        id = await execs.create("box", REQUEST)
        lab.executor.fails = LaunchFailed("no such process")
        assert container.run is not None
        container.run.monitor.close()  # its process is no more, and nobody has noted that yet
        start = asyncio.create_task(execs.start(id, ExecStart(detach=True)))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not start.done()
        await lab.lifecycle.kill(container, 9)
        with pytest.raises(Conflict, match="is not running"):
            await start
        assert not container.running

    run(lab, scenario)


def test_a_container_that_does_not_come_to_its_end(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execs_module, "ENDING_SECONDS", 0.05)

    async def scenario(execs: Execs, container: Container) -> None:
        id = await execs.create("box", REQUEST)
        lab.executor.fails = LaunchFailed("no such process")
        assert container.run is not None
        container.run.monitor.close()
        with pytest.raises(Conflict, match="is not running"):
            await execs.start(id, ExecStart(detach=True))

    run(lab, scenario)


# ---------------------------------------------------------------- what is asked


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (ExecCreate(), "No exec command specified"),
        (ExecCreate(cmd=[]), "No exec command specified"),
        (ExecCreate(cmd=["true"], detach_keys="ctrl-?"), "ctrl-?"),
        (ExecCreate(cmd=["a\0b"]), "NUL"),
        (ExecCreate(cmd=["true"], user="-1"), "range"),
        (ExecCreate(cmd=["true"], user="a\n"), "invalid user"),
        (ExecCreate(cmd=["true"], working_dir="rel"), "invalid WorkingDir: 'rel' is not an absolute path"),
        (ExecCreate(cmd=["x" * 140_000]), "invalid Cmd"),
        (ExecCreate(cmd=["true"], env=["x" * 140_000]), "invalid Env"),
        (ExecCreate(cmd=["x" * 1000] * 7000), "argument list too long"),
    ],
)
def test_what_is_not_prepared(lab: Lab, request_: ExecCreate, error: str) -> None:
    async def scenario(execs: Execs, container: Container) -> None:
        with pytest.raises(InvalidArgument, match=re.escape(error)):
            await execs.create("box", request_)
        assert execs._by_id == {}

    run(lab, scenario)


def test_nothing_enters_what_does_not_run(lab: Lab) -> None:
    async def scenario(execs: Execs, container: Container) -> None:
        id = await execs.create("box", REQUEST)
        move(container, Phase.PAUSED)
        with pytest.raises(Conflict, match="is paused, unpause the container before exec"):
            await execs.create("box", REQUEST)
        with pytest.raises(Conflict, match="is paused"):
            execs.check_start(id)
        await lab.lifecycle.stop(container, 5, None)
        with pytest.raises(Conflict, match="is not running"):
            await execs.create("box", REQUEST)
        with pytest.raises(NotFound):
            execs.check_start(id)
        with pytest.raises(NotFound, match="No such exec instance: none"):
            execs.check_start("none")

    run(lab, scenario)


def test_what_is_told_of_a_command(lab: Lab) -> None:
    async def scenario(execs: Execs, container: Container) -> None:
        events = lab.events.subscribe()
        id = await execs.create("box", ExecCreate(cmd=["sh", "-c", "exit 4"]))
        await execs.start(id, ExecStart(detach=True))
        assert lab.executor.last is not None
        lab.executor.last.end(4)
        assert await until(lambda: not execs.inspect(id).running)
        events.close()
        said = [(e.action, e.actor.attributes) async for batch in events for e in batch]
        assert [action for action, _ in said] == [
            "exec_create: sh -c exit 4", "exec_start: sh -c exit 4", "exec_die",
        ]  # fmt: skip
        assert {attributes["execID"] for _, attributes in said} == {id}
        assert said[-1][1]["exitCode"] == "4"

    run(lab, scenario)


def test_how_a_command_stands(lab: Lab) -> None:
    async def scenario(execs: Execs, container: Container) -> None:
        id = await execs.create("box", REQUEST)
        prepared = await execs.settled(id)
        assert (prepared.pid, prepared.running, prepared.started, prepared.exit_code) == (
            0,
            False,
            False,
            None,
        )
        assert execs.of_container(container.id) == []
        with pytest.raises(Conflict, match=f"exec {id} is not running"):
            await execs.resize(id, 24, 80)
        await execs.start(id, ExecStart(detach=True))
        runs = await execs.settled(id)
        assert (runs.pid, runs.running, runs.exit_code) == (os.getpid(), True, None)
        assert (execs.of_container(container.id), execs.of_container("other")) == ([id], [])
        await execs.resize(id, 24, 80)
        assert lab.executor.last is not None and lab.executor.last.size == (24, 80)
        lab.executor.last.end(0)
        assert await until(lambda: not execs.of_container(container.id))
        with pytest.raises(Conflict, match="is not running"):
            await execs.resize(id, 24, 80)

    run(lab, scenario)


# ---------------------------------------------------------------- the client's stream


@pytest.mark.parametrize("framed", [True, False])
def test_a_client_gets_the_streams_that_it_asked_for(lab: Lab, framed: bool) -> None:
    async def scenario(execs: Execs, container: Container) -> None:
        theirs, ours = os.pipe()
        request = ExecCreate(cmd=["cat"], attach_stdin=True, attach_stderr=True, detach_keys="ctrl-a")
        id = await execs.create("box", request)
        await execs.start(id, ExecStart(), ours, framed=framed, leftover=b"typed")
        keys = b"" if framed else b"\x01"
        assert lab.executor.wanted == [Attach(1, ours, True, False, True, framed, keys, b"typed")]
        assert os.read(theirs, 1) == b""  # the daemon has let go of it
        os.close(theirs)

    run(lab, scenario)


@pytest.mark.parametrize("framed", [True, False])
@pytest.mark.parametrize(
    ("error", "code"),
    [(LaunchFailed("no such command", exit_code=127), 127), (Conflict("no such command"), 126)],
)
def test_a_client_hears_in_its_stream_of_what_cannot_be_run(
    lab: Lab, framed: bool, error: WherryError, code: int
) -> None:
    """Its answer was given already."""

    async def scenario(execs: Execs, container: Container) -> None:
        theirs, ours = os.pipe()
        id = await execs.create("box", REQUEST)
        lab.executor.fails = error
        await execs.start(id, ExecStart(), ours, framed=framed)
        text = b"no such command\r\n"
        assert os.read(theirs, 100) == (b"\x01\0\0\0\0\0\0\x11" + text if framed else text)
        assert os.read(theirs, 1) == b""
        seen = await execs.settled(id)
        assert (seen.exit_code, seen.running) == (code, False)
        os.close(theirs)

    run(lab, scenario)


def test_a_client_that_has_gone_does_not_matter(lab: Lab) -> None:
    async def scenario(execs: Execs, container: Container) -> None:
        theirs, ours = os.pipe()
        os.close(theirs)
        id = await execs.create("box", REQUEST)
        lab.executor.fails = LaunchFailed("no such command", exit_code=127)
        await execs.start(id, ExecStart(), ours)
        assert (await execs.settled(id)).exit_code == 127

    run(lab, scenario)


def test_a_command_that_fails_in_a_container_that_runs_on_has_failed(lab: Lab) -> None:
    async def scenario(execs: Execs, container: Container) -> None:
        id = await execs.create("box", REQUEST)
        lab.executor.fails = LaunchFailed("no such file", exit_code=127)
        with pytest.raises(LaunchFailed, match="no such file"):
            await execs.start(id, ExecStart(detach=True))

    run(lab, scenario)


def test_who_looks_while_it_is_being_started_waits(lab: Lab) -> None:
    async def scenario(execs: Execs, container: Container) -> None:
        id = await execs.create("box", REQUEST)
        start = asyncio.create_task(execs.start(id, ExecStart(detach=True)))
        await asyncio.sleep(0)
        assert (await execs.settled(id)).running
        await start

    run(lab, scenario)
