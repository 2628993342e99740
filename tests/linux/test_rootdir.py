"""A process in a chroot is known, and an engine does not start there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.daemon import Daemon
from wherry.linux.rootdir import in_chroot


@pytest.fixture
def daemon_elsewhere() -> Iterator[Daemon]:
    daemon = Daemon()
    yield daemon
    daemon.close()


def test_this_process_is_in_none() -> None:
    assert not in_chroot()


def test_an_engine_in_a_chroot_would_let_an_exec_out_of_it(daemon_elsewhere: Daemon) -> None:
    daemon = daemon_elsewhere
    root = daemon.sandbox.state / "root"
    daemon.sandbox.run(f"mkdir {root} && mount --rbind / {root}")
    daemon.under = ["chroot", str(root)]
    with pytest.raises(RuntimeError, match="wherryd runs in a chroot"):
        daemon.start()
