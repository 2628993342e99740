"""Clients that begin to send an archive and stop: nobody else waits for them."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.harness import images
from tests.harness.daemon import Daemon
from tests.harness.waiting import eventually
from wherry.engine.intake.intake import LIMIT

PATHS = ("/images/load", "/images/create?fromSrc=-&repo=stalled")


@contextmanager
def stalled(daemon: Daemon, count: int, sent: bytes = b"") -> Iterator[list[socket.socket]]:
    """So many uploads of which no more than ``sent`` ever comes."""
    with ExitStack() as stack:
        clients = []
        for number in range(count):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(str(daemon.socket))
            head = f"POST {PATHS[number % len(PATHS)]} HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\n"
            client.sendall(head.encode() + b"Content-Length: 1000000000\r\n\r\n" + sent)
            clients.append(client)
        yield clients


def threads(daemon: Daemon) -> int:
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    return int(status.partition("Threads:")[2].split()[0])


def test_others_go_on_beside_stalled_uploads(daemon: Daemon, docker_cli: str) -> None:
    for sent in (b"", images.busybox_archive()[:3000]):
        with stalled(daemon, 40, sent):
            assert eventually(lambda: threads(daemon) >= 40)
            daemon.docker("info")
            assert daemon.docker("run", "--rm", "busybox", "echo", "on").stdout == "on\n"
            daemon.load(images.docker_archive([], ["beside:1"], {}))
            daemon.docker("rmi", "beside:1")
        assert eventually(lambda: threads(daemon) < 20)  # those who went take their threads along
    assert "never retrieved" not in daemon.log.read_text()
    assert "stalled" not in daemon.docker("images").stdout


def test_uploads_have_a_limit_which_is_told(daemon: Daemon) -> None:
    with stalled(daemon, LIMIT):
        assert eventually(lambda: threads(daemon) >= LIMIT)
        answer = daemon.api("POST", "/images/load", raw=b"")
        assert answer.status == 503
        assert f"{LIMIT} uploads of images are under way" in answer.body["message"]
        assert daemon.api("GET", "/images/json").status == 200
    assert eventually(lambda: daemon.api("POST", "/images/load", raw=b"").status == 400)


def test_stalled_uploads_do_not_keep_a_daemon_from_stopping(fresh_daemon: Callable[..., Daemon]) -> None:
    daemon = fresh_daemon(load=False)
    with stalled(daemon, 20, images.busybox_archive()[:3000]):
        assert eventually(lambda: threads(daemon) >= 20)
        assert daemon.stop() == 0
