"""A start in which the Nth operation fails: a clear error, nothing left, and the next start works."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.faulty import FaultyDaemon
from tests.faults.inject import Kind
from tests.faults.kinds import FILES, LAUNCH, LAUNCHERS, MOUNTS, NAMESPACE, NETLINK, STORE
from tests.faults.sweep import LIMIT, elements, grown, holdings, report, sweep
from tests.harness.daemon import Answer
from wherry.engine.lifecycle import SAVE_SECONDS

BODY: dict[str, Any] = {
    "Image": "busybox",
    "Cmd": ["sh", "-c", "echo hello; exit 7"],
    "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": ""}]}},
}


class Starts:
    """A container that is started again and again; its command ends with 7."""

    def __init__(self, daemon: FaultyDaemon, host: dict[str, Any] | None = None, **wishes: Any) -> None:
        self.daemon = daemon
        self.started = False
        body = {**BODY, **wishes, "HostConfig": {**BODY["HostConfig"], **(host or {})}}
        answer = daemon.api("POST", "/containers/create?name=again", body)
        assert answer.status == 201, answer
        assert self.whole() == []
        self.before = holdings(daemon)

    def run(self) -> Answer:
        """Start it and wait for its end; the answer is the start's, or the wait's if that is wrong."""
        answer = self.daemon.api("POST", "/containers/again/start", timeout=LIMIT)
        self.started = answer.status == 204
        if not self.started:
            return answer
        waited = self.daemon.api("POST", "/containers/again/wait", timeout=LIMIT)
        return answer if waited.body == {"StatusCode": 7} else waited

    def whole(self) -> list[str]:
        """A start without a fault."""
        answer = self.run()
        return [] if answer.status == 204 else [f"the next start: {answer}"]

    def check(self, answer: Answer) -> Iterator[str]:
        state = self.daemon.inspect("again")["State"]
        if not self.started:
            if answer.status not in (400, 404, 500, 503):
                yield f"status {answer.status}"
            if not state["Error"] or not state["ExitCode"]:
                yield f"recorded as {state}"
        elif answer.status != 204:
            yield f"it ended as {answer}"
        if state["Status"] != "exited" or state["Running"] or state["Pid"]:
            yield f"recorded as {state}"
        yield from grown(self.daemon, self.before)
        yield from self.whole()
        yield from grown(self.daemon, self.before)

    def run_and_record(self) -> Answer:
        """The same until it is in the store, too, which comes behind the answers."""
        answer = self.run()
        time.sleep(4 * SAVE_SECONDS)
        return answer


def swept(daemon: FaultyDaemon, kind: Kind, step: int, **wishes: Any) -> None:
    starts = Starts(daemon, **wishes)
    findings = sweep(daemon, kind, starts.run_and_record if kind is STORE else starts.run, starts.check, step)
    assert not findings, report(findings)
    assert elements(daemon) == ""


@pytest.mark.parametrize("kind", [STORE, NETLINK, NAMESPACE, FILES, LAUNCH], ids=str)
def test_a_failing_operation_of_the_daemon(faulty_daemon: FaultyDaemon, kind: Kind) -> None:
    swept(faulty_daemon, kind, 1)


def test_a_failing_mount_of_the_daemon(faulty_daemon: FaultyDaemon) -> None:
    swept(faulty_daemon, MOUNTS, 1, host={"IpcMode": "shareable"})


def test_a_failing_call_of_the_launcher_for_mounts_of_every_kind(faulty_daemon: FaultyDaemon) -> None:
    binds = ["/:/all", "/usr:/some:ro"]  # the first has the data root in it, and so is a slave
    host = {"IpcMode": "shareable", "Binds": binds, "Tmpfs": {"/t": "shared"}, "ReadonlyRootfs": True}
    swept(faulty_daemon, LAUNCHERS, 9, Volumes={"/data": {}}, host=host)


def test_a_failing_call_of_the_launcher(faulty_daemon: FaultyDaemon) -> None:
    swept(faulty_daemon, LAUNCHERS, 7)


def test_a_failing_call_of_the_launcher_for_a_terminal_a_user_and_an_init(
    faulty_daemon: FaultyDaemon,
) -> None:
    swept(faulty_daemon, LAUNCHERS, 9, Tty=True, OpenStdin=True, User="user", host={"Init": True})


@pytest.mark.slow
def test_every_failing_call_of_the_launcher(faulty_daemon: FaultyDaemon) -> None:
    swept(faulty_daemon, LAUNCHERS, 1)
