"""Attach and exec: the connection becomes the container's stream, and not one byte is lost on the way."""

from __future__ import annotations

import os
import struct
import threading
import time
from pathlib import Path

import pytest

from tests.api.client import Api, Wire
from tests.harness.daemon import Daemon
from tests.harness.waiting import eventually

UPGRADE = "Connection: Upgrade\r\nUpgrade: tcp\r\n"
ATTACH = "stream=1&stdin=1&stdout=1&stderr=1"


def head(path: str, headers: str = UPGRADE, length: int | None = 0) -> bytes:
    body = "" if length is None else f"Content-Length: {length}\r\n"
    return f"POST {path} HTTP/1.1\r\nHost:\r\n{headers}{body}\r\n".encode()


def unframe(data: bytes) -> bytes:
    """What the frames of standard output hold, joined."""
    out = b""
    while data:
        stream, size = struct.unpack(">BxxxI", data[:8])
        assert stream == 1
        out, data = out + data[8 : 8 + size], data[8 + size :]
    return out


def read_framed(wire: Wire, size: int) -> bytes:
    out = b""
    while len(out) < size:
        stream, length = struct.unpack(">BxxxI", wire.read(8))
        assert stream == 1
        out += wire.read(length)
    return out


def running_cat(api: Api, **config: object) -> str:
    id = api.create("cat", OpenStdin=True, StdinOnce=True, **config)
    assert api.post(f"/containers/{id}/start").status == 204
    return id


def test_the_answer_to_an_upgrade_byte_for_byte(api: Api) -> None:
    id = running_cat(api)
    with api.wire() as wire:
        wire.send(head(f"/v1.51/containers/{id}/attach?{ATTACH}"))
        lines = wire.read_until(b"\r\n\r\n").split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 101 UPGRADED"
    assert b"Content-Type: application/vnd.docker.multiplexed-stream" in lines
    assert b"Connection: Upgrade" in lines and b"Upgrade: tcp" in lines
    assert not any(line.lower().startswith((b"content-length", b"transfer-encoding")) for line in lines)


@pytest.mark.parametrize(
    ("version", "tty", "kind"),
    [
        ("1.51", False, "multiplexed"),
        ("1.51", True, "raw"),
        ("1.41", False, "raw"),
        ("1.42", False, "multiplexed"),
    ],
)
def test_the_content_type_tells_framed_from_raw(api: Api, version: str, tty: bool, kind: str) -> None:
    id = running_cat(api, Tty=tty)
    with api.wire() as wire:
        wire.send(head(f"/v{version}/containers/{id}/attach?{ATTACH}") + b"x")
        status, headers = wire.read_head()
        assert (status, headers["content-type"]) == (101, f"application/vnd.docker.{kind}-stream")
        assert wire.read(1 if tty else 9)[-1:] == b"x"


@pytest.mark.parametrize("headers", [UPGRADE, ""], ids=["upgrade", "no upgrade asked"])
@pytest.mark.parametrize("length", [0, None], ids=["length 0", "no length"])
def test_input_glued_to_the_head_is_the_containers(api: Api, headers: str, length: int | None) -> None:
    id = running_cat(api)
    # What could be taken for a request must not be.
    glued = b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n\x00\xff\r\n\r\n" * 50
    with api.wire() as wire:
        wire.send(head(f"/v1.51/containers/{id}/attach?{ATTACH}", headers, length) + glued)
        status, _ = wire.read_head()
        assert status == (101 if headers else 200)
        assert read_framed(wire, len(glued)) == glued
        wire.send(b"and more")
        assert read_framed(wire, 8) == b"and more"
        wire.half_close()
        assert wire.read_all() == b""


@pytest.mark.parametrize("headers", [UPGRADE, ""], ids=["upgrade", "no upgrade asked"])
@pytest.mark.parametrize("step", [1, 7])
def test_a_head_that_comes_in_pieces(api: Api, headers: str, step: int) -> None:
    id = running_cat(api)
    request = head(f"/containers/{id}/attach?{ATTACH}", headers, None) + b"input"
    with api.wire() as wire:
        for at in range(0, len(request), step):
            wire.send(request[at : at + step])
            time.sleep(0.002)
        assert wire.read_head()[0] == (101 if headers else 200)
        assert read_framed(wire, 5) == b"input"


def test_a_connection_that_was_used_before(api: Api) -> None:
    id = running_cat(api)
    with api.wire() as wire:
        for _ in range(3):
            wire.request("HEAD", "/_ping")
            assert wire.reply("HEAD").status == 200
        wire.send(head(f"/containers/{id}/attach?{ATTACH}", "") + b"abc")
        assert wire.read_head()[0] == 200
        assert read_framed(wire, 3) == b"abc"


def test_much_input_sent_at_once(api: Api) -> None:
    """More than any buffer on the way holds, sent without waiting for the answer."""
    id = running_cat(api)
    sent = os.urandom(3 << 20)
    with api.wire() as wire:
        writer = threading.Thread(
            target=lambda: (wire.send(head(f"/containers/{id}/attach?{ATTACH}") + sent), wire.half_close())
        )
        writer.start()
        assert wire.read_head()[0] == 101
        assert unframe(wire.read_all()) == sent
        writer.join(10)


def test_a_client_that_has_said_everything_before_the_answer(api: Api) -> None:
    id = running_cat(api)
    with api.wire() as wire:
        wire.send(head(f"/containers/{id}/attach?{ATTACH}") + b"all")
        wire.half_close()
        assert wire.read_head()[0] == 101
        assert unframe(wire.read_all()) == b"all"


