"""A running container whose ``launch.json`` cannot be read: the kernel knows what it holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.daemon import Daemon

pytestmark = pytest.mark.usefixtures("docker_cli")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize("damage", [Path.unlink, truncate])
def test_what_runs_keeps_what_it_has(daemon: Daemon, damage: Callable[[Path], None]) -> None:
    """Address and ports are not given to others, the container can be entered, and the log says what was wrong."""
    docker = daemon.docker
    docker("run", "-d", "--name", "web", "-p", "18081:81", "-p", "0:80/udp", "busybox", "sleep", "1000")
    docker("run", "-d", "--name", "alone", "--network", "none", "busybox", "sleep", "1000")
    docker("run", "-d", "--name", "with", "--network", "container:web", "busybox", "sleep", "1000")
    before = [daemon.inspect(name)["NetworkSettings"] for name in ("web", "alone", "with")]
    ids = [daemon.inspect(name)["Id"] for name in ("web", "alone", "with")]
    daemon.kill9()
    for id in ids:
        damage(daemon.sandbox.outside(daemon.exec_root / "containers" / id / "launch.json"))
    daemon.start()

    after = [daemon.inspect(name)["NetworkSettings"] for name in ("web", "alone", "with")]
    for settings in (*before, *after):  # made up anew
        settings.update(EndpointID="", SandboxID="", SandboxKey="")
        for place in settings["Networks"].values():
            place["EndpointID"] = ""
    assert after == before
    for name, id in zip(("web", "alone", "with"), ids, strict=True):
        assert docker("exec", name, "echo", "entered").stdout == "entered\n"
        assert f"container {id[:12]} runs, and its launch.json is not there or damaged" in daemon.log_tail()
    others = [docker("run", "-d", "busybox", "sleep", "1000").stdout.strip() for _ in range(9)]
    assert before[0]["IPAddress"] not in [daemon.inspect(i)["NetworkSettings"]["IPAddress"] for i in others]
    taken = docker("run", "--rm", "-p", "18081:81", "busybox", "true", check=False)
    assert "Bind for 0.0.0.0:18081 failed: port is already allocated" in taken.stderr
    daemon.remove_containers()
    daemon.stop()
    assert daemon.leaks() == []
