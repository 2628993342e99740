"""Clients that attach, logs and terminals, as the engine deals with them."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.engine.doubles import Lab, told
from wherry.engine.container import Container
from wherry.engine.lifecycle import move
from wherry.engine.paths import ContainerPaths
from wherry.engine.record import Phase
from wherry.engine.streams import AttachRequest, Streams
from wherry.errors import Conflict, InvalidArgument
from wherry.messages.container import Config
from wherry.runtime.launcher import Attach
from wherry.runtime.logs import LogsQuery

LINES = (
    '{"log":"out\\n","stream":"stdout","time":"2026-11-24T14:58:50.1Z"}\n'
    '{"log":"err\\n","stream":"stderr","time":"2026-11-24T14:58:50.2Z"}\n'
)
BOTH = AttachRequest(stdout=True, stderr=True)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 20))


def client() -> tuple[socket.socket, int]:
    """A client, and its connection, which belongs to whom it is given."""
    theirs, ours = socket.socketpair()
    theirs.settimeout(10)
    return theirs, ours.detach()


def write_log(lab: Lab, container: Container) -> None:
    path = Path(ContainerPaths(lab.config, container.id).log)
    path.parent.mkdir(parents=True)
    path.write_text(LINES)


# ---------------------------------------------------------------- what is asked


def test_what_a_container_can_fulfil(lab: Lab) -> None:
    """No input where it takes none, and no frames from a terminal."""
    streams, request = Streams(lab.config, lab.events), AttachRequest(stdin=True, stdout=True)
    plain = lab.container("plain")
    typed = lab.container("typed", config=Config(open_stdin=True, tty=True))
    assert streams.check_attach(plain, "plain", request) == AttachRequest(stdout=True)
    assert streams.check_attach(typed, "typed", request) == AttachRequest(
        stdin=True, stdout=True, framed=False
    )
    silent = AttachRequest(stdout=True)
    assert streams.check_attach(typed, "typed", silent).stdin is False


def test_what_stands_in_the_way(lab: Lab) -> None:
    async def scenario() -> None:
        streams, container = Streams(lab.config, lab.events), lab.container()
        with pytest.raises(InvalidArgument, match=r"ctrl-\?"):
            streams.check_attach(container, "box", AttachRequest(detach_keys="ctrl-?"))
        await lab.lifecycle.start(container)
        move(container, Phase.PAUSED)
        with pytest.raises(Conflict, match="container box is paused, unpause the container before attach"):
            streams.check_attach(container, "box", BOTH)

    run(scenario)


# ---------------------------------------------------------------- who gets the connection


@pytest.mark.parametrize(
    ("request_", "keys"),
    [
        (AttachRequest(stdin=True), b""),
        (AttachRequest(stdin=True, detach_keys="ctrl-a"), b""),  # any byte may come through a pipe
        (AttachRequest(stdout=True, framed=False), b"\x10\x11"),
        (AttachRequest(stderr=True, framed=False, detach_keys="ctrl-a"), b"\x01"),
    ],
)
def test_before_the_start_it_waits_for_it(lab: Lab, request_: AttachRequest, keys: bytes) -> None:
    async def scenario() -> None:
        streams, container, events = Streams(lab.config, lab.events), lab.container(), lab.events.subscribe()
        theirs, ours = client()
        await streams.attach(container, request_, ours, b"typed")
        wanted = Attach(
            1, ours, request_.stdin, request_.stdout, request_.stderr, request_.framed, keys, b"typed"
        )
        assert container.attaching == [wanted]
        await lab.lifecycle.start(container)
        assert theirs.recv(1) == b""
        assert await told(events) == ["attach", "start"]

    run(scenario)


def test_while_it_runs_it_goes_to_its_monitor(lab: Lab) -> None:
    async def scenario() -> None:
        streams, container = Streams(lab.config, lab.events), lab.container()
        await lab.lifecycle.start(container)
        for _ in range(2):
            theirs, ours = client()
            await streams.attach(container, BOTH, ours)
            assert theirs.recv(1) == b""  # the daemon's copy is closed
        assert container.attaching == []
        assert lab.executor.last is not None and lab.executor.last.attached == [1, 2]

    run(scenario)


@pytest.mark.parametrize("runs", [True, False])
def test_who_wants_no_stream_is_done(lab: Lab, runs: bool) -> None:
    async def scenario() -> None:
        streams, container = Streams(lab.config, lab.events), lab.container()
        if runs:
            await lab.lifecycle.start(container)
        theirs, ours = client()
        await streams.attach(container, AttachRequest(stream=False, stdout=True), ours)
        assert theirs.recv(1) == b""
        assert container.attaching == []
        assert lab.executor.last is None or lab.executor.last.attached == []

    run(scenario)


def test_who_comes_when_it_is_gone_is_let_go(lab: Lab) -> None:
    async def scenario() -> None:
        streams, container = Streams(lab.config, lab.events), lab.container()
        await lab.lifecycle.remove(container, force=False)
        theirs, ours = client()
        await streams.attach(container, BOTH, ours)
        assert (theirs.recv(1), container.attaching) == (b"", [])

    run(scenario)


# ---------------------------------------------------------------- what was said before


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (AttachRequest(stream=False, logs=True, stdout=True, framed=False), b"out\n"),
        (AttachRequest(stream=False, logs=True, stderr=True, framed=False), b"err\n"),
        (
            AttachRequest(stream=False, logs=True, stdout=True, stderr=True),
            b"\1\0\0\0\0\0\0\4out\n\2\0\0\0\0\0\0\4err\n",
        ),
        (AttachRequest(stream=False, stdout=True), b""),
    ],
)
def test_history(lab: Lab, request_: AttachRequest, text: bytes) -> None:
    async def scenario() -> None:
        streams, container = Streams(lab.config, lab.events), lab.container()
        write_log(lab, container)
        theirs, ours = client()
        await streams.attach(container, request_, ours)
        assert theirs.makefile("rb").read() == text

    run(scenario)


def test_history_comes_before_the_present(lab: Lab) -> None:
    """And the connection is still fit for whoever gets it: it may block."""

    async def scenario() -> None:
        streams, container = Streams(lab.config, lab.events), lab.container()
        write_log(lab, container)
        theirs, ours = client()
        await streams.attach(container, AttachRequest(logs=True, stdout=True, framed=False), ours)
        assert theirs.recv(100) == b"out\n"
        (attach,) = container.attaching
        os.write(attach.sock_fd, b"now")
        assert theirs.recv(100) == b"now"
        await lab.lifecycle.remove(container, force=False)

    run(scenario)


def test_logs(lab: Lab) -> None:
    async def scenario() -> None:
        streams, container = Streams(lab.config, lab.events), lab.container()
        write_log(lab, container)
        query = LogsQuery(stdout=True, stderr=False, framed=False)
        assert [batch async for batch in streams.logs(container, query)] == [b"out\n"]
        followed = LogsQuery(stdout=True, stderr=False, framed=False, follow=True)
        assert [batch async for batch in streams.logs(container, followed)] == [b"out\n"]  # it does not run
        with pytest.raises(InvalidArgument, match="you must choose at least one stream"):
            await anext(streams.logs(container, LogsQuery(stdout=False, stderr=False)))

    run(scenario)


# ---------------------------------------------------------------- terminals


def test_a_size_is_for_what_runs(lab: Lab) -> None:
    async def scenario() -> None:
        streams, container, events = Streams(lab.config, lab.events), lab.container(), lab.events.subscribe()
        with pytest.raises(Conflict, match="is not running"):
            await streams.resize(container, 24, 80)
        await lab.lifecycle.start(container)
        await streams.resize(container, 24, 80)
        assert lab.executor.last is not None and lab.executor.last.size == (24, 80)
        events.close()
        said = [event async for batch in events for event in batch]
        assert [event.action for event in said] == ["start", "resize"]
        size = said[-1].actor.attributes
        assert (size["height"], size["width"]) == ("24", "80")

    run(scenario)
