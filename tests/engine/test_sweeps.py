"""What goes on writing in a removed container's root: no sweep ends by it, no engine fails to start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.daemon import Daemon
from tests.harness.waiting import eventually

WRITE = """
i=0
while :; do
    i=$((i + 1))
    mkdir -p /deep/$i/a/b && echo x >/deep/$i/a/b/file && echo x >/file$((i % 100))
done 2>/dev/null
"""


@pytest.fixture
def written(fresh_daemon: Callable[..., Daemon]) -> Iterator[tuple[Daemon, str]]:
    """A removed container, in whose root a process goes on writing: in its mounts, not in its cgroups."""
    daemon = fresh_daemon()
    id = daemon.docker("run", "-d", "busybox", "sleep", "600").stdout.strip()
    pid = daemon.inspect(id)["State"]["Pid"]
    writer = daemon.sandbox.popen(["nsenter", "-t", str(pid), "--mount", "--root", "/bin/sh", "-c", WRITE])
    try:
        upper = daemon.sandbox.outside(daemon.data_root / "containers" / id / "upper")
        assert eventually((upper / "deep").exists)
        daemon.docker("rm", "-f", id)
        yield daemon, id
    finally:
        writer.kill()
        writer.wait()


def bin_of(daemon: Daemon) -> Path:
    return daemon.sandbox.outside(daemon.data_root / "containers" / ".trash")


def test_the_others_directories_go(written: tuple[Daemon, str]) -> None:
    daemon, id = written
    for _ in range(3):
        daemon.docker("run", "--rm", "busybox", "true")
    assert eventually(lambda: {path.name[:64] for path in bin_of(daemon).iterdir()} <= {id}, 20)


def test_an_engine_starts_and_stops_meanwhile(written: tuple[Daemon, str]) -> None:
    daemon, id = written
    assert daemon.stop() == 0
    daemon.start()
    daemon.kill9()
    daemon.start()
    assert daemon.docker("run", "--rm", "busybox", "echo", "on").stdout == "on\n"
    assert eventually(lambda: {path.name[:64] for path in bin_of(daemon).iterdir()} <= {id}, 20)


def test_it_goes_when_the_writer_does(fresh_daemon: Callable[..., Daemon]) -> None:
    daemon = fresh_daemon()
    id = daemon.docker("run", "-d", "busybox", "sleep", "600").stdout.strip()
    pid = daemon.inspect(id)["State"]["Pid"]
    writer = daemon.sandbox.popen(["nsenter", "-t", str(pid), "--mount", "--root", "/bin/sh", "-c", WRITE])
    daemon.docker("rm", "-f", id)
    writer.kill()
    writer.wait()
    assert daemon.stop() == 0
    assert daemon.leaks(20) == []
