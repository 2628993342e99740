"""A daemon with a hostile image, shared by a module's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.daemon import Daemon
from tests.security.image import attacker_archive, build_attacker


@pytest.fixture(scope="session")
def hostile_archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return attacker_archive(build_attacker(tmp_path_factory.mktemp("attacker")))


@pytest.fixture(scope="module")
def hostile_daemon(module_daemon: Daemon, hostile_archive: bytes) -> Daemon:
    module_daemon.load(hostile_archive)
    return module_daemon


@pytest.fixture
def besieged(daemon: Daemon, hostile_daemon: Daemon) -> Iterator[Daemon]:
    """A daemon with ``busybox`` and ``attacker``; every test begins and ends without containers."""
    yield hostile_daemon
