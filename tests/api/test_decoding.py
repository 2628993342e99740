"""Bodies, query parameters and durations: the rules themselves."""

from __future__ import annotations

import contextlib
import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.api.app import split_version
from wherry.api.body import decode_body
from wherry.api.connection import as_upgrade
from wherry.api.errors import HttpError
from wherry.api.query import parse_bool, parse_nanoseconds, parse_query, wire_name
from wherry.api.render.containers import command_line, status_text
from wherry.api.render.progress import bar
from wherry.errors import InvalidArgument, WherryError
from wherry.messages.container import ContainerCreate, HostConfig, State


def test_status_texts() -> None:
    then, now = "2026-11-24T14:58:50.695158424Z", 1795532333.7  # three seconds later
    up = State(status="running", running=True, started_at=then)
    assert status_text(up, now) == "Up 3 seconds"
    assert status_text(State(running=True, paused=True, started_at=then), now) == "Up 3 seconds (Paused)"
    again = State(running=True, restarting=True, exit_code=1, started_at=then, finished_at=then)
    assert status_text(again, now) == "Restarting (1) 3 seconds ago"
    over = State(status="exited", exit_code=137, started_at=then, finished_at=then)
    assert status_text(over, now) == "Exited (137) 3 seconds ago"
    assert status_text(State(), now) == "Created"
    assert status_text(State(status="removing"), now) == "Removal In Progress"
    assert status_text(State(status="dead", dead=True), now) == "Dead"


def test_command_lines() -> None:
    assert command_line("sh", ["-c", "echo hi; exit 3"]) == "sh -c 'echo hi; exit 3'"
    assert command_line("true", []) == "true"


def test_progress_bars() -> None:
    assert bar(50, 100) == "[" + "=" * 25 + ">" + " " * 25 + "]      50B/100B"
    assert bar(300, 100).startswith("[" + "=" * 50 + ">]")
    assert (bar(0, 0), bar(1500, 0)) == ("", "   1.5kB")


def test_times_keep_their_last_digit() -> None:
    assert parse_nanoseconds("1795532333.000000001") == 1795532333000000001
    assert parse_nanoseconds("1795532333") == 1795532333 * 10**9
    assert parse_nanoseconds("1.5") == 1_500_000_000
    assert parse_nanoseconds("") == 0
    for wrong in ("x", "1.", "1.0000000001", "1e3", "-"):
        with pytest.raises(InvalidArgument):
            parse_nanoseconds(wrong)


def test_names_on_the_wire() -> None:
    assert [wire_name(n) for n in ("detach_keys", "from_src", "all")] == ["detachKeys", "fromSrc", "all"]


@given(st.text())
def test_any_query_and_any_boolean(text: str) -> None:
    parse_query(text)
    assert parse_bool(text) in (True, False)


@given(st.text())
def test_any_path_is_split_or_refused(text: str) -> None:
    try:
        _, path = split_version("/" + text)
    except HttpError:
        return
    assert path.startswith("/")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Image", "Cmd", "HostConfig", "Memory", "labels", "PortBindings", "x", "NetworkingConfig"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_document_is_a_request_or_refused(document: Any) -> None:
    try:
        request = decode_body(json.dumps(document).encode(), ContainerCreate)
    except WherryError as error:
        assert error.message.startswith("invalid JSON: ")
        return
    assert isinstance(request.image, str)
    assert isinstance(request.tty, bool)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_body_or_refused(data: bytes) -> None:
    with contextlib.suppress(InvalidArgument):
        decode_body(data, ContainerCreate)


@given(st.binary(max_size=100))
def test_what_follows_a_head_is_never_touched(rest: bytes) -> None:
    for head in (
        b"POST /containers/x/attach?stdin=1 HTTP/1.1\r\nHost:\r\n\r\n",
        b"POST /v1.51/exec/x/start HTTP/1.1\r\nHost:\r\nupgrade: tcp\r\nConnection: Upgrade\r\n\r\n",
    ):
        changed = as_upgrade(head + rest)
        assert changed.partition(b"\r\n\r\n")[2] == rest
        assert changed.count(b"Upgrade: websocket\r\n") - rest.count(b"Upgrade: websocket\r\n") == 1
    for head in (b"POST /containers/x/start HTTP/1.1\r\n\r\n", b"GET /containers/x/attach HTTP/1.1\r\n\r\n"):
        assert as_upgrade(head + rest) == head + rest


