"""The embedded default: the command line starts an engine where none listens, once, and says why where it cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.harness.daemon import ROOT, WHERRY
from tests.harness.sandbox import Sandbox
from wherry.cli.embedded import may_start
from wherry.cli.host import parse_host

PREPARE = """set -e
mount -t tmpfs tmpfs /run
mkdir -p {state}/upper {state}/work
mount -t overlay overlay -o lowerdir=/etc,upperdir={state}/upper,workdir={state}/work /etc
mkdir -p /etc/wherry
cat >/etc/wherry/daemon.json"""
COMMAND = [sys.executable, "-c", WHERRY]


@pytest.fixture
def place() -> Iterator[tuple[Sandbox, dict[str, str]]]:
    """A sandbox with a ``/run`` and ``/etc/wherry`` of its own, and the environment for a command line in it."""
    with Sandbox() as sandbox:
        sandbox.run(
            PREPARE.format(state=sandbox.state), input=json.dumps({"cgroup-parent": sandbox.cgroup_parent})
        )
        environment = {
            key: value for key, value in os.environ.items() if key not in ("DOCKER_HOST", "WHERRY_HOST")
        }
        environment |= {
            "PYTHONPATH": str(ROOT / "src"),
            "WHERRY_DATA_ROOT": str(sandbox.state / "data"),
            "WHERRY_EXEC_ROOT": str(sandbox.state / "run"),
        }
        yield sandbox, environment


def engines(sandbox: Sandbox) -> list[str]:
    return [line for line in sandbox.processes().values() if "--idle-exit" in line]


def start(sandbox: Sandbox, environment: dict[str, str], *words: str) -> subprocess.Popen[bytes]:
    return sandbox.popen([*COMMAND, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_several_at_once_start_one_engine(place: tuple[Sandbox, dict[str, str]]) -> None:
    sandbox, environment = place
    clients = [start(sandbox, environment, "version", "--format", "{{.Server.ApiVersion}}") for _ in range(4)]
    answers = [client.communicate(timeout=60) for client in clients]
    assert [client.returncode for client in clients] == [0] * 4, answers
    assert len({out for out, _ in answers}) == 1
    (engine,) = engines(sandbox)
    assert "unix:///run/wherry/wherry.sock" in engine and str(sandbox.state / "data") in engine
    begin = time.monotonic()
    assert start(sandbox, environment, "ps").wait(30) == 0
    assert time.monotonic() - begin < 5
    assert engines(sandbox) == [engine]


def test_an_engine_that_cannot_start_says_why(place: tuple[Sandbox, dict[str, str]]) -> None:
    sandbox, environment = place
    sandbox.run(f"mkdir -p {sandbox.state} && touch {sandbox.state}/data")
    client = start(sandbox, environment, "run", "--rm", "busybox")
    _, err = client.communicate(timeout=60)
    assert client.returncode == 125
    assert err.decode().startswith("wherry: the engine did not start: wherryd: ") and b"Traceback" not in err
    assert engines(sandbox) == []


def test_another_socket_is_not_served_unasked(place: tuple[Sandbox, dict[str, str]]) -> None:
    sandbox, environment = place
    other = f"unix://{sandbox.base}/other.sock"
    refused = start(sandbox, {**environment, "DOCKER_HOST": other}, "ps")
    _, err = refused.communicate(timeout=30)
    assert refused.returncode == 1
    assert err.decode() == f"wherry: Cannot connect to the Wherry daemon at {other}. Is the daemon running?\n"
    asked = start(sandbox, {**environment, "DOCKER_HOST": other, "WHERRY_AUTOSTART": "1"}, "ps", "-q")
    assert asked.communicate(timeout=60) == (b"", b"")
    assert asked.returncode == 0 and len(engines(sandbox)) == 1


@pytest.mark.parametrize(
    ("url", "environment", "allowed"),
    [
        ("unix:///run/wherry/wherry.sock", {}, True),
        ("unix:///run/wherry/wherry.sock", {"WHERRY_AUTOSTART": "0"}, False),
        ("unix:///other.sock", {}, False),
        ("unix:///other.sock", {"WHERRY_AUTOSTART": "1"}, True),
        ("tcp://127.0.0.1:1", {"WHERRY_AUTOSTART": "1"}, False),
    ],
)
def test_where_an_engine_may_be_started(url: str, environment: dict[str, str], allowed: bool) -> None:
    assert may_start(parse_host(url), environment) is allowed
