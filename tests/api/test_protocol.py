"""HTTP as Docker's clients speak it: negotiation, headers, errors, paths, and connections that misbehave."""

from __future__ import annotations

import json
import time

import pytest

from tests.api.client import Api, Reply
from tests.api.conftest import Served

EVERYWHERE = {"api-version": "1.51", "docker-experimental": "false", "ostype": "linux"}


def check_error(reply: Reply, status: int, message: str) -> None:
    assert (reply.status, reply.message) == (status, message)
    assert reply.headers["content-type"] == "application/json"  # with a charset Go clients print the raw body
    assert reply.body.endswith(b"}\n")
    assert reply.headers.items() >= EVERYWHERE.items()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/_ping", "/v1.24/_ping", "/v1.51/_ping"])
def test_ping(api: Api, method: str, path: str) -> None:
    reply = api.call(method, path)
    assert (reply.status, reply.body) == (200, b"OK" if method == "GET" else b"")
    expected = {"builder-version": "2", "swarm": "inactive", "pragma": "no-cache", **EVERYWHERE}
    assert reply.headers.items() >= expected.items()
    assert reply.headers["cache-control"] == "no-cache, no-store, must-revalidate"
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"


def test_versions(api: Api) -> None:
    assert api.get("/v1.24/version").status == api.get("/v1.51/version").status == 200
    too_new = "client version 1.99 is too new. Maximum supported API version is 1.51"
    check_error(api.get("/v1.99/version"), 400, too_new)
    old = api.get("/v1.23/version")
    assert (old.status, old.headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert old.body == (
        b"client version 1.23 is too old. Minimum supported API version is 1.24, "
        b"please upgrade your client to a newer version\n"
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/nothing"),
        ("GET", "/v1.51"),
        ("GET", "/v1.51/"),
        ("GET", "/v1.x/info"),
        ("POST", "/v1.51/containers/json"),
        ("DELETE", "/version"),
        ("GET", "/containers/json/"),
        ("PATCH", "/containers/x"),
        ("POST", "/v1.51/nosuch"),
    ],
)
def test_what_is_not_served(api: Api, method: str, path: str) -> None:
    check_error(api.call(method, path), 404, "page not found")


def test_swarm_says_that_it_is_none(api: Api) -> None:
    for path in ("/swarm", "/nodes", "/services", "/services/x", "/tasks"):
        reply = api.get(path)
        assert (reply.status, "not a swarm manager" in reply.message) == (503, True)
    assert api.get("/plugins").json == []


@pytest.mark.parametrize("name", ["a", "a/b", "host.example/a/b:1", "localhost:5000/a/b", "json", "a/json"])
def test_names_with_slashes_and_colons(api: Api, name: str) -> None:
    """What the route takes as the name is seen in the error."""
    assert name.split(":", maxsplit=1)[0].split("@", maxsplit=1)[0] in api.get(f"/images/{name}/json").message
    check_error(api.get(f"/containers/{name}/json"), 404, f"No such container: {name}")
    escaped = name.replace("/", "%2F").replace(":", "%3A").replace("@", "%40")
    check_error(api.get(f"/containers/{escaped}/json"), 404, f"No such container: {name}")


@pytest.mark.parametrize("text", ["", "0", "no", "NO", "false", "False", " none "])
def test_what_is_false(api: Api, text: str) -> None:
    api.create("sleep", "1000")
    assert api.get("/containers/json", all=text).json == []


@pytest.mark.parametrize("text", ["1", "true", "True", "yes", "2", "anything"])
def test_everything_else_is_true(api: Api, text: str) -> None:
    api.create("sleep", "1000")
    assert len(api.get("/containers/json", all=text).json) == 1


def test_numbers_and_times_that_are_none(api: Api) -> None:
    """Docker answers 500 here; a wrong request is the client's fault, so 400."""
    check_error(
        api.get("/containers/json", limit="abc"), 400, "invalid parameter limit: 'abc' is not a whole number"
    )
    assert api.get("/events", since="yesterday").status == 400
    assert api.get("/containers/json", limit="").status == 200
    check_error(
        api.get("/events?since=2000000000&until=1"),
        400,
        "`since` time (2000000000) cannot be after `until` time (1)",
    )