def test_nesting_without_end_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        decode_body(b'{"Image":' + b"[" * 100_000, ContainerCreate)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"HostConfig": {"ConsoleSize": [1 << 70, 1]}}, "HostConfig.ConsoleSize"),
        ({"HostConfig": {"ConsoleSize": [-1, 1]}}, "HostConfig.ConsoleSize"),
        ({"HostConfig": {"ShmSize": 1 << 70}}, "HostConfig.ShmSize"),
        ({"HostConfig": {"BlkioDeviceReadBps": [{"Path": "/dev/null", "Rate": -1}]}}, "Rate"),
        ({"HostConfig": {"BlkioDeviceReadBps": [{"Path": "/dev/null", "Rate": "x"}]}}, "Rate"),
        ({"HostConfig": {"BlkioWeight": 70000}}, "HostConfig.BlkioWeight"),
        ({"HostConfig": {"Mounts": [{"Type": "tmpfs", "TmpfsOptions": {"Mode": 1 << 33}}]}}, "Mode"),
        ({"HostConfig": {"ReadonlyPaths": ["/a\0b"]}}, "HostConfig.ReadonlyPaths"),
        (
            {"HostConfig": {"Sysctls": {"net.ipv4.ip_forward": "1\0"}}},
            "HostConfig.Sysctls.net.ipv4.ip_forward",
        ),
        ({"Cmd": ["a\0b"]}, "Cmd"),
        ({"hostname": "a\0"}, "Hostname"),
    ],
    ids=str,
)
def test_values_that_go_would_not_take_are_refused_by_the_name_of_their_field(body: Any, field: str) -> None:
    with pytest.raises(InvalidArgument, match=f"{re.escape(field)}"):
        decode_body(json.dumps(body).encode(), ContainerCreate)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 50_000,
        b'{"Labels": ' + b'{"a":' * 900 + b"1" + b"}" * 901,
        b'{"Odd": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    ],
    ids=["list", "object", "unknown field"],
)
def test_deep_documents_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidArgument, match="invalid JSON"):
        decode_body(body, ContainerCreate)


def test_what_counts_only_by_its_key_is_not_kept() -> None:
    """It would be stored, and a document that nests deep is not read again from everywhere."""
    nested = b'{"ExposedPorts": {"80/tcp": ' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}}"
    ports = decode_body(nested, ContainerCreate).exposed_ports
    assert msgspec.json.encode(ports) == b'{"80/tcp":{}}'


@pytest.mark.parametrize(
    ("given", "read"), [([], (0, 0)), ([1], (1, 0)), ([1, 2, 3], (1, 2)), ([None, 2], (0, 2)), (None, (0, 0))]
)
def test_an_array_has_its_length(given: Any, read: tuple[int, int]) -> None:
    body = json.dumps({"HostConfig": {"ConsoleSize": given}}).encode()
    assert (decode_body(body, ContainerCreate).host_config or HostConfig()).console_size == read


@pytest.mark.parametrize("key", ["Tmpfs", "TmpFs", "TMPFS", "tmpfs"])
def test_a_key_is_read_in_any_case(key: str) -> None:
    body = decode_body(json.dumps({"HostConfig": {key: {"/x": ""}}}).encode(), ContainerCreate)
    assert (body.host_config or HostConfig()).tmpfs == {"/x": ""}


def test_a_key_that_is_spelled_by_an_escape() -> None:
    assert decode_body(rb'{"\u0069mage": "a", "\u0043md": ["b"]}', ContainerCreate) == ContainerCreate(
        image="a", cmd=["b"]
    )
