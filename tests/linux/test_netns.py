"""Network namespaces by descriptor, and the parameters in them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from tests.network.lab import network_descriptors, private_host
from wherry.linux import netns, sysctl


@pytest.fixture(autouse=True)
def private() -> Iterator[int]:
    with private_host() as host:
        yield host


def test_create_comes_back(private: int) -> None:
    fd, seen = netns.create(socket.if_nameindex, private)
    here = netns.current()
    assert seen == [(1, "lo")]
    assert netns.same(here, private) and not netns.same(fd, private)
    os.close(here)
    os.close(fd)


def test_create_comes_back_from_a_failure(private: int) -> None:
    held = network_descriptors()

    def fail() -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        netns.create(fail, private)
    here = netns.current()
    assert netns.same(here, private)
    os.close(here)
    assert network_descriptors() == held


def test_a_socket_stays_where_it_was_made(private: int) -> None:
    fd, _ = netns.create(lambda: None, private)
    with netns.inside(fd):
        made = socket.socket()
    with made, pytest.raises(OSError, match="unreachable"):
        made.connect(("127.0.0.1", 9))  # lo is down there
    os.close(fd)


def test_entering_what_is_no_namespace_fails() -> None:
    with open("/dev/null") as nothing, pytest.raises(OSError, match="setns"):
        netns.enter(nothing.fileno())


def test_parameters_are_of_the_namespace(private: int) -> None:
    fd, _ = netns.create(lambda: None, private)
    with netns.inside(fd):
        assert sysctl.ensure("net/ipv4/ip_forward", "1")
        assert not sysctl.ensure("net/ipv4/ip_forward", "1")
        assert sysctl.read("net/ipv4/ip_forward") == "1"
    assert sysctl.read("net/ipv4/ip_forward") == "0"
    os.close(fd)


def test_parameter_errors_name_the_file() -> None:
    with pytest.raises(OSError, match="/proc/sys/net/ipv4/ip_forward"):
        sysctl.write("net/ipv4/ip_forward", "nonsense")
    with pytest.raises(FileNotFoundError):
        sysctl.read("net/ipv4/no_such")