def test_bodies(api: Api) -> None:
    create = "/containers/create"
    plain = api.call("POST", create, raw=b"{}")
    check_error(plain, 400, "unsupported Content-Type header (): must be 'application/json'")
    check_error(api.post(create), 400, "invalid JSON: got EOF while reading request body")
    for body, complaint in (
        ({"Image": 3}, "$.Image"),
        ({"Image": "busybox", "HostConfig": {"Memory": "much"}}, "$.HostConfig.Memory"),
        (
            {"Image": "busybox", "HostConfig": {"Ulimits": [{"Name": "nofile", "Soft": "x"}]}},
            "$.HostConfig.Ulimits",
        ),
        ([], "object"),
    ):
        reply = api.post(create, body)
        assert reply.status == 400
        assert reply.message.startswith("invalid JSON: ")
        assert complaint in reply.message


def test_null_is_an_empty_request(api: Api) -> None:
    reply = api.call("POST", "/containers/create", raw=b"null")
    assert reply.status == 400  # for want of a content type
    with api.wire() as wire:
        wire.request("POST", "/containers/create", b"null", "Content-Type: application/json\r\n")
        reply = wire.reply("POST")
    assert (reply.status, "cannot be empty" in reply.message) == (400, True)


def test_options(api: Api) -> None:
    assert api.call("OPTIONS", "/containers/json").status == 200


def test_json_that_breaks_off(api: Api) -> None:
    with api.wire() as wire:
        wire.request(
            "POST", "/containers/create", b'{"Image": ', "Content-Type: application/json; charset=utf-8\r\n"
        )
        reply = wire.reply("POST")
    assert (reply.status, reply.message.startswith("invalid JSON: ")) == (400, True)


def test_bodies_that_come_in_the_same_parts(api: Api) -> None:
    """One after the other on one connection: what has come of one says nothing about the next."""
    body = json.dumps({"Image": "nosuch", "Labels": {"x": "x" * 70_000}}).encode()
    with api.wire() as wire:
        for _ in range(8):
            head = f"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
            wire.send(f"{head}Content-Type: application/json\r\n\r\n".encode())
            for part in (body[:60_000], body[60_000:]):
                time.sleep(0.02)  # else they may come as one
                wire.send(part)
            assert wire.reply().message == "No such image: nosuch:latest"


def test_a_body_in_chunks(api: Api) -> None:
    body = json.dumps({"Image": "busybox", "Cmd": ["sleep", "1000"]}).encode()
    with api.wire() as wire:
        head = "POST /containers/create HTTP/1.1\r\nHost:\r\nContent-Type: application/json\r\n"
        wire.send((head + "Transfer-Encoding: chunked\r\n\r\n").encode())
        for part in (body[:10], body[10:], b""):
            wire.send(b"%x\r\n%b\r\n" % (len(part), part))
        assert wire.reply("POST").status == 201


def test_a_client_that_asks_before_it_sends(api: Api) -> None:
    with api.wire() as wire:
        head = "POST /containers/create HTTP/1.1\r\nHost:\r\nContent-Type: application/json\r\n"
        wire.send(f"{head}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n".encode())
        assert wire.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue"
        wire.send(b"{}")
        assert wire.reply("POST").status == 400
        wire.send(b"POST /nowhere HTTP/1.1\r\nHost:\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert wire.read_head()[0] == 404


def test_a_connection_serves_many_requests(api: Api) -> None:
    with api.wire() as wire:
        for _ in range(50):
            wire.request("GET", "/_ping")
            assert wire.reply().body == b"OK"


def test_requests_sent_ahead_are_answered_in_order(api: Api) -> None:
    with api.wire() as wire:
        wire.send(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\nGET /volumes HTTP/1.1\r\nHost: x\r\n\r\n")
        assert wire.reply().body == b"OK"
        assert wire.reply().json == {"Volumes": [], "Warnings": None}


def test_a_request_behind_which_the_client_closes_its_side(api: Api) -> None:
    with api.wire() as wire:
        wire.request("GET", "/info")
        wire.half_close()
        assert wire.reply().status == 200
        assert wire.read_all() == b""


def test_http_1_0(api: Api) -> None:
    with api.wire() as wire:
        wire.send(b"GET /_ping HTTP/1.0\r\n\r\n")
        assert wire.reply().body == b"OK"
        assert wire.read_all() == b""


def test_an_upgrade_that_is_not_for_us_changes_nothing(api: Api) -> None:
    with api.wire() as wire:
        wire.request("GET", "/_ping", headers="Connection: Upgrade\r\nUpgrade: h2c\r\n")
        assert wire.reply().body == b"OK"


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nno colon\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
    ],
)
def test_what_is_not_http(api: Api, data: bytes) -> None:
    with api.wire() as wire:
        wire.send(data)
        status, headers = wire.read_head()
        assert (status, headers["content-type"]) == (400, "application/json")
        assert "message" in json.loads(wire.read_body(headers))
    assert api.get("/_ping").status == 200


