"""What the daemon's memory is made of: what nobody has asked for is not there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.harness.daemon import Daemon
from tests.harness.images import large_archive


def maps(daemon: Daemon, library: str) -> bool:
    """Whether the daemon has a shared library in its memory."""
    return library in Path(f"/proc/{daemon.pid}/maps").read_text()


def anonymous(daemon: Daemon) -> int:
    """kB that are the daemon's own."""
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0])


def test_regular_expressions_are_loaded_for_who_sends_one(fresh_daemon: Callable[..., Daemon]) -> None:
    daemon = fresh_daemon()
    daemon.docker("run", "busybox", "true")
    daemon.docker("ps", "-a")
    assert not maps(daemon, "re2")
    daemon.docker("ps", "-a", "--filter", "name=^some")
    assert maps(daemon, "re2")


def test_explaining_is_loaded_with_the_first_question() -> None:
    program = "import sys, wherry.daemon; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    loaded = {name for name in done.stdout.split() if name.startswith("wherry.engine.explain.")}
    assert loaded == {f"wherry.engine.explain.{name}" for name in ("explainer", "reach", "reach_paths")}


def test_a_load_leaves_little_behind(fresh_daemon: Callable[..., Daemon]) -> None:
    daemon = fresh_daemon(load=False)
    daemon.docker("info")
    before = anonymous(daemon)
    daemon.load(large_archive("large:latest", 2, 200, 4_000_000))
    assert anonymous(daemon) - before < 900


def test_a_created_container_takes_a_few_kilobytes(fresh_daemon: Callable[..., Daemon]) -> None:
    daemon = fresh_daemon()
    body = {"Image": "busybox", "Cmd": ["true"], "Labels": {"of": "what a container costs"}}
    for _ in range(20):
        daemon.api("POST", "/containers/create", body)
    before = anonymous(daemon)
    for _ in range(400):
        assert daemon.api("POST", "/containers/create", body).status == 201
    assert (anonymous(daemon) - before) / 400 < 7.5  # kB
