"""What is asked of a container that is still being made, by its name: every verb waits until it is."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from tests.engine.within import within
from tests.harness.daemon import Daemon
from wherry.engine.engine import Engine
from wherry.engine.preparation import carry_out
from wherry.errors import NotFound
from wherry.messages.container import ContainerCreate, HostConfig
from wherry.runtime.launcher import Attach

Verb = Callable[[Engine], Coroutine[Any, Any, None]]


@pytest.fixture(scope="module")
def stopped(busybox_archive: bytes) -> Iterator[Daemon]:
    with Daemon().with_image(busybox_archive) as daemon:
        yield daemon


def making(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> asyncio.Task[Any]:
    """As on a slow disk: all others have a turn after each step."""
    monkeypatch.setattr(carry_out, "SLICE_SECONDS", -1.0)
    request = ContainerCreate(
        image="busybox", cmd=["sleep", "1000"], host_config=HostConfig(network_mode="none")
    )
    return asyncio.create_task(engine.containers.create(request, name="box", platform=None))


async def known(engine: Engine) -> None:
    while not engine.containers._registry.id_of("box"):
        await asyncio.sleep(0)


def names(engine: Engine) -> list[str]:
    return [record.name for record, _ in engine._store.containers.all()]


@pytest.mark.parametrize(
    ("verb", "left"),
    [
        (lambda engine: engine.containers.remove("box", force=True), []),
        (lambda engine: engine.containers.rename("box", "chest"), ["chest"]),
        (lambda engine: engine.containers.start("box"), ["box"]),
        (lambda engine: engine.containers.restart("box"), ["box"]),
    ],
    ids=["remove", "rename", "start", "restart"],
)
def test_a_verb_for_what_is_being_made(
    stopped: Daemon, monkeypatch: pytest.MonkeyPatch, verb: Verb, left: list[str]
) -> None:
    async def work(engine: Engine) -> None:
        create = making(engine, monkeypatch)
        await known(engine)
        await verb(engine)
        await create
        assert names(engine) == left
        for name in left:
            await engine.containers.remove(name, force=True)
        assert names(engine) == []

    within(stopped, work)


def test_whoever_waits_for_what_cannot_be_made_is_told(
    stopped: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(engine: Engine) -> None:
        create = making(engine, monkeypatch)
        await known(engine)
        removal = asyncio.create_task(engine.containers.remove("box", force=True))
        waiter = engine.containers.waiter("box", "removed")
        theirs, ours = os.pipe()
        engine.containers.get("box").keep_attaching(Attach(1, ours))
        await asyncio.sleep(0)
        create.cancel()
        with pytest.raises(asyncio.CancelledError):
            await create
        with pytest.raises(NotFound, match="No such container: box"):
            await removal
        await waiter
        assert os.read(theirs, 1) == b""
        os.close(theirs)
        assert names(engine) == [] and not list(engine.containers._config.data_root.glob("containers/[!.]*"))

    within(stopped, work)
