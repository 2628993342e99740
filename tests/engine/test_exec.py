"""Execs: what is forgotten of them, and when; and commands whose container ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.engine.doubles import Lab
from wherry.engine import exec as execs_module
from wherry.engine.container import Container
from wherry.engine.exec import Execs
from wherry.errors import Conflict, LaunchFailed, NotFound
from wherry.messages.exec import ExecCreate, ExecStart

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
        assert execs.inspect(stays).container is other

    run(lab, scenario)


def test_what_was_prepared_stays_over_an_end_and_a_restart(lab: Lab) -> None:
    async def scenario(execs: Execs, container: Container) -> None:
        id = await execs.create("box", REQUEST)
        await lab.lifecycle.stop(container, 5, None)
        with pytest.raises(Conflict):
            await execs.start(id, ExecStart(detach=True))
        await lab.lifecycle.start(container)
        await execs.start(id, ExecStart(detach=True))
        assert execs.of_container(container.id) == [id]

    run(lab, scenario)


def test_how_it_ended_is_known_when_its_container_is_gone(lab: Lab) -> None:
    """A client asks for the exit code when the stream has ended, and "rm" may have come in between."""

    async def scenario(execs: Execs, container: Container) -> None:
        id = await execs.create("box", REQUEST)
        await execs.start(id, ExecStart(detach=True))
        assert lab.executor.last is not None
        lab.executor.last.end(4)
        await lab.lifecycle.remove(container, force=True)
        await asyncio.sleep(0)
        assert (await execs.settled(id)).exit_code == 4

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
        while execs._by_id:
            await asyncio.sleep(0.01)
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
        container.run.close()  # its process is no more, and nobody has noted that yet
        start = asyncio.create_task(execs.start(id, ExecStart(detach=True)))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not start.done()
        await lab.lifecycle.kill(container, 9)
        with pytest.raises(Conflict, match="is not running"):
            await start
        assert not container.running

    run(lab, scenario)
