"""The API in front of the real engine: real containers, whose bytes and states are seen over the wire."""

from __future__ import annotations

import json
import os
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from tests.api.client import Api, Wire
from tests.harness.daemon import Daemon
from tests.harness.waiting import eventually

UPGRADE = "Connection: Upgrade\r\nUpgrade: tcp\r\n"


@pytest.fixture
def api(daemon: Daemon) -> Api:
    return Api(daemon.socket)


def frames(wire: Wire) -> Iterator[tuple[int, bytes]]:
    while header := wire.read(8):
        stream, size = struct.unpack(">BxxxI", header)
        yield stream, wire.read(size)


def hijack(wire: Wire, path: str, body: bytes = b"", extra: bytes = b"") -> dict[str, str]:
    kind = "Content-Type: application/json\r\n" if body else ""
    head = f"POST {path} HTTP/1.1\r\nHost:\r\n{UPGRADE}{kind}Content-Length: {len(body)}\r\n\r\n"
    wire.send(head.encode() + body + extra)
    status, headers = wire.read_head()
    assert status == 101
    return headers


def start(api: Api, *command: str, **config: object) -> str:
    id = api.create(*command, **config)
    reply = api.post(f"/containers/{id}/start")
    assert reply.status == 204, reply.body
    return id


def test_attach_carries_every_byte_both_ways(api: Api) -> None:
    id = api.create("cat", OpenStdin=True, StdinOnce=True, AttachStdin=True)
    sent = os.urandom(2 << 20)
    with api.wire() as wire, api.wire() as waiting:
        hijack(wire, f"/containers/{id}/attach?stream=1&stdin=1&stdout=1&stderr=1", extra=sent[:20_000])
        waiting.request("POST", f"/containers/{id}/wait?condition=next-exit")
        assert waiting.read_head()[0] == 200
        assert api.post(f"/containers/{id}/start").status == 204
        rest = threading.Thread(target=lambda: (wire.send(sent[20_000:]), wire.half_close()))
        rest.start()
        received = b"".join(data for stream, data in frames(wire) if stream == 1)
        rest.join(10)
        assert received == sent
        assert json.loads(waiting.read_chunk()) == {"StatusCode": 0}


def test_output_of_both_streams_is_told_apart(api: Api) -> None:
    id = api.create("sh", "-c", "echo out; echo err >&2; exit 3")
    with api.wire() as wire:
        headers = hijack(wire, f"/v1.51/containers/{id}/attach?stream=1&stdout=1&stderr=1")
        assert headers["content-type"] == "application/vnd.docker.multiplexed-stream"
        api.post(f"/containers/{id}/start")
        assert sorted(frames(wire)) == [(1, b"out\n"), (2, b"err\n")]
    assert api.post(f"/containers/{id}/wait").json == {"StatusCode": 3}
    state = api.get(f"/containers/{id}/json").json["State"]
    assert (state["Status"], state["ExitCode"], state["Pid"]) == ("exited", 3, 0)
    (shown,) = api.get("/containers/json", all="1").json
    assert shown["Status"].startswith("Exited (3) ")


def test_a_terminal_is_raw_and_can_be_resized(api: Api) -> None:
    id = api.create("sh", Tty=True, OpenStdin=True)
    with api.wire() as wire:
        headers = hijack(wire, f"/v1.51/containers/{id}/attach?stream=1&stdin=1&stdout=1")
        assert headers["content-type"] == "application/vnd.docker.raw-stream"
        api.post(f"/containers/{id}/start")
        assert api.post(f"/containers/{id}/resize?h=33&w=101").status == 200
        wire.send(b"stty size; exit 4\n")
        assert b"33 101\r\n" in wire.read_all()
    assert api.post(f"/containers/{id}/wait").json == {"StatusCode": 4}


