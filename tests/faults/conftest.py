from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.faulty import FaultyDaemon


@pytest.fixture(scope="module")
def module_faulty_daemon(busybox_archive: bytes) -> Iterator[FaultyDaemon]:
    """Without a pool: an endpoint is made when it is asked for, so that each start does the same."""
    with FaultyDaemon(("--network-pool", "0")).with_image(busybox_archive) as daemon:
        yield daemon


@pytest.fixture
def faulty_daemon(module_faulty_daemon: FaultyDaemon) -> Iterator[FaultyDaemon]:
    """A daemon whose operations can be made to fail, shared by a module's tests; at the end of each nothing is left."""
    yield module_faulty_daemon
    module_faulty_daemon.injector.disarm()
    module_faulty_daemon.remove_containers()
