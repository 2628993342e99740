"""What a request may cost: no more than in proportion to its length. On the old code, each of these takes for ever."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from urllib.parse import quote

import pytest

from tests.harness.daemon import Daemon
from tests.harness.images import docker_archive
from wherry.api.connection import HEAD_LIMIT, as_upgrade, is_raw
from wherry.engine.filters import MOST_VALUES, parse_filters
from wherry.engine.log_options import chosen
from wherry.errors import InvalidArgument
from wherry.runtime.resources import parse_set
from wherry.values.expressions import LONGEST, MOST, Patterns

SLOW = ["(a+)+$", "(a|aa)+$", "(a*)*b", "([a-zA-Z]+)*!", "(.*a){25}!"]
LARGE = [
    r"\pL{999}",
    r"(?i)\PL{50}",
    r"\pL" * 20,
    "[a-z].{999}.{999}",
    "a?" * LONGEST,
]


def found(pattern: str, text: str) -> bool:
    return Patterns([pattern]).found_in(text)


@pytest.mark.parametrize("pattern", SLOW)
def test_a_pattern_never_goes_back(pattern: str) -> None:
    assert not found(pattern, "a" * 128 + "?")


def test_patterns_are_gos() -> None:
    assert found("^/?WEB$|(?i)web", "web") and found(r"\Aw[[:alpha:]]b\z", "web") and found("w.b", "web")
    assert not any(found(pattern, "web") for pattern in ("(", "(?=web)", r"(w)\1", "\udcff", "a{2000}"))
    assert found("(", "(")


@pytest.mark.parametrize("pattern", LARGE, ids=lambda pattern: pattern[:20])
def test_a_pattern_has_a_size(pattern: str) -> None:
    """To make a program of one took 40 ms and 8 MB, for eight characters."""
    with pytest.raises(InvalidArgument, match=r"too large|longer than|more than 8 Unicode classes"):
        found(pattern, "web")


@pytest.mark.parametrize(
    "pattern",
    [
        r"\pL+",
        r"(?i)^[\pL\pN]{1,3}",
        r"^/?[\w-]{1,63}$",
        ".{1,255}",
        "|".join(f"web-{n}" for n in range(120)),
    ],
)
def test_what_people_write_is_small(pattern: str) -> None:
    assert found(pattern, "web-1") and not found(pattern, "")


def test_patterns_have_a_number_and_a_size_together() -> None:
    """Names as they are, are no expressions, and many may be asked for."""
    assert Patterns(f"web-{n}" for n in range(400)).found_in("web-399")
    assert Patterns(f"^/web-{n}$" for n in range(MOST)).found_in("/web-99")
    with pytest.raises(InvalidArgument, match="101 regular expressions are more than 100"):
        Patterns(f"^/web-{n}$" for n in range(MOST + 1))
    with pytest.raises(InvalidArgument, match="too large together"):
        Patterns(f".{{{n}}}x" for n in range(100, 200)).found_in("web")


@pytest.mark.parametrize(
    ("path", "name"),
    [("/containers/json?all=1&", "name"), ("/containers/json?all=1&", "id"), ("/networks?", "name")],
)
def test_many_patterns_through_the_api(daemon: Daemon, path: str, name: str) -> None:
    """2000 of them kept the daemon from answering anybody for 88 seconds."""
    daemon.api("POST", "/containers/create?name=asked-for", {"Image": "busybox"})
    for patterns, said in (
        ([rf"\pL{{999}}{n}" for n in range(400)], "400 regular expressions are more than 100"),
        ([rf"\pL{{999}}{n}" for n in range(MOST)], "too large"),
        ([str(n) for n in range(MOST_VALUES + 1)], f"{MOST_VALUES + 1} values are more than {MOST_VALUES}"),
    ):
        answer = daemon.api("GET", f"{path}filters={quote(json.dumps({name: patterns}))}")
        assert answer.status == 400 and said in answer.body["message"]
    some = [*(f"^/nosuch-{n}$" for n in range(MOST - 3)), "^/asked-for$", "^bridge$", "[0-9a-f]{64}"]
    assert daemon.api("GET", f"{path}filters={quote(json.dumps({name: some}))}").body


def test_an_expression_meets_so_many_names() -> None:
    """They are held against it at each start, on the event loop."""
    options = {"labels-regex": r"^(\w+\.){2,9}x$"}
    labels = {f"org.example.l{n}": "" for n in range(20_000)}
    assert list(chosen(dict.fromkeys(["a.b.x", "a.x"], ""), options, "labels")) == [("a.b.x", "")]
    with pytest.raises(InvalidArgument, match="labels-regex: too large for the names of 20000 labels"):
        list(chosen(labels, options, "labels"))


def test_patterns_through_the_api(daemon: Daemon) -> None:
    daemon.api("POST", f"/containers/create?name={'a' * 120}", {"Image": "busybox"})
    for name in ("name", "id", "network"):
        for pattern in SLOW:
            filters = quote(json.dumps({name: [pattern]}))
            for path in ("/containers/json?all=1&", "/networks?"):
                if name in ("name", "id") or path.startswith("/containers"):
                    assert daemon.api("GET", f"{path}filters={filters}").status == 200


@pytest.mark.parametrize("text", ["[" * 5000, '{"label":' * 5000, '{"a": ' + "[" * 3000 + "]" * 3000 + "}"])
def test_deep_filters_are_refused(daemon: Daemon, text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid filters"):
        parse_filters(text)
    assert daemon.api("GET", f"/containers/json?filters={quote(text)}").status == 400


@pytest.mark.parametrize("number", ["9" * 5000, "٣", "1" * 19])
def test_exit_codes_are_numbers_of_a_length(daemon: Daemon, number: str) -> None:
    filters = quote(json.dumps({"exited": [number]}))
    assert daemon.api("GET", f"/containers/json?filters={filters}").status == 400


@pytest.mark.parametrize(
    "part", [b"/attach", b"/attach?", b"/v1.", b"/exec/", b" HTTP/", b"\r\nupgrade", b"\r\nupgrade:  "]
)
def test_a_head_is_read_once(part: bytes) -> None:
    """What may become a stream is looked for in every head; some of these repeat what it looks like."""
    head = b"POST /containers/x" + part * 500_000
    assert as_upgrade(head) == head
    as_upgrade(head + b" HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize(
    ("line", "raw"),
    [
        (b"POST /containers/x/attach?stream=1 HTTP/1.1", True),
        (b"POST /v1.51/containers/a/b/attach HTTP/1.1", True),
        (b"POST /exec/abc/start HTTP/1.1", True),
        (b"POST /containers/create?name=/attach HTTP/1.1", False),
        (b"POST /containers/x/attached HTTP/1.1", False),
        (b"POST /exec/a/b/start HTTP/1.1", False),
    ],
)
def test_what_becomes_a_stream(line: bytes, raw: bool) -> None:
    assert is_raw(line) is raw


def test_a_head_that_comes_byte_by_byte(daemon: Daemon) -> None:
    padding = b"x" * (HEAD_LIMIT // 2)
    head = b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nX: " + padding + b"\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(str(daemon.socket))
        for index in range(len(head)):
            client.send(head[index : index + 1])
        assert client.recv(64).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("path", [b"/containers/create", b"/images/load"])
@pytest.mark.parametrize("endless", [b"1;", b"1\r\nx\r\n0\r\nX-Trailer: ", b'1\r\nx\r\n1;a="'])
def test_a_chunk_whose_size_never_ends(daemon: Daemon, path: bytes, endless: bytes) -> None:
    head = (
        b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(15)
        client.connect(str(daemon.socket))
        with suppress(ConnectionError):  # it need not listen to the end
            client.sendall(head % path + endless + b"a" * 5_000_000)
        assert client.recv(64).startswith(b"HTTP/1.1 400 ") or path == b"/images/load"


def test_a_chunk_that_is_none(daemon: Daemon) -> None:
    head = b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(15)
        client.connect(str(daemon.socket))
        client.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\nZZ\r\n")
        assert b" 400 " in client.recv(64)


def test_a_body_in_very_small_chunks(daemon: Daemon) -> None:
    body = json.dumps({"Image": "busybox", "Labels": {"a": "b" * 100_000}}).encode()
    head = b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    chunks = b"".join(b"1;some=extension\r\n%c\r\n" % byte for byte in body)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(str(daemon.socket))
        client.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
        assert client.recv(64).startswith(b"HTTP/1.1 201 ")


def test_a_set_of_processors_costs_no_more_than_its_length() -> None:
    assert len(parse_set(",".join(["0-8191", "0-8190"] * 500_000), "cpus")) == 8192


@pytest.mark.parametrize(
    ("host", "field"),
    [
        ({"CpusetCpus": ",".join(["0-1"] * 50_000)}, "CpusetCpus"),
        ({"CpusetMems": ",".join(["0"] * 50_000)}, "CpusetMems"),
        ({"Binds": [f"/tmp:/t{n}" for n in range(2000)]}, "Binds"),
        ({"Tmpfs": {f"/t{n}": "" for n in range(2000)}}, "Tmpfs"),
        ({"MaskedPaths": ["/t"] * 5000}, "MaskedPaths"),
        ({"Devices": [{"PathOnHost": "/dev"}] * 600}, "Devices"),
        ({"Binds": [f"/{'a/' * 1900}{n}:/t{n}" for n in range(8)]}, "Binds"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_too_much_is_named(daemon: Daemon, host: dict[str, object], field: str) -> None:
    answer = daemon.api("POST", "/containers/create", {"Image": "busybox", "HostConfig": host})
    assert answer.status == 400 and answer.body["message"].startswith(f"invalid {field}: ")


def test_volumes_are_counted_whoever_declares_them(daemon: Daemon, busybox_tar: bytes) -> None:
    """Each becomes a mount; an image's come together with those of the request."""
    some, others = ({f"/{name}{n}": {} for n in range(600)} for name in "ab")
    daemon.load(docker_archive([busybox_tar], ["volumes:1"], {"Cmd": ["true"], "Volumes": some}))
    most = "invalid Volumes: 1200 entries are more than 1024"
    for image, volumes in (("busybox", {**some, **others}), ("volumes:1", others)):
        answer = daemon.api("POST", "/containers/create", {"Image": image, "Volumes": volumes})
        assert answer.status == 400 and answer.body["message"] == most
    assert daemon.docker("run", "--rm", "volumes:1").returncode == 0


