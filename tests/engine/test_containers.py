"""What the API asks of containers, before lives and streams have their say."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.engine.doubles import Lab
from wherry.engine.containers import Containers, ListQuery
from wherry.engine.journal import Launched
from wherry.engine.record import ContainerState, Phase
from wherry.engine.streams import AttachRequest
from wherry.errors import Conflict, InvalidArgument, NotFound
from wherry.messages.container import ContainerCreate
from wherry.runtime.oci_spec import Spec
from wherry.runtime.steps import Hostname, Plan


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def containers_of(lab: Lab) -> Containers:
    """What no test here asks for is not there."""
    absent: Any = None
    images: Any = SimpleNamespace(record=lab.store.images.get, released=lab.released.append)
    executor: Any = lab.executor
    return Containers(
        lab.config, lab.store, images, absent, lab.registry, absent, absent, executor, lab.events
    )


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_who_attaches_to_what_is_gone_is_let_go(lab: Lab) -> None:
    async def scenario() -> None:
        theirs, ours = os.pipe()
        with pytest.raises(NotFound, match="No such container: gone"):
            await containers_of(lab).attach("gone", AttachRequest(), ours)
        assert os.read(theirs, 1) == b""
        os.close(theirs)

    run(scenario)


def test_without_an_image_nothing_is_made(lab: Lab) -> None:
    async def scenario() -> None:
        with pytest.raises(InvalidArgument, match="config cannot be empty"):
            await containers_of(lab).create(ContainerCreate(), name=None, platform=None)

    run(scenario)


def test_what_a_call_leaves_open(lab: Lab) -> None:
    """A removal does not kill, a signal that is not named is SIGKILL, a wait is for the end."""

    async def scenario() -> None:
        containers, container = containers_of(lab), lab.container()
        with pytest.raises(
            Conflict, match=f"cannot kill container: box: container {container.id} is not running"
        ):
            await containers.kill("box")
        await containers.start("box")
        with pytest.raises(Conflict, match="container is running"):
            await containers.remove("box")
        waiter = containers.waiter("box", "")
        with pytest.raises(InvalidArgument):
            await containers.kill("box", "SIGNONE")
        await containers.kill("box", "")
        assert (await waiter).status_code == 137
        await containers.start("box")
        await containers.remove("box", force=True)
        assert container.phase is Phase.GONE

    run(scenario)


def test_a_name_changes_in_store_and_registry(lab: Lab) -> None:
    async def scenario() -> None:
        containers, container, events = containers_of(lab), lab.container(), lab.events.subscribe()
        for same in ("box", "/box"):
            with pytest.raises(InvalidArgument, match="same name"):
                await containers.rename("box", same)
        await containers.rename("box", "/chest")
        assert containers.get("chest") is container
        assert [record.name for record, _ in lab.store.containers.all()] == ["chest"]
        events.close()
        (said,) = [event async for batch in events for event in batch]
        assert (said.action, said.actor.attributes["oldName"], said.actor.attributes["name"]) == (
            "rename", "/box", "chest",
        )  # fmt: skip

    run(scenario)


def test_a_name_that_has_changed_hands_is_not_found(lab: Lab) -> None:
    async def scenario() -> None:
        containers, container = containers_of(lab), lab.container()
        async with container.lock:
            second = asyncio.create_task(containers.rename("box", "third"))
            await asyncio.sleep(0)
            lab.registry.forget(container)
            lab.store.containers.delete(container.id)
            lab.container("box")
        with pytest.raises(NotFound, match="No such container: box"):
            await second
        assert containers.get("box") is not container

    run(scenario)


def test_the_plan_of_what_runs_is_the_one_that_it_was_started_with(lab: Lab) -> None:
    container = lab.container()
    started, today = (Launched(Plan((Hostname(name),)), Spec()) for name in ("started", "today"))
    kept: dict[str, Launched] = {container.id: started}
    lab.executor.journal = SimpleNamespace(under_way=kept.get)  # type: ignore[attr-defined]
    lab.executor.plan = lambda task: today  # type: ignore[attr-defined]
    containers = containers_of(lab)
    assert containers.plan("box").plan is started.plan
    assert containers.plan("box", anew=True).plan is today.plan
    kept[container.id] = Launched(started.plan)  # it came to no plan
    assert containers.plan("box").plan is today.plan
    kept.clear()
    assert containers.plan("box").plan is today.plan


def test_a_list_is_of_what_runs_unless_more_is_asked_for(lab: Lab) -> None:
    lab.container("ended", ContainerState(phase=Phase.EXITED))
    lab.container("runs", ContainerState(phase=Phase.RUNNING, pid=1))
    containers = containers_of(lab)
    for query, names in (
        (ListQuery(), {"runs"}),
        (ListQuery(all=True), {"runs", "ended"}),
        (ListQuery(limit=2), {"runs", "ended"}),
    ):
        assert {view.record.name for view in containers.list(query)} == names