def test_attach_before_start_sees_the_first_byte(api: Api) -> None:
    id = api.create("echo", "hello")
    with api.wire() as wire:
        wire.send(head(f"/containers/{id}/attach?stream=1&stdout=1"))
        assert wire.read_head()[0] == 101
        assert api.post(f"/containers/{id}/start").status == 204
        assert unframe(wire.read_all()) == b"hello\n"


def test_nothing_is_asked_of_a_stream_that_is_not_wanted(api: Api) -> None:
    id = running_cat(api)
    with api.wire() as wire:
        wire.send(head(f"/containers/{id}/attach"))
        assert wire.read_head()[0] == 101
        assert wire.read_all() == b""


def test_an_error_before_the_answer_is_an_error_and_the_connection_goes_on(api: Api) -> None:
    with api.wire() as wire:
        wire.send(head("/containers/nobody/attach?stream=1"))
        reply = wire.reply("POST")
        assert (reply.status, reply.message) == (404, "No such container: nobody")
        wire.request("GET", "/_ping")
        assert wire.reply().body == b"OK"


def test_detach_keys_are_checked_before_the_answer(api: Api) -> None:
    id = running_cat(api)
    reply = api.call("POST", f"/containers/{id}/attach?stream=1&detachKeys=ctrl-nothing")
    assert reply.status == 400
    assert "ctrl-nothing" in reply.message


def exec_instance(api: Api, *command: str, **options: object) -> str:
    container = running_cat(api)
    body = {"Cmd": list(command), "AttachStdin": True, "AttachStdout": True, "AttachStderr": True, **options}
    reply = api.post(f"/containers/{container}/exec", body)
    assert reply.status == 201, reply.body
    return str(reply.json["Id"])


@pytest.mark.parametrize("headers", [UPGRADE, ""], ids=["upgrade", "no upgrade asked"])
def test_exec_reads_its_body_and_then_its_input(api: Api, headers: str) -> None:
    id = exec_instance(api, "cat")
    body = b'{"Detach": false, "Tty": false}'
    with api.wire() as wire:
        kind = "Content-Type: application/json\r\n"
        wire.send(head(f"/v1.51/exec/{id}/start", headers + kind, len(body)) + body + b"input\r\n\r\n")
        status, answer = wire.read_head()
        assert status == (101 if headers else 200)
        assert answer["content-type"] == "application/vnd.docker.multiplexed-stream"
        assert read_framed(wire, 9) == b"input\r\n\r\n"
        wire.half_close()
        assert wire.read_all() == b""


def test_exec_whose_body_comes_late(api: Api) -> None:
    id = exec_instance(api, "cat", Tty=True)
    body = b'{"Tty": true}'
    with api.wire() as wire:
        wire.send(head(f"/exec/{id}/start", UPGRADE + "Content-Type: application/json\r\n", len(body)))
        time.sleep(0.05)
        wire.send(body[:5])
        time.sleep(0.05)
        wire.send(body[5:] + b"typed")
        status, answer = wire.read_head()
        assert (status, answer["content-type"]) == (101, "application/vnd.docker.raw-stream")
        assert wire.read(5) == b"typed"


def test_exec_detached_answers_as_usual(api: Api) -> None:
    id = exec_instance(api, "sleep", "1000")
    with api.wire() as wire:
        for _ in range(2):
            wire.request(
                "POST", f"/exec/{id}/start", b'{"Detach": true}', "Content-Type: application/json\r\n"
            )
            reply = wire.reply("POST")
        assert reply.status == 409  # the second time
    shown = api.get(f"/exec/{id}/json").json
    assert (shown["Running"], shown["ExitCode"]) == (True, None)
    assert shown["ProcessConfig"] == {
        "tty": False,
        "entrypoint": "sleep",
        "arguments": ["1000"],
        "privileged": False,
    }


def test_exec_of_what_cannot_be_run(api: Api) -> None:
    """Docker tells it in the stream, as the answer has been given by then; detached, it is an error."""
    id = exec_instance(api, "nonsense")
    with api.wire() as wire:
        wire.send(head(f"/exec/{id}/start"))
        assert wire.read_head()[0] == 101
        assert b"executable file not found" in unframe(wire.read_all())
    assert api.get(f"/exec/{id}/json").json["ExitCode"] == 127
    detached = exec_instance(api, "nonsense")
    reply = api.post(f"/exec/{detached}/start", {"Detach": True})
    assert (reply.status, "executable file not found" in reply.message) == (400, True)


def test_exec_that_is_not_there(api: Api) -> None:
    for reply in (api.get("/exec/x/json"), api.post("/exec/x/start", {}), api.post("/exec/x/resize?h=1&w=1")):
        assert (reply.status, reply.message) == (404, "No such exec instance: x")


def test_no_descriptor_stays_behind(api: Api, daemon: Daemon) -> None:
    def descriptors() -> int:
        return len(list(Path(f"/proc/{daemon.pid}/fd").iterdir()))

    def once() -> None:
        id = running_cat(api)
        with api.wire() as wire:
            wire.send(head(f"/containers/{id}/attach?{ATTACH}") + b"x")
            wire.read_head()
            read_framed(wire, 1)
        api.delete(f"/containers/{id}", force="1")

    once()
    before, rounds = descriptors(), 40
    for _ in range(rounds):
        once()
    # Some come and go with the network namespaces that are kept ready; one a round would be ours.
    assert eventually(lambda: descriptors() <= before + rounds // 2)
