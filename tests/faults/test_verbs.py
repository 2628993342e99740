"""The other verbs while the Nth operation fails: all or nothing, and the same verb works when nothing fails."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from tests.faults.faulty import FaultyDaemon
from tests.faults.inject import Kind
from tests.faults.kinds import FILES, LAUNCH, LAUNCHERS, NETLINK, STORE
from tests.faults.sweep import LIMIT, elements, grown, holdings, nothing, report, sweep
from tests.harness.daemon import Answer, UnixConnection
from tests.harness.waiting import eventually

SETTLED = 0.5  # seconds, after which a host is as quiet as it will be
SLEEPER: dict[str, Any] = {"Image": "busybox", "Cmd": ["sleep", "600"]}
PORT = {"PortBindings": {"80/tcp": [{"HostPort": ""}]}}


def created(daemon: FaultyDaemon, name: str, **host: Any) -> str:
    answer = daemon.api("POST", f"/containers/create?name={name}", {**SLEEPER, "HostConfig": host})
    assert answer.status == 201, answer
    return str(answer.body["Id"])


def started(daemon: FaultyDaemon, name: str, **host: Any) -> str:
    id = created(daemon, name, **host)
    assert daemon.api("POST", f"/containers/{id}/start").status == 204
    return id


def names(daemon: FaultyDaemon) -> set[str]:
    return {name for c in daemon.api("GET", "/containers/json?all=1").body for name in c["Names"]}


def swept(
    daemon: FaultyDaemon,
    kind: Kind,
    run: Callable[[], Answer],
    check: Callable[[Answer], Iterator[str]],
    step: int = 1,
    ready: Callable[[], None] = nothing,
) -> None:
    findings = sweep(daemon, kind, run, check, step, ready)
    assert not findings, report(findings)


def home(daemon: FaultyDaemon) -> set[str]:
    """Containers' directories; what goes is in a bin for a moment."""
    return {f.name for f in daemon.sandbox.outside(daemon.data_root / "containers").glob("[!.]*")}


@pytest.mark.parametrize("kind", [STORE, FILES], ids=str)
def test_create(faulty_daemon: FaultyDaemon, kind: Kind) -> None:
    daemon = faulty_daemon
    number = count()
    before: set[str] = set()

    def run() -> Answer:
        before.clear()
        before.update(home(daemon))
        return daemon.api("POST", f"/containers/create?name=new{next(number)}", SLEEPER, timeout=LIMIT)

    def check(answer: Answer) -> Iterator[str]:
        if answer.status == 201:
            return
        if names(daemon):
            yield f"there is a container: {names(daemon)}"
        if home(daemon) != before:
            yield f"there are directories: {home(daemon) - before}"
        again = daemon.api("POST", "/containers/create?name=again", SLEEPER)
        if again.status != 201:
            yield f"the next create: {again}"
        elif daemon.api("DELETE", "/containers/again").status != 204:
            yield "it cannot be removed"

    swept(daemon, kind, run, check)


@pytest.mark.parametrize("kind", [STORE, FILES], ids=str)
def test_remove(faulty_daemon: FaultyDaemon, kind: Kind) -> None:
    daemon = faulty_daemon

    def ready() -> None:
        created(daemon, "old")

    def run() -> Answer:
        return daemon.api("DELETE", "/containers/old", timeout=LIMIT)

    def check(answer: Answer) -> Iterator[str]:
        there = names(daemon) == {"/old"}
        if there != (answer.status != 204):
            yield f"answered {answer.status}, and there is {names(daemon)}"
        if there and daemon.api("DELETE", "/containers/old").status != 204:
            yield "it cannot be removed any more"
        if names(daemon) or home(daemon):
            yield f"left: {names(daemon)} {home(daemon)}"

    swept(daemon, kind, run, check, ready=ready)


def test_a_removal_that_fails_keeps_the_whole_container(faulty_daemon: FaultyDaemon) -> None:
    """Neither the record without its files nor the files without their record, also for a later daemon."""
    daemon = faulty_daemon
    id = created(daemon, "kept")
    daemon.injector.arm(STORE, 1, times=100)
    answer = daemon.api("DELETE", "/containers/kept")
    assert daemon.injector.disarm() and answer.status == 500
    assert (
        "cannot be removed" in answer.body["message"]
        and "cannot read or write the store" in answer.body["message"]
    )
    assert daemon.inspect("kept")["State"]["Status"] == "dead"
    daemon.restart()
    assert daemon.inspect("kept")["State"]["Status"] == "created"
    assert daemon.api("POST", f"/containers/{id}/start").status == 204
    assert daemon.api("DELETE", f"/containers/{id}?force=1").status == 204


@pytest.mark.parametrize("kind", [STORE, FILES], ids=str)
def test_rename(faulty_daemon: FaultyDaemon, kind: Kind) -> None:
    """The name that the answer tells is the name in every list, also a later daemon's."""
    daemon = faulty_daemon
    created(daemon, "first")
    number = count()
    now = ["first"]
    wish = [""]

    def run() -> Answer:
        wish[0] = f"name{next(number)}"
        return daemon.api("POST", f"/containers/{now[0]}/rename?name={wish[0]}", timeout=LIMIT)

    def check(answer: Answer) -> Iterator[str]:
        if answer.status == 204:
            now[0] = wish[0]
        if names(daemon) != {f"/{now[0]}"}:
            yield f"answered {answer.status}, and it is {names(daemon)}"
        if daemon.inspect(now[0])["Name"] != f"/{now[0]}":
            yield "inspect has another name"

    if kind is FILES:  # it touches none
        daemon.injector.arm(FILES, 0)
        run()
        assert daemon.injector.count == 0
        return
    swept(daemon, kind, run, check)
    daemon.restart()
    assert names(daemon) == {f"/{now[0]}"}


