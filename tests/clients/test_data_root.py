"""Who may start an engine; data roots with names that an overlay's options have to be told apart from."""

from __future__ import annotations

import sys

import pytest

from tests.harness.daemon import Daemon

pytestmark = pytest.mark.usefixtures("docker_cli")


@pytest.mark.parametrize("name", ["with,comma", "with:colon", "with\\backslash", ",:\\ all"])
def test_odd_names(name: str, busybox_archive: bytes) -> None:
    """From Linux 6.5 on each layer is told by itself; before, all are one text, with backslashes in it."""
    daemon = Daemon()
    daemon.data_root = daemon.sandbox.state / name
    try:
        daemon.start()
        daemon.load(busybox_archive)
        done = daemon.docker(
            "run", "--name", "c1", "busybox", "sh", "-c", "echo kept > /kept; cat /etc/passwd"
        )
        assert done.stdout.startswith("root:")
        assert daemon.docker("start", "-a", "c1").stdout.startswith("root:")
        (upper,) = daemon.sandbox.outside(daemon.data_root / "containers").glob("[!.]*/upper/kept")
        assert upper.read_text() == "kept\n"
    finally:
        daemon.close()


def test_only_root_can_start_an_engine(daemon: Daemon) -> None:
    code = "import os; os.setgid(65534); os.setuid(65534); from wherry.daemon import main; raise SystemExit(main([]))"
    done = daemon.run_in_ns([sys.executable, "-c", f"import wherry.daemon; {code}"], check=False)
    assert done.returncode == 1
    assert done.stderr == "wherryd: only root can start the engine: run this with sudo\n"
