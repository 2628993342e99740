"""The event bus: shape, history, filters, and subscribers that do not keep up."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine
from typing import Any

import msgspec
import pytest

from wherry.engine.events import BACKLOG, BACKLOG_BYTES, HISTORY_BYTES, EventBus, EventQuery, weight
from wherry.engine.filters import Filters, parse_filters
from wherry.engine.record import ContainerRecord
from wherry.messages.container import Config, HostConfig
from wherry.messages.event import Event


def record(**config: Any) -> ContainerRecord:
    return ContainerRecord(
        id="c" * 64,
        name="web",
        created="2026-11-24T14:58:50.695158424Z",
        path="true",
        args=[],
        config=Config(image="busybox", **config),
        host_config=HostConfig(),
        image="sha256:" + "1" * 64,
    )


async def collect(bus: EventBus, query: EventQuery) -> list[Event]:
    """Everything until the subscription ends; the query must have an ``until``."""
    return [event async for batch in bus.subscribe(query) for event in batch]


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 10))


def test_a_container_event_has_dockers_shape() -> None:
    event = EventBus().container("die", record(labels={"app": "x"}), {"exitCode": "3"})
    shape = json.loads(msgspec.json.encode(event))
    assert shape == {
        "status": "die",
        "id": "c" * 64,
        "from": "busybox",
        "Type": "container",
        "Action": "die",
        "Actor": {
            "ID": "c" * 64,
            "Attributes": {"app": "x", "image": "busybox", "name": "web", "exitCode": "3"},
        },
        "scope": "local",
        "time": shape["timeNano"] // 10**9,
        "timeNano": shape["timeNano"],
    }


def test_only_containers_and_images_have_the_old_fields() -> None:
    bus = EventBus()
    network = json.loads(msgspec.json.encode(bus.publish("network", "connect", "n", {"name": "bridge"})))
    image = json.loads(msgspec.json.encode(bus.image("tag", "sha256:1", "busybox:1")))
    assert not {"status", "id", "from"} & network.keys()
    assert (image["status"], image["id"]) == ("tag", "sha256:1")
    assert "from" not in image


def test_the_past_comes_only_to_those_who_ask_for_it() -> None:
    async def scenario() -> None:
        bus = EventBus()
        first = bus.publish("network", "create", "a", {})
        second = bus.publish("network", "create", "b", {})
        assert first.time_nano < second.time_nano
        soon = time.time_ns() + 50_000_000
        assert [e.actor.id for e in await collect(bus, EventQuery(since=second.time_nano, until=soon))] == [
            "b"
        ]
        assert [e.actor.id for e in await collect(bus, EventQuery(until=second.time_nano))] == ["a", "b"]
        live = bus.subscribe()
        bus.publish("network", "create", "c", {})
        live.close()
        assert [e.actor.id async for batch in live for e in batch] == ["c"]

    run(scenario())


def test_history_is_bounded() -> None:
    async def scenario() -> None:
        bus = EventBus(history=10)
        for number in range(25):
            bus.publish("network", "create", str(number), {})
        past = await collect(bus, EventQuery(since=1, until=time.time_ns()))
        assert [e.actor.id for e in past] == [str(n) for n in range(15, 25)]

    run(scenario())


def test_history_is_bounded_in_bytes() -> None:
    """A command may have megabytes of arguments; whoever listens hears all of them."""

    async def scenario() -> None:
        bus = EventBus()
        live = bus.subscribe()
        for number in range(20):
            bus.publish("container", f"exec_create: {'x' * (HISTORY_BYTES // 4)}", str(number), {})
            bus.publish("network", "create", str(number), {"name": "y" * (HISTORY_BYTES // 8)})
        assert sum(map(weight, bus._history)) <= HISTORY_BYTES
        assert [e.actor.id for e in bus._history] == ["17", "18", "18", "19", "19"]
        bus.publish("container", "exec_create: " + "x" * HISTORY_BYTES, "large", {})
        assert not list(bus._history)
        live.close()
        assert len([e async for batch in live for e in batch]) == 41

    run(scenario())


def test_a_subscriber_that_lags_by_many_bytes_is_dropped() -> None:
    async def scenario() -> None:
        bus = EventBus()
        slow = bus.subscribe()
        bus.publish("container", "x" * (2 * BACKLOG_BYTES), "alone", {})
        for number in range(10):
            bus.publish("container", "x" * (BACKLOG_BYTES // 4), str(number), {})
        assert [e.actor.id async for batch in slow for e in batch] == ["alone"]
        assert not bus._subscribers

    run(scenario())


def test_names_of_labels_weigh_as_much_as_what_they_say() -> None:
    async def scenario() -> None:
        bus = EventBus()
        slow = bus.subscribe()
        most = BACKLOG_BYTES // HISTORY_BYTES
        for number in range(most + 1):
            bus.publish("container", "start", str(number), {str(number) + "n" * (HISTORY_BYTES - 100): ""})
        assert [e.actor.id for e in bus._history] == [str(most)]
        assert not bus._subscribers
        assert len([e async for batch in slow for e in batch]) == most

    run(scenario())


def test_a_subscriber_gets_what_happens_while_it_waits_and_ends_at_until() -> None:
    async def scenario() -> None:
        bus = EventBus()
        asyncio.get_running_loop().call_later(0.02, bus.publish, "network", "create", "late", {})
        started = time.monotonic()
        events = await collect(bus, EventQuery(until=time.time_ns() + 100_000_000))
        assert [e.actor.id for e in events] == ["late"]
        assert 0.08 < time.monotonic() - started < 1
        assert not bus._subscribers

    run(scenario())


def test_a_subscriber_that_lags_is_dropped_and_others_are_not() -> None:
    async def scenario() -> None:
        bus = EventBus()
        slow, other = bus.subscribe(), bus.subscribe(EventQuery(filters=Filters({"type": ("volume",)})))
        for number in range(BACKLOG + 10):
            bus.publish("network", "create", str(number), {})
        bus.publish("volume", "create", "v", {})
        received = [e async for batch in slow for e in batch]
        assert len(received) == BACKLOG
        async for batch in other:
            assert [e.actor.id for e in batch] == ["v"]
            break

    run(scenario())


FILTERED = [
    ('{"type": ["container"]}', ["start", "exec_start: ls -l", "die"]),
    ('{"event": {"start": true}}', ["start"]),
    ('{"event": ["exec_start"]}', ["exec_start: ls -l"]),
    ('{"event": ["start", "die"]}', ["start", "die"]),
    ('{"container": ["web"]}', ["start", "exec_start: ls -l", "die"]),
    ('{"container": ["cccccc"]}', ["start", "exec_start: ls -l", "die"]),
    ('{"container": ["db"]}', []),
    ('{"image": ["busybox"]}', ["start", "exec_start: ls -l", "die", "tag"]),
    ('{"image": ["busybox:1"]}', ["tag"]),
    ('{"label": ["app=x"]}', ["start", "exec_start: ls -l", "die"]),
    ('{"label": ["app=y"]}', []),
    ('{"network": ["bridge"]}', ["connect"]),
    ('{"scope": ["swarm"]}', []),
    ('{"type": ["network", "image"]}', ["tag", "connect"]),
]


@pytest.mark.parametrize(("text", "actions"), FILTERED)
def test_filters(text: str, actions: list[str]) -> None:
    async def scenario() -> None:
        bus = EventBus()
        container = record(labels={"app": "x"})
        for action in ("start", "exec_start: ls -l", "die"):
            bus.container(action, container)
        bus.image("tag", "sha256:1", "busybox:1")
        bus.publish("network", "connect", "n1", {"name": "bridge", "container": container.id})
        query = EventQuery(since=1, until=time.time_ns(), filters=parse_filters(text))
        assert [e.action for e in await collect(bus, query)] == actions

    run(scenario())


def test_an_unknown_filter_changes_nothing() -> None:
    event = EventBus().container("die", record())
    assert EventQuery(filters=parse_filters('{"colour": ["red"]}')).wants(event)


@pytest.mark.parametrize("noun", ["config", "node", "secret", "service"])
def test_a_filter_for_what_swarms_have_lets_nothing_else_through(noun: str) -> None:
    event = EventBus().container("die", record())
    assert not EventQuery(filters=parse_filters(json.dumps({noun: ["x"]}))).wants(event)


def test_bounds_count_as_inside() -> None:
    event = EventBus().container("die", record())
    at = event.time_nano
    for query, wanted in (
        (EventQuery(), True),
        (EventQuery(since=at, until=at), True),
        (EventQuery(since=at + 1), False),
        (EventQuery(until=at - 1), False),
    ):
        assert query.wants(event) is wanted
