"""Answers that last: each byte is sent when it is there, and a client that goes takes its work with it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.api.client import Api, Wire
from tests.api.conftest import Served
from tests.harness.daemon import Daemon
from tests.harness.waiting import eventually


def descriptors(daemon: Daemon) -> list[str]:
    """What the daemon holds open."""
    folder = Path(f"/proc/{daemon.pid}/fd")
    found = []
    for entry in folder.iterdir():
        with suppress(OSError):
            found.append(str(entry.readlink()))
    return found


def watches(daemon: Daemon) -> int:
    """Logs that are followed."""
    return descriptors(daemon).count("anon_inode:inotify")


def being_written(daemon: Daemon) -> int:
    """Files of content on its way in."""
    roots = (f"{daemon.data_root}/blobs", f"{daemon.data_root}/layers")
    return sum(path.startswith(roots) for path in descriptors(daemon))


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
    id = api.create("sh", "-c", "exit 7")
    if condition == "not-running":
        id = api.create("sleep", "1000")
        api.post(f"/containers/{id}/start")
    with api.wire() as wire:
        headers = begin(wire, "POST", f"/containers/{id}/wait?condition={condition}")
        assert headers["content-type"] == "application/json"
        api.post(f"/containers/{id}/start")
        if condition == "not-running":
            api.post(f"/containers/{id}/kill")
        assert json.loads(wire.read_chunk()) == {"StatusCode": 7 if condition == "next-exit" else 137}
        assert wire.read_chunk() == b""


def test_wait_for_removal(api: Api) -> None:
    id = api.create("sh", "-c", "exit 3", HostConfig={"AutoRemove": True})
    with api.wire() as wire:
        begin(wire, "POST", f"/containers/{id}/wait?condition=removed")
        api.post(f"/containers/{id}/start")
        assert json.loads(wire.read_chunk()) == {"StatusCode": 3}
        assert api.get(f"/containers/{id}/json").status == 404


def test_wait_for_what_is_over(api: Api) -> None:
    id = api.create("sleep", "1000")
    assert api.post(f"/containers/{id}/wait").json == {"StatusCode": 0}
    reply = api.post(f"/containers/{id}/wait?condition=someday")
    assert (reply.status, reply.message) == (400, 'invalid condition: "someday"')
    assert api.post("/containers/nobody/wait").status == 404


def test_a_waiter_that_goes_is_forgotten(fresh_daemon: Callable[..., Daemon]) -> None:
    """A daemon that ends when nobody needs it does so, though somebody has waited for what never came."""
    daemon = fresh_daemon("--idle-exit", "500ms")
    api = Api(daemon.socket)
    with api.wire() as wire:
        id = api.create("sleep", "1000")
        begin(wire, "POST", f"/containers/{id}/wait?condition=next-exit")
        time.sleep(1.5)
        assert daemon.running  # somebody waits
    assert daemon.process.wait(timeout=30) == 0


# ---------------------------------------------------------------- events


def test_events_come_as_they_happen(api: Api) -> None:
    with api.wire() as wire:
        begin(wire, "GET", '/events?filters={"type":["container"]}')
        id = api.create("sleep", "1000", name="seen", Labels={"app": "x"})
        event = json.loads(wire.read_chunk())
        assert (event["Type"], event["Action"], event["id"]) == ("container", "create", id)
        assert event["Actor"]["Attributes"] == {"app": "x", "image": "busybox", "name": "seen"}


def test_events_of_the_past_end_at_until(api: Api) -> None:
    since = time.time()
    id = api.create("sleep", "1000", name="past")
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


def test_an_event_filter_that_is_none_changes_nothing(api: Api) -> None:
    id = api.create("true")
    events = [
        json.loads(line)["Actor"]["ID"]
        for line in api.get(
            "/events",
            since="1",
            until=f"{time.time():.9f}",
            filters={"colour": {"red": True}, "event": ["create"]},
        ).body.splitlines()
    ]
    assert id in events


@pytest.mark.parametrize("leave", ["close", "half"])
def test_a_listener_that_goes_is_forgotten(served: Served, leave: str) -> None:
    api, before = Api(served.path), served.events.listeners
    wires = [api.wire() for _ in range(20)]
    for wire in wires:
        begin(wire, "GET", "/events")
    assert served.events.listeners == before + 20
    for wire in wires:
        wire.sock.close() if leave == "close" else wire.half_close()
    assert eventually(lambda: served.events.listeners == before)
    for wire in wires:
        wire.sock.close()


def test_a_listener_that_does_not_read_holds_nobody_up(served: Served) -> None:
    """Its events pile up to a bound, then it is dropped; everybody else goes on."""
    api, events = Api(served.path), served.events
    before = events.listeners

    def flood() -> None:
        for number in range(3000):
            events.publish("network", "create", f"{number}", {"name": "x" * 200})

    with api.wire() as slow:
        begin(slow, "GET", "/events")
        for _ in range(4):
            served.soon(flood)
            started = time.monotonic()
            assert api.get("/_ping").status == 200
            assert time.monotonic() - started < 1
        assert eventually(lambda: events.listeners == before)


# ---------------------------------------------------------------- logs


def test_logs_need_a_stream(api: Api) -> None:
    id = api.create("sleep", "1000")
    reply = api.get(f"/containers/{id}/logs")
    assert (reply.status, reply.message) == (400, "Bad parameters: you must choose at least one stream")
    assert api.get("/containers/nobody/logs?stdout=1").status == 404


def test_following_logs_sends_the_head_at_once_and_ends_with_the_client(api: Api, daemon: Daemon) -> None:
    id = api.create("sleep", "1000")
    api.post(f"/containers/{id}/start")
    with api.wire() as wire:
        headers = begin(wire, "GET", f"/containers/{id}/logs?stdout=1&follow=1")
        assert headers["content-type"] == "application/vnd.docker.multiplexed-stream"
        assert eventually(lambda: watches(daemon) == 1)
    assert eventually(lambda: watches(daemon) == 0)


# ---------------------------------------------------------------- uploads


def test_an_upload_that_breaks_off_is_no_image(api: Api, daemon: Daemon, busybox_tar: bytes) -> None:
    before = api.get("/images/json", all="1").json
    with api.wire() as wire:
        wire.send(
            b"POST /images/create?fromSrc=-&repo=broken HTTP/1.1\r\nHost:\r\nContent-Length: 9999999\r\n\r\n"
        )
        wire.send(busybox_tar[:200_000])
        assert eventually(lambda: being_written(daemon) > 0)
    assert eventually(lambda: being_written(daemon) == 0)
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
