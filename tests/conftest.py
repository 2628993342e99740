"""Fixtures: real daemons, each in namespaces of its own, and the images that they run."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import FrameType

import pytest

from tests.harness import images
from tests.harness.daemon import Daemon, docker_command
from wherry.linux import libc

SECONDS, SLOW_SECONDS = 120, 600
CLONE_NEWUTS = 0x04000000


def pytest_configure() -> None:
    """A host name of our own: a plan whose first process is in no new UTS namespace has once renamed the machine."""
    if os.geteuid() == 0:
        libc.call("unshare", CLONE_NEWUTS, about="unshare the host name")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """A test that hangs fails, and says where it hung."""

    def too_long(number: int, frame: FrameType | None) -> None:
        raise TimeoutError("the test took too long")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SLOW_SECONDS if item.get_closest_marker("slow") else SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def busybox_tar() -> bytes:
    """The root filesystem of a busybox image, as ``docker import`` takes it."""
    return images.busybox_layer()


@pytest.fixture(scope="session")
def busybox_archive() -> bytes:
    """An image ``busybox:latest``, as ``docker load`` takes it."""
    return images.busybox_archive()


@pytest.fixture(scope="session")
def debian_tar() -> Path:
    """A Debian root filesystem by debootstrap (about a minute the first time, then from a cache)."""
    made = images.debian_tar()
    if made is None:
        pytest.skip("no Debian mirror can be reached")
    return made


@pytest.fixture
def fresh_daemon(busybox_archive: bytes) -> Iterator[Callable[..., Daemon]]:
    """``fresh_daemon(*options, load=True)`` starts a daemon that only this test uses."""
    made: list[Daemon] = []

    def start(*options: str, load: bool = True) -> Daemon:
        daemon = Daemon(options)
        made.append(daemon)
        daemon.start()
        if load:
            daemon.load(busybox_archive)
        return daemon

    yield start
    for daemon in made:
        daemon.close()


@pytest.fixture(scope="module")
def module_daemon(busybox_archive: bytes) -> Iterator[Daemon]:
    with Daemon().with_image(busybox_archive) as daemon:
        yield daemon


@pytest.fixture
def daemon(module_daemon: Daemon) -> Iterator[Daemon]:
    """A daemon with ``busybox:latest``, shared by a module's tests; each begins and ends without containers."""
    yield module_daemon
    if not module_daemon.running:
        module_daemon.start()
    module_daemon.remove_containers()


@pytest.fixture
def shared_folder(daemon: Daemon) -> Path:
    """A folder that is the same for daemon and test: all else of the machine is under the sandbox's overlay."""
    return Path(tempfile.mkdtemp(dir=daemon.base))


@pytest.fixture(scope="session")
def docker_cli() -> str:
    """The path of an unmodified docker command line."""
    found = docker_command()
    if found is None:
        pytest.skip("no docker command line")
    return found


@pytest.fixture(scope="session", autouse=True)
def root_only() -> None:
    if os.geteuid() != 0:
        pytest.exit("the tests run real containers: run them as root", returncode=1)
