"""Answers that last: each byte is sent when it is there, and a client that goes takes its work with it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.api.client import Api, Wire
from tests.api.conftest import Served


def eventually(true: Callable[[], Any], seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(true())


def begin(wire: Wire, method: str, path: str) -> dict[str, str]:
    """Send a request whose answer is chunked; its headers."""
    wire.request(method, path)
    status, headers = wire.read_head()
    assert (status, headers["transfer-encoding"]) == (200, "chunked")
    return headers


# ---------------------------------------------------------------- wait


@pytest.mark.parametrize("condition", ["next-exit", "not-running"])
def test_wait_sends_its_head_before_it_waits(api: Api, condition: str) -> None:
    """``docker run`` waits for the head of wait, and only then starts the container."""
    id = api.create("exit", "7")
    if condition == "not-running":
        id = api.create("sleep")
        api.post(f"/containers/{id}/start")
    with api.wire() as wire:
        headers = begin(wire, "POST", f"/containers/{id}/wait?condition={condition}")
        assert headers["content-type"] == "application/json"
        api.post(f"/containers/{id}/start")
        if condition == "not-running":
            api.post(f"/containers/{id}/kill?signal=TERM")
        assert json.loads(wire.read_chunk()) == {"StatusCode": 7 if condition == "next-exit" else 143}
        assert wire.read_chunk() == b""


def test_wait_for_removal(api: Api) -> None:
    id = api.create("exit", "3", HostConfig={"AutoRemove": True})
    with api.wire() as wire:
        begin(wire, "POST", f"/containers/{id}/wait?condition=removed")
        api.post(f"/containers/{id}/start")
        assert json.loads(wire.read_chunk()) == {"StatusCode": 3}
        assert api.get(f"/containers/{id}/json").status == 404


def test_wait_for_what_is_over(api: Api) -> None:
    id = api.create("sleep")
    assert api.post(f"/containers/{id}/wait").json == {"StatusCode": 0}
    reply = api.post(f"/containers/{id}/wait?condition=someday")
    assert (reply.status, reply.message) == (400, 'invalid condition: "someday"')
    assert api.post("/containers/nobody/wait").status == 404


def test_a_waiter_that_goes_is_forgotten(api: Api, served: Served) -> None:
    id = api.create("sleep")
    with api.wire() as wire:
        begin(wire, "POST", f"/containers/{id}/wait?condition=next-exit")
        waiters = served.engine.containers.get(id).waiters
        assert [future.done() for _, future in waiters] == [False]
    assert eventually(waiters[0][1].cancelled)
    assert eventually(lambda: served.runner.activity.open == 0)


# ---------------------------------------------------------------- events


def test_events_come_as_they_happen(api: Api) -> None:
    with api.wire() as wire:
        begin(wire, "GET", '/events?filters={"type":["container"]}')
        id = api.create("sleep", name="seen", Labels={"app": "x"})
        event = json.loads(wire.read_chunk())
        assert (event["Type"], event["Action"], event["id"]) == ("container", "create", id)
        assert event["Actor"]["Attributes"] == {"app": "x", "image": "busybox", "name": "seen"}


def test_events_of_the_past_end_at_until(api: Api) -> None:
    since = time.time()
    id = api.create("sleep", name="past")
    api.post(f"/containers/{id}/rename?name=later")
    reply = api.get("/events", since=f"{since:.9f}", until=f"{time.time():.9f}", filters={"container": [id]})
    lines = reply.body.splitlines()
    assert [json.loads(line)["Action"] for line in lines] == ["create", "rename"]
    assert json.loads(lines[1])["Actor"]["Attributes"]["oldName"] == "/past"


def test_events_wait_for_until(api: Api) -> None:
    started = time.monotonic()
    reply = api.get("/events", until=f"{time.time() + 0.2:.3f}", filters={"type": ["volume"]})
    assert (reply.status, reply.body) == (200, b"")
    assert 0.1 < time.monotonic() - started < 2


def test_an_event_filter_that_is_none(api: Api) -> None:
    reply = api.get("/events", filters={"colour": {"red": True}})
    assert (reply.status, reply.message) == (400, "invalid filter 'colour'")


@pytest.mark.parametrize("leave", ["close", "half"])
def test_a_listener_that_goes_is_forgotten(api: Api, served: Served, leave: str) -> None:
    before = served.engine.events.listeners
    wires = [api.wire() for _ in range(20)]
    for wire in wires:
        begin(wire, "GET", "/events")
    assert served.engine.events.listeners == before + 20
    for wire in wires:
        wire.sock.close() if leave == "close" else wire.half_close()
    assert eventually(lambda: served.engine.events.listeners == before)
    for wire in wires:
        wire.sock.close()


def test_a_listener_that_does_not_read_holds_nobody_up(api: Api, served: Served) -> None:
    """Its events pile up to a bound, then it is dropped; everybody else goes on."""
    events = served.engine.events
    before = events.listeners

    def flood() -> None:
        for number in range(3000):
            events.publish("network", "create", f"{number}", {"name": "x" * 200})

    with api.wire() as slow:
        begin(slow, "GET", "/events")
        for _ in range(4):
            served._loop.call_soon_threadsafe(flood)
            started = time.monotonic()
            assert api.get("/_ping").status == 200
            assert time.monotonic() - started < 1
        assert eventually(lambda: events.listeners == before)


# ---------------------------------------------------------------- logs


def test_logs_need_a_stream(api: Api) -> None:
    id = api.create("sleep")
    reply = api.get(f"/containers/{id}/logs")
    assert (reply.status, reply.message) == (400, "Bad parameters: you must choose at least one stream")
    assert api.get("/containers/nobody/logs?stdout=1").status == 404


def test_following_logs_sends_the_head_at_once_and_ends_with_the_client(api: Api, served: Served) -> None:
    id = api.create("sleep")
    api.post(f"/containers/{id}/start")
    with api.wire() as wire:
        headers = begin(wire, "GET", f"/containers/{id}/logs?stdout=1&follow=1")
        assert headers["content-type"] == "application/vnd.docker.multiplexed-stream"
        assert served.runner.activity.open == 1
    assert eventually(lambda: served.runner.activity.open == 0)


# ---------------------------------------------------------------- uploads


def test_an_upload_that_breaks_off_is_no_image(api: Api, served: Served, busybox_tar: bytes) -> None:
    before = api.get("/images/json", all="1").json
    with api.wire() as wire:
        wire.send(
            b"POST /images/create?fromSrc=-&repo=broken HTTP/1.1\r\nHost:\r\nContent-Length: 9999999\r\n\r\n"
        )
        wire.send(busybox_tar[:200_000])
    assert eventually(lambda: served.runner.activity.open == 0)
    assert api.get("/images/json", all="1").json == before


def test_other_requests_go_on_during_an_upload(api: Api, busybox_tar: bytes) -> None:
    with api.wire() as wire:
        line = "POST /images/create?fromSrc=-&repo=slow HTTP/1.1\r\nHost:\r\n"
        wire.send(f"{line}Content-Length: {len(busybox_tar)}\r\n\r\n".encode() + busybox_tar[:1000])
        assert api.get("/_ping").status == 200
        wire.send(busybox_tar[1000:])
        status, headers = wire.read_head()
        assert status == 200
        assert json.loads(wire.read_body(headers))["status"].startswith("sha256:")
    api.delete("/images/slow")
