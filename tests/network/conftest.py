"""Every network test runs in namespaces of its own, and fails where it leaves anything behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.network.lab import Lab, neighbourhood, open_bridge, private_host
from wherry.network.drivers.bridge.driver import BridgeDriver
from wherry.network.host import HostNetwork


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
def ports(lab: Lab) -> Iterator[HostNetwork]:
    """The host's part of the network: firewall and published ports."""
    made = HostNetwork("wherry")
    yield made
    lab.close()  # sockets hold their namespace
    made.close(remove=True)


@pytest.fixture
def bridge(lab: Lab, ports: HostNetwork) -> Iterator[BridgeDriver]:
    """A running default bridge on the lab's host, with one ready endpoint, and the rules for it."""
    made = open_bridge("wherry0", pool_size=1)
    ports.add_network("bridge", made.facts())
    ports.reconcile()
    yield made
    lab.close()
    made.close(remove=True)