def test_devices_are_not_looked_for_everywhere(daemon: Daemon) -> None:
    body = {
        "Image": "busybox",
        "HostConfig": {"Devices": [{"PathOnHost": "/", "PathInContainer": "/dev/all"}]},
    }
    id = daemon.api("POST", "/containers/create", body).body["Id"]
    answer = daemon.api("POST", f"/containers/{id}/start")
    assert answer.status == 400 and "more than 10000 files to look at" in answer.body["message"]


def test_shell_patterns_through_the_api(daemon: Daemon) -> None:
    """300 against the long names of 200 images kept the daemon from answering anybody for 89 seconds."""
    for n in range(200):
        assert daemon.api("POST", f"/images/busybox/tag?repo={'a' * 200}&tag={'a' * 100}{n}").status == 201
    patterns = [f"*a?{'a' * 150}b{n}" for n in range(300)]
    asked = [
        daemon.api("GET", f"/images/json?filters={quote(json.dumps({'reference': some}))}", timeout=10)
        for some in (patterns, patterns[:50])
    ]
    assert "characters together are more than" in asked[0].body["message"]
    assert (asked[0].status, asked[1].status, asked[1].body) == (400, 200, [])
    for n in range(200):
        daemon.api("DELETE", f"/images/{'a' * 200}:{'a' * 100}{n}")