def test_exec(faulty_daemon: FaultyDaemon) -> None:
    daemon = faulty_daemon
    id = started(daemon, "base")
    execs(daemon, id)
    before = holdings(daemon)

    def check(answer: Answer) -> Iterator[str]:
        yield from grown(daemon, before)
        if execs(daemon, id).status != 200:
            yield "the next exec fails"
        yield from grown(daemon, before)

    swept(daemon, LAUNCH, lambda: execs(daemon, id), check)
    swept(daemon, LAUNCHERS, lambda: execs(daemon, id), check, 5)


def execs(daemon: FaultyDaemon, id: str) -> Answer:
    """Run ``exit 3`` to its end; the start's answer, or what was not as it should be."""
    made = daemon.api("POST", f"/containers/{id}/exec", {"Cmd": ["sh", "-c", "exit 3"]}, timeout=LIMIT)
    if made.status != 201:
        return made
    answer = daemon.api("POST", f"/exec/{made.body['Id']}/start", {"Detach": True}, timeout=LIMIT)

    def seen() -> Any:
        return daemon.api("GET", f"/exec/{made.body['Id']}/json").body

    if not eventually(lambda: not seen()["Running"], LIMIT):
        return Answer(0, f"it does not end: {seen()}")
    state = seen()
    expected = (3,) if answer.status == 200 else (126, 127, 128)
    return answer if state["ExitCode"] in expected else Answer(0, f"recorded as {state}")


@pytest.mark.parametrize("kind", [STORE, FILES, NETLINK, LAUNCHERS], ids=str)
def test_exit(faulty_daemon: FaultyDaemon, kind: Kind) -> None:
    """Whatever fails when a container ends: who waits is answered, nothing stays, it can start again."""
    daemon = faulty_daemon
    id = created(daemon, "ends", **PORT)
    before: dict[str, int] = {}

    def ready() -> None:
        assert daemon.api("POST", f"/containers/{id}/start", timeout=LIMIT).status == 204

    def run() -> Answer:
        assert daemon.api("POST", f"/containers/{id}/kill", timeout=LIMIT).status == 204
        answer = daemon.api("POST", f"/containers/{id}/wait", timeout=LIMIT)
        grown(daemon, before)  # the monitor's last calls are of the run too
        return answer

    def check(answer: Answer) -> Iterator[str]:
        state = daemon.inspect(id)["State"]
        if answer.body != {"StatusCode": 137} or state["Status"] != "exited" or state["ExitCode"] != 137:
            yield f"answered {answer}, recorded as {state}"
        yield from grown(daemon, before)

    ready()
    daemon.api("POST", f"/containers/{id}/kill")
    before.update(holdings(daemon))
    time.sleep(SETTLED)
    before.update(holdings(daemon))
    swept(daemon, kind, run, check, ready=ready)
    daemon.remove_containers()
    assert elements(daemon) == ""


@pytest.mark.parametrize("kind", [STORE, FILES, NETLINK], ids=str)
def test_exit_of_what_removes_itself(faulty_daemon: FaultyDaemon, kind: Kind) -> None:
    """``docker run --rm``: who waits for the removal is answered, with what stood in its way."""
    daemon = faulty_daemon
    number = count()
    waits: list[Waiting] = []
    before: dict[str, int] = {}

    def ready() -> None:
        waits[:] = [Waiting(daemon, started(daemon, f"brief{next(number)}", AutoRemove=True, **PORT))]

    def run() -> Answer:
        assert daemon.api("POST", f"/containers/{waits[0].id}/kill", timeout=LIMIT).status == 204
        return waits[0].answer()

    def check(answer: Answer) -> Iterator[str]:
        left = daemon.api("GET", f"/containers/{waits[0].id}/json").status == 200
        if left != ("Error" in answer.body):
            yield f"answered {answer}, and there {'is' if left else 'is not'} a container"
        if left and daemon.api("DELETE", f"/containers/{waits[0].id}").status != 204:
            yield "it cannot be removed any more"
        yield from grown(daemon, before)

    ready()
    run()
    time.sleep(SETTLED)
    before.update(holdings(daemon))
    swept(daemon, kind, run, check, ready=ready)
    assert elements(daemon) == ""


class Waiting:
    """A client that waits for a container's removal, registered before this returns."""

    def __init__(self, daemon: FaultyDaemon, id: str) -> None:
        self.id = id
        self._connection = UnixConnection(daemon.socket, LIMIT)
        self._connection.request("POST", f"/containers/{id}/wait?condition=removed")
        self._reply = self._connection.getresponse()  # its head comes at once

    def answer(self) -> Answer:
        body = json.loads(self._reply.read())
        self._connection.close()
        return Answer(self._reply.status, body)