def test_a_head_without_end_is_refused(api: Api) -> None:
    with api.wire() as wire:
        wire.send(b"POST /containers/create HTTP/1.1\r\nX: ")
        try:
            for _ in range(64):
                wire.send(b"x" * 4096)
            assert wire.read_head()[0] == 400
        except (BrokenPipeError, ConnectionResetError):
            pass  # it hung up at once
    assert api.get("/_ping").status == 200


def test_an_unexpected_failure_is_told_and_logged(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    reply = Api(served.path).get("/v1.51/version?x=1")
    check_error(reply, 500, "ZeroDivisionError: division by zero")
    assert "GET /v1.51/version?x=1" in caplog.text and "Traceback" in caplog.text


def test_activity_is_counted(served: Served) -> None:
    api, activity = Api(served.path), served.runner.activity
    assert activity.open == 0
    before = activity.last
    with api.wire() as wire:
        wire.request("GET", "/events")
        wire.read_head()
        assert activity.open == 1
        assert activity.last > before


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/auth"),
        ("PUT", "/containers/web/archive?path=/"),
        ("GET", "/containers/web/stats?stream=0"),
        ("POST", "/containers/web/pause"),
        ("POST", "/images/a/b:1/push"),
        ("GET", "/images/get?names=a"),
        ("GET", "/system/df"),
        ("POST", "/containers/prune"),
    ],
)
def test_what_docker_has_and_we_have_not_is_said_in_words(api: Api, method: str, path: str) -> None:
    api.post("/containers/create?name=web", {"Image": "busybox"})
    reply = api.call(method, f"/v1.51{path}")
    assert reply.status == 501 and reply.message.startswith("this version of wherry does not support ")


# ---------------------------------------------------------------- answered in the turn in which it was asked


def test_what_waits_and_what_does_not_keep_their_order(api: Api) -> None:
    head = "HTTP/1.1\r\nHost: x\r\n"
    with api.wire() as wire:
        for _ in range(20):
            wire.send(
                f"GET /info {head}\r\nGET /_ping {head}\r\nHEAD /_ping {head}\r\nGET /volumes/x {head}\r\n".encode()
            )
            assert "Containers" in wire.reply().json
            assert wire.reply().body == b"OK"
            assert wire.reply("HEAD").headers["content-length"] == "0"
            assert wire.reply().status == 404


def test_a_request_in_pieces(api: Api) -> None:
    request = b"GET /_ping HTTP/1.1\r\nHost: x\r\nX-Long: " + b"y" * 500 + b"\r\n\r\n"
    with api.wire() as wire:
        for step in (1, 7, 100):
            for at in range(0, len(request), step):
                wire.send(request[at : at + step])
            assert wire.reply().body == b"OK"


@pytest.mark.parametrize("path", ["/_ping", "/info"])
def test_a_connection_that_is_to_end(api: Api, path: str) -> None:
    with api.wire() as wire:
        wire.request("GET", path, headers="Connection: close\r\n")
        reply = wire.reply()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert wire.read_all() == b""


@pytest.mark.parametrize("path", ["/_ping", "/info"])
def test_http_1_0_that_goes_on(api: Api, path: str) -> None:
    with api.wire() as wire:
        for _ in range(3):
            wire.send(f"GET {path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".encode())
            reply = wire.reply()
            assert (reply.status, reply.headers["connection"]) == (200, "keep-alive")


@pytest.mark.parametrize("path", ["/_ping", "/info"])
def test_a_body_that_nobody_asked_for_is_not_the_next_request(api: Api, path: str) -> None:
    with api.wire() as wire:
        wire.request("GET", path, b"GET /nothing HTTP/1.1\r\n\r\n")
        assert wire.reply().status == 200
        wire.request("GET", "/_ping")
        assert wire.reply().body == b"OK"


