"""A daemon that starts while the Nth operation fails: it comes up, or says why not; and then the next one comes up."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.faults.faulty import FaultyDaemon
from tests.faults.inject import Kind
from tests.faults.kinds import FILES, NAMESPACE, NETLINK, STORE
from tests.faults.sweep import BARE

SAID = re.compile(rb"^wherryd: (.+)$", re.MULTILINE)


@pytest.fixture
def left(busybox_archive: bytes) -> Callable[[], FaultyDaemon]:  # type: ignore[misc]
    """A killed daemon's host: a container that runs, one that has ended since, one that removes itself."""
    with FaultyDaemon(("--network-pool", "0")).with_image(busybox_archive) as daemon:
        daemon.injector.disarm()
        port = {"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}
        for name, command, host in (
            ("runs", "sleep 600", port),
            ("ended", "exit 5", {}),
        ):
            body = {"Image": "busybox", "Cmd": ["sh", "-c", command], "HostConfig": host}
            assert daemon.api("POST", f"/containers/create?name={name}", body).status == 201
            assert daemon.api("POST", f"/containers/{name}/start").status == 204
        assert daemon.api("POST", "/containers/ended/wait").body == {"StatusCode": 5}
        daemon.kill9()
        yield daemon


def comes_up(daemon: FaultyDaemon) -> bool:
    try:
        daemon.wait_ready(20)
    except RuntimeError:
        assert not daemon.running, "it hangs"
        return False
    return True


def wrong(daemon: FaultyDaemon, kind: Kind, nth: int) -> tuple[str, str]:
    """Start with a fault; what failed, and what was wrong."""
    begin = daemon.log.stat().st_size
    daemon.start(wait=False, fault=(kind, nth))
    up = comes_up(daemon)
    failed = daemon.injector.disarm()
    said = SAID.findall(daemon.log.read_bytes()[begin:])
    if up:
        daemon.kill9()
        return failed, ""
    text = said[-1].decode() if said else daemon.log_tail(3)
    return failed, text if not said or BARE.search(text) or " " not in text else ""


@pytest.mark.parametrize(("kind", "step"), [(STORE, 17), (NETLINK, 4), (NAMESPACE, 1), (FILES, 7)], ids=str)
def test_start_with_a_failing_operation(left: FaultyDaemon, kind: Kind, step: int) -> None:
    findings = []
    for nth in range(1, 400, step):
        failed, text = wrong(left, kind, nth)
        if text:
            findings.append(f"{nth}: {failed}\n    {text}")
        if not failed:
            break
    assert not findings, "\n".join(findings)
    left.start()
    states = {c["Names"][0]: c["State"] for c in left.api("GET", "/containers/json?all=1").body}
    assert states == {"/runs": "running", "/ended": "exited"}
    assert left.inspect("ended")["State"]["ExitCode"] == 5
    assert left.docker("exec", "runs", "echo", "here").stdout == "here\n"
    left.remove_containers()
    assert left.stop() == 0
    assert left.leaks() == []
