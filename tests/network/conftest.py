"""Every network test runs in namespaces of its own, and fails where it leaves anything behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.network.lab import Lab, neighbourhood, private_host
from wherry.network.bridge import Bridge


@pytest.fixture
def host() -> Iterator[int]:
    """The test's thread is in a new network namespace, of which this is a descriptor."""
    with private_host() as fd:
        yield fd


@pytest.fixture
def lab() -> Iterator[Lab]:
    with neighbourhood() as made:
        yield made


@pytest.fixture
def bridge(lab: Lab) -> Iterator[Bridge]:
    """A running default bridge on the lab's host, with one ready endpoint."""
    made = Bridge("wherry0", pool_size=1)
    made.reconcile([])
    yield made
    lab.close()  # sockets hold their namespace
    made.reconcile([])
    made.close(remove=True)