def test_a_client_that_does_not_read_is_not_answered_into_memory(api: Api) -> None:
    request = b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n"
    with api.wire() as wire:
        wire.sock.settimeout(0.5)
        sent = 0
        try:
            while sent < 64 << 20:
                sent += wire.sock.send(request * 1000)
        except TimeoutError:
            pass
        assert sent < 64 << 20, "the server reads on, though nobody takes its answers"
        assert api.get("/_ping").body == b"OK"
        wire.sock.settimeout(10)
        assert wire.reply().json["ApiVersion"] == "1.51"


def answer_to(api: Api, request: bytes) -> Reply:
    with api.wire() as wire:
        wire.send(request)
        return wire.reply()


def asked_for(api: Api, target: str, version: str = "1.1") -> Reply:
    return answer_to(api, f"GET {target} HTTP/{version}\r\nHost: x\r\n\r\n".encode())


@pytest.mark.parametrize("target", ["http://docker/_ping", "https://a.b:1/v1.51/_ping?a=b", "unix://x/_ping"])
def test_a_target_with_its_origin(api: Api, target: str) -> None:
    assert (asked_for(api, target).status, asked_for(api, target).body) == (200, b"OK")


@pytest.mark.parametrize(
    ("target", "shortest"),
    [
        ("//v1.51/containers/json?all=1", "/v1.51/containers/json?all=1"),
        ("//containers/json", "/containers/json"),
        ("/v1.51/../containers/json", "/containers/json"),
        ("/./_ping", "/_ping"),
        ("/_ping/.", "/_ping"),
        ("/containers/json/..", "/containers"),
        ("/../../..//", "/"),
        ("/images/a//b/json", "/images/a/b/json"),
        ("/nosuch//b/", "/nosuch/b/"),
    ],
)
def test_a_path_that_is_not_the_shortest(api: Api, target: str, shortest: str) -> None:
    reply = asked_for(api, target)
    assert (reply.status, reply.headers["location"], reply.body) == (301, shortest, b"")


def test_dots_in_names_stay(api: Api) -> None:
    check_error(asked_for(api, "/containers/a..b/json"), 404, "No such container: a..b")
    check_error(asked_for(api, "/containers/.b/json"), 404, "No such container: .b")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("/containers/json?all=%zz", 'invalid URL escape "%zz"'),
        ("/containers/json?all=%z&b=1", 'invalid URL escape "%z"'),
        ("/containers/json?all=%", 'invalid URL escape "%"'),
        ("/containers/json?all=1;x", "invalid semicolon separator in query"),
        ("/containers/a%zz/json", 'invalid URL escape "%zz"'),
    ],
)
def test_a_target_that_is_none(api: Api, target: str, said: str) -> None:
    check_error(asked_for(api, target), 400, said)


def test_a_query_that_nobody_reads(api: Api) -> None:
    assert asked_for(api, "/_ping?a=%zz;").body == b"OK"


@pytest.mark.parametrize("version", ["0.9", "2.0"])
def test_a_version_of_http_that_is_not_spoken(api: Api, version: str) -> None:
    check_error(
        asked_for(api, "/_ping", version), 505, "HTTP Version Not Supported: unsupported protocol version"
    )


@pytest.mark.parametrize(
    ("request_head", "said"),
    [
        (b"FO(O /_ping HTTP/1.1\r\nHost: x", "Invalid method encountered"),
        (b"GET /_ping XTTP/1.1\r\nHost: x", "Bad status line: Expected HTTP/, RTSP/ or ICE/"),
        (b"GET /_ping HTTP/1.1", "Missing 'Host' header in request"),
        (b"GET /_ping HTTP/1.1\r\nHost: x\r\nB(d: 1", "Invalid header token"),
        (b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\nHost: x", "Got more than 65536 bytes"),
        (b"GET /_ping HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 70000, "Got more than 65536 bytes"),
        (b"GET /\x01 HTTP/1.1\r\nHost: x", "Invalid char in url path"),
    ],
)
def test_what_is_no_request_is_told_in_words(api: Api, request_head: bytes, said: str) -> None:
    check_error(answer_to(api, request_head + b"\r\n\r\n"), 400, f"Bad Request: {said}")
