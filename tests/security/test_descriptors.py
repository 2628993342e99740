"""A daemon without a descriptor to spare, or without a journal that can be read: what fails says why, in its place."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.harness.daemon import Daemon
from wherry.engine.names import new_id

ENOUGH = 20_000
ANSWERED = 45.0  # seconds: a bound against a hang, no more


@contextmanager
def spare(daemon: Daemon, descriptors: int) -> Iterator[None]:
    """The daemon can open so many files more, meanwhile."""
    limit(daemon, len(os.listdir(f"/proc/{daemon.pid}/fd")) + descriptors)
    try:
        yield
    finally:
        limit(daemon, ENOUGH)


def limit(daemon: Daemon, files: int) -> None:
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (files, ENOUGH))


@pytest.fixture
def name(daemon: Daemon) -> Iterator[str]:
    """A container that runs."""
    name = new_id()[:12]
    daemon.docker("run", "-d", "--name", name, "busybox", "sleep", "600")
    yield name
    daemon.remove_containers()


@pytest.mark.parametrize("descriptors", range(1, 8))
def test_an_exec_says_why_it_cannot_be(daemon: Daemon, name: str, descriptors: int) -> None:
    with spare(daemon, descriptors):
        done = daemon.docker("exec", name, "echo", "on", check=False, timeout=ANSWERED)
    assert done.stdout == "on\n" or "too many open files" in done.stdout + done.stderr
    assert daemon.docker("exec", name, "echo", "on").stdout == "on\n"


@pytest.mark.parametrize("content", [b"{half a li", b"[]", None], ids=["no JSON", "a list", "nothing"])
def test_a_journal_that_cannot_be_read(fresh_daemon: Callable[..., Daemon], content: bytes | None) -> None:
    """The container runs, and nobody is told otherwise."""
    daemon = fresh_daemon()
    id = daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "600").stdout.strip()
    journal = daemon.sandbox.outside(daemon.exec_root / "containers" / id / "launch.json")
    if content is None:
        journal.unlink()
    else:
        journal.write_bytes(content)
    for verb in (("exec", "box", "true"), ("top", "box")):
        done = daemon.docker(*verb, check=False)
        said = done.stdout + done.stderr
        assert done.returncode != 0 and "is not running" not in said
        assert ("no such file" if content is None else "launch.json is damaged") in said
    daemon.docker("restart", "-t", "0", "box")
    assert daemon.docker("exec", "box", "echo", "on").stdout == "on\n"


def test_ports_leave_descriptors_for_all_else(daemon: Daemon) -> None:
    exposed = {f"{port}/tcp": {} for port in range(1, 4001)}
    body = {"Image": "busybox", "ExposedPorts": exposed, "HostConfig": {"PublishAllPorts": True}}
    created = daemon.api("POST", "/containers/create", body)
    with spare(daemon, 5000):
        refused = daemon.api("POST", f"/containers/{created.body['Id']}/start", timeout=ANSWERED)
        assert refused.status == 503 and "LimitNOFILE" in refused.body["message"]
        daemon.docker("run", "--rm", "-p", "8080:80", "busybox", "true")
    daemon.remove_containers()
