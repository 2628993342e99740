"""What the daemon's memory is made of: what nobody has asked for is not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.harness.daemon import Daemon


def maps(daemon: Daemon, library: str) -> bool:
    """Whether the daemon has a shared library in its memory."""
    return library in Path(f"/proc/{daemon.pid}/maps").read_text()


def test_regular_expressions_are_loaded_for_who_sends_one(fresh_daemon: Callable[..., Daemon]) -> None:
    daemon = fresh_daemon()
    daemon.docker("run", "busybox", "true")
    daemon.docker("ps", "-a")
    assert not maps(daemon, "re2")
    daemon.docker("ps", "-a", "--filter", "name=^some")
    assert maps(daemon, "re2")