def test_logs_with_every_option(api: Api) -> None:
    id = start(api, "sh", "-c", "for i in 1 2 3; do echo line $i; echo err $i >&2; done; printf end")
    api.post(f"/containers/{id}/wait")

    def logs(query: str) -> list[tuple[int, bytes]]:
        with api.wire() as wire:
            wire.request("GET", f"/v1.51/containers/{id}/logs?{query}")
            status, headers = wire.read_head()
            assert (status, headers["content-type"]) == (200, "application/vnd.docker.multiplexed-stream")
            data = wire.read_body(headers)
        found = []
        while data:
            stream, size = struct.unpack(">BxxxI", data[:8])
            found.append((stream, data[8 : 8 + size]))
            data = data[8 + size :]
        return found

    assert [d for s, d in logs("stdout=1")] == [b"line 1\n", b"line 2\n", b"line 3\n", b"end"]
    assert [d for s, d in logs("stderr=1")] == [b"err 1\n", b"err 2\n", b"err 3\n"]
    assert len(logs("stdout=1&stderr=1&tail=2")) == 2
    assert logs("stdout=1&tail=0") == []
    assert len(logs("stdout=1&tail=nonsense")) == 4
    (stamped, *_) = logs("stdout=1&timestamps=1")
    assert len(stamped[1].split(b" ")[0]) == len("2026-11-24T14:58:50.695158424Z")
    assert logs(f"stdout=1&since={time.time() + 60:.9f}") == []
    assert logs("stdout=1&until=1") == []


def test_attach_with_logs_sends_what_was_written_before(api: Api) -> None:
    id = start(api, "sh", "-c", "echo early; read x; echo late $x", OpenStdin=True)
    assert eventually(lambda: api.get(f"/containers/{id}/logs?stdout=1").body)
    with api.wire() as wire:
        hijack(wire, f"/containers/{id}/attach?stream=1&logs=1&stdin=1&stdout=1", extra=b"in\n")
        assert list(frames(wire)) == [(1, b"early\n"), (1, b"late in\n")]
    with api.wire() as wire:
        hijack(wire, f"/containers/{id}/attach?logs=1&stdout=1")
        assert list(frames(wire)) == [(1, b"early\n"), (1, b"late in\n")]


def test_clients_that_do_not_read_hold_nobody_up(api: Api) -> None:
    """Neither those that attach, nor those that want the whole log first, nor those that follow it."""
    id = start(api, "sh", "-c", "yes | head -c 3000000; cat", OpenStdin=True)
    wires = [api.wire() for _ in range(20)]
    for wire in wires[:10]:
        hijack(wire, f"/containers/{id}/attach?stream=1&logs=1&stdout=1")
    for wire in wires[10:]:
        wire.request("GET", f"/containers/{id}/logs?stdout=1&follow=1")
    started = time.monotonic()
    other = start(api, "echo", "quick")
    assert api.post(f"/containers/{other}/wait").json == {"StatusCode": 0}
    assert b"quick" in api.get(f"/containers/{other}/logs?stdout=1").body
    assert time.monotonic() - started < 5
    assert api.post(f"/containers/{id}/kill").status == 204
    for wire in wires:
        wire.sock.close()


def test_following_logs_ends_with_the_container(api: Api) -> None:
    id = start(api, "sh", "-c", "echo first; read x; echo $x", OpenStdin=True)
    with api.wire() as wire, api.wire() as typing:
        wire.request("GET", f"/containers/{id}/logs?stdout=1&follow=1")
        assert wire.read_head()[0] == 200
        assert wire.read_chunk()[8:] == b"first\n"
        hijack(typing, f"/containers/{id}/attach?stream=1&stdin=1", extra=b"second\n")
        assert wire.read_chunk()[8:] == b"second\n"
        assert wire.read_chunk() == b""


def test_exec_in_full(api: Api) -> None:
    id = start(api, "sleep", "1000")
    request = {"Cmd": ["sh", "-c", "cat; exit 5"], "AttachStdin": True, "AttachStdout": True, "Env": ["A=b"]}
    made = api.post(f"/containers/{id}/exec", request)
    assert made.status == 201
    instance = made.json["Id"]
    with api.wire() as wire:
        hijack(wire, f"/exec/{instance}/start", b'{"Detach":false,"Tty":false}', b"glued")
        wire.half_close()
        assert list(frames(wire)) == [(1, b"glued")]
    assert eventually(lambda: not api.get(f"/exec/{instance}/json").json["Running"])
    assert api.get(f"/exec/{instance}/json").json["ExitCode"] == 5
    assert api.post(f"/exec/{instance}/start", {}).status == 409


