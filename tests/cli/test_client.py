"""The HTTP client: bodies however they are sent, connections that are kept or lost, streams."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.recorder import Handler, Recorder
from tests.harness.waiting import eventually
from wherry.cli.client import Client, Connection, Response, query_string, quote
from wherry.cli.errors import ApiError, CliError
from wherry.cli.host import Host, parse_host

PING = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 0\r\n\r\n"


def answer(raw: bytes, cuts: list[int], method: str = "GET") -> Response:
    """A response whose bytes arrive in these pieces."""
    ours, theirs = socket.socketpair()

    def send() -> None:
        ends = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
        for start, end in itertools.pairwise(ends):
            theirs.sendall(raw[start:end])
        theirs.close()

    threading.Thread(target=send).start()
    return Response(Connection(ours), method)


def chunked(pieces: list[bytes]) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces if p) + b"0\r\n\r\n"


@given(st.lists(st.binary(max_size=200), max_size=10), st.lists(st.integers(0, 4000), max_size=8))
def test_bodies_arrive_whole(pieces: list[bytes], cuts: list[int]) -> None:
    body = b"".join(pieces)
    with_length = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    to_the_end = b"HTTP/1.1 200 OK\r\n\r\n" + body
    for raw in (chunked(pieces), with_length, to_the_end):
        response = answer(raw, cuts)
        assert response.read() == body
        response.connection.close()


@pytest.mark.parametrize(
    "raw", [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", chunked([b"abc"])[:-4], b"HTTP/1.1 2"]
)
def test_a_body_that_breaks_off_is_an_error(raw: bytes) -> None:
    with pytest.raises(CliError, match="closed the connection"):
        answer(raw, []).read()


def test_objects_of_a_stream_are_given_one_by_one() -> None:
    assert list(answer(chunked([b'{"a":1}\r\n{"b"', b":2}\n", b'{"c":3}']), []).objects()) == [
        {"a": 1},
        {"b": 2},
        {"c": 3},
    ]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"message":"no such thing"}', "no such thing"),
        (b"plain", "plain"),
        (b"", "answered 500 without a message"),
    ],
)
def test_errors(body: bytes, message: str) -> None:
    raw = b"HTTP/1.1 500 X\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with pytest.raises(ApiError) as failure:
        answer(raw, []).raise_for_status()
    assert failure.value.status == 500 and message in failure.value.message


def test_heads_and_empty_answers_have_no_body() -> None:
    assert answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", [], "HEAD").read() == b""
    assert answer(b"HTTP/1.1 304 X\r\n\r\n", []).json() is None


def test_queries_and_paths() -> None:
    assert (
        query_string({"b": "x y/z:1", "a": True, "c": None, "d": False, "e": 0}) == "?a=1&b=x%20y%2Fz%3A1&e=0"
    )
    assert query_string([("changes", "A"), ("changes", "B")]) == "?changes=A&changes=B"
    assert query_string(None) == query_string({"a": None}) == ""
    assert quote("/images/host:5000/a/b/json") == "/images/host:5000/a/b/json"
    assert quote("/x?y#é\udcff") == "/x%3Fy%23%C3%A9%FF"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        yield listening


def serve(listening: socket.socket, *connections: list[bytes]) -> threading.Thread:
    """Answer each connection's requests in turn with these bytes, then hang up."""

    def run() -> None:
        for answers in connections:
            connection, _ = listening.accept()
            with connection:
                for raw in answers:
                    connection.recv(65536)
                    connection.sendall(raw)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"


def test_a_connection_is_kept_and_the_older_version_spoken(server: socket.socket) -> None:
    serving = serve(server, [PING, EMPTY, EMPTY])
    client = Client(Host("unix://s", path=server.getsockname()), {})
    assert client.call("GET", "/a") == client.call("GET", "/b") == []
    assert client.api_version == "1.41"
    serving.join(5)


def test_a_connection_that_was_closed_meanwhile_is_opened_anew(server: socket.socket) -> None:
    serving = serve(server, [PING, EMPTY], [EMPTY])
    client = Client(Host("unix://s", path=server.getsockname()), {})
    assert client.call("GET", "/a") == []
    assert eventually(lambda: client._idle is None or not client._idle.is_open())
    assert client.call("GET", "/b") == []
    serving.join(5)


def test_tcp_without_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = serve(listening, [PING, EMPTY])
        host = parse_host(f"tcp://127.0.0.1:{listening.getsockname()[1]}")
        assert Client(host, {}).call("GET", "/a") == []
        serving.join(5)


def test_what_follows_the_hijacked_head_belongs_to_the_stream(server: socket.socket) -> None:
    serving = serve(server, [PING, b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nfirst bytes"])
    connection = Client(Host("unix://s", path=server.getsockname()), {}).hijack("/exec/x/start")
    assert connection.some(100) == b"first bytes" and connection.some(100) == b""
    serving.join(5)
    connection.close()


@pytest.mark.parametrize(
    "line",
    ["run --dry-run busybox", "create --dry-run --name x busybox", "plan show x", "plan diff busybox x", "explain x",
     "explain --check --all", "explain --html - x"],
)  # fmt: skip
def test_what_only_our_engine_does_is_not_asked_of_another(
    line: str,
    wherry: Callable[..., int],
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """dockerd does not know ``dryRun``: it would make the container."""
    monkeypatch.setattr(Handler, "server_version", "Docker/28.5.2")
    assert wherry(*line.split()) == (125 if "dry-run" in line else 1)
    said = capsys.readouterr().err
    assert said.startswith("wherry: only Wherry's engine does this: the one at unix:///")
    assert "Docker/28.5.2" in said and recorder.requests == []
