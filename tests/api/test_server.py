"""The socket itself."""

from __future__ import annotations

import grp
import os
import socket
import stat
import time
from pathlib import Path

import pytest

from tests.api.client import Api
from tests.api.conftest import Served
from wherry.api.listen import open_sockets
from wherry.errors import InvalidArgument, Unavailable


def docker_group() -> int:
    try:
        return grp.getgrnam("docker").gr_gid
    except KeyError:
        return os.getegid()


def test_who_may_use_it(served: Served) -> None:
    status = served.path.stat()
    assert stat.S_IMODE(status.st_mode) == 0o660
    assert (status.st_uid, status.st_gid) == (os.geteuid(), docker_group())


def test_a_socket_that_nobody_serves_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "api.sock"
    (first,) = open_sockets([f"unix://{path}"])
    first.close()
    assert path.exists()
    (second,) = open_sockets([f"unix://{path}"])
    second.close()


def test_a_socket_that_somebody_serves_is_not(served: Served) -> None:
    with pytest.raises(Unavailable, match="another daemon listens there"):
        open_sockets([f"unix://{served.path}"])
    assert Api(served.path).get("/_ping").status == 200


def test_a_file_that_is_no_socket_is_not(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(Unavailable, match="not a socket"):
        open_sockets([f"unix://{path}"])
    assert path.read_text() == "precious"


@pytest.mark.parametrize(
    "host", ["tcp://127.0.0.1:2375", "tcp://0.0.0.0:2376", "/run/x.sock", "unix://", "fd://"]
)
def test_addresses_that_are_refused(host: str) -> None:
    with pytest.raises(InvalidArgument):
        open_sockets([host])


def test_all_or_none(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="TCP is not served"):
        open_sockets([f"unix://{tmp_path}/one.sock", "tcp://127.0.0.1:1"])
    (again,) = open_sockets([f"unix://{tmp_path}/one.sock"])
    again.close()


def test_closing_ends_streams_and_removes_the_file(tmp_path: Path) -> None:
    served = Served(tmp_path)
    api = Api(served.path)
    with api.wire() as streaming, api.wire() as idle:
        idle.request("GET", "/_ping")
        assert idle.reply().status == 200
        streaming.request("GET", "/events")
        assert streaming.read_head()[0] == 200
        started = time.monotonic()
        served.close()
        assert time.monotonic() - started < 1
        assert streaming.read_all() in (b"", b"0\r\n\r\n")
        assert idle.read_all() == b""
    assert not served.path.exists()
    with pytest.raises(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(served.path))