@pytest.mark.parametrize(
    ("command", "code", "text"), [("/nowhere", 127, "no such file"), ("/etc", 126, "is a directory")]
)
def test_what_cannot_be_run_is_a_400_that_says_why(api: Api, command: str, code: int, text: str) -> None:
    id = api.create(command)
    reply = api.post(f"/containers/{id}/start")
    assert (reply.status, text in reply.message) == (400, True), reply.body
    assert api.get(f"/containers/{id}/json").json["State"]["ExitCode"] == code


def test_top_shows_the_processes_of_the_container_only(api: Api) -> None:
    id = start(api, "sh", "-c", "sleep 1111 & exec sleep 2222")

    def commands() -> list[str]:
        return sorted(row[-1] for row in api.get(f"/containers/{id}/top").json["Processes"])

    assert eventually(lambda: commands() == ["sleep 1111", "sleep 2222"]), commands()
    titles = api.get(f"/containers/{id}/top").json["Titles"]
    assert titles == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert api.get(f"/containers/{id}/top", ps_args="-o pid,comm").json["Titles"] == ["PID", "COMMAND"]
    assert api.get(f"/containers/{id}/top", ps_args="-o comm").status == 400
    assert api.get(f"/containers/{id}/top", ps_args="--nonsense").status == 400
    api.post(f"/containers/{id}/kill")
    assert api.get(f"/containers/{id}/top").status == 409


def test_the_order_of_a_runs_events(api: Api) -> None:
    since = time.time()
    id = api.create("true", HostConfig={"AutoRemove": True})
    with api.wire() as wire:
        wire.request("POST", f"/containers/{id}/wait?condition=removed")
        wire.read_head()
        api.post(f"/containers/{id}/start")
        assert json.loads(wire.read_chunk()) == {"StatusCode": 0}
    reply = api.get("/events", since=f"{since:.9f}", until=f"{time.time():.9f}")
    events = [json.loads(line) for line in reply.body.splitlines()]
    assert [(e["Type"], e["Action"]) for e in events] == [
        ("container", "create"),
        ("network", "connect"),
        ("container", "start"),
        ("network", "disconnect"),
        ("container", "die"),
        ("container", "destroy"),
    ]


def test_a_published_port_and_an_address_are_shown_while_it_runs(api: Api) -> None:
    bindings = {"80/tcp": [{"HostPort": "18080"}]}
    id = start(api, "sleep", "1000", ExposedPorts={"81/tcp": {}}, HostConfig={"PortBindings": bindings})
    (shown,) = api.get("/containers/json").json
    published = {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 18080, "Type": "tcp"}
    assert published in shown["Ports"] and {"PrivatePort": 81, "Type": "tcp"} in shown["Ports"]
    settings = api.get(f"/containers/{id}/json").json["NetworkSettings"]
    assert {"HostIp": "0.0.0.0", "HostPort": "18080"} in settings["Ports"]["80/tcp"]
    assert settings["Ports"]["81/tcp"] is None
    assert settings["IPAddress"] == settings["Networks"]["bridge"]["IPAddress"] != ""
    network = api.get("/networks/bridge").json
    assert network["Containers"][id]["IPv4Address"].startswith(settings["IPAddress"] + "/")
    assert [c["Id"] for c in api.get("/containers/json", filters={"publish": ["18080"]}).json] == [id]
    api.post(f"/containers/{id}/kill")
    api.post(f"/containers/{id}/wait")
    stopped = api.get(f"/containers/{id}/json").json["NetworkSettings"]
    assert (stopped["IPAddress"], stopped["Ports"]) == ("", {})


def test_info_counts(api: Api) -> None:
    start(api, "sleep", "1000")
    api.create("true")
    info = api.get("/info").json
    counts = [info[f"Containers{state}"] for state in ("", "Running", "Paused", "Stopped")]
    assert (counts, info["Images"], info["Driver"]) == ([2, 1, 0, 1], 1, "overlay2")
    assert info["CgroupVersion"] in ("1", "2") and info["NCPU"] > 0 and info["MemTotal"] > 1 << 20
