"""The pool of ready endpoints: with the real thing where it matters, with numbers where only counting does."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface

import pytest

from tests.harness.waiting import eventually
from tests.network.lab import (
    interfaces,
    network_descriptors,
    open_bridge,
    open_stack,
    repository,
    run,
)
from wherry.errors import Unavailable
from wherry.network.endpoint import Attachment, Endpoint
from wherry.network.pool import Pool


class Workshop:
    """Makes endpoints out of nothing, and remembers which were let go."""

    def __init__(self) -> None:
        self.made = itertools.count(1)
        self.discarded: list[Endpoint] = []
        self.gate = threading.Event()
        self.gate.set()
        self.failure: Exception | None = None

    def make(self) -> Endpoint:
        assert self.gate.wait(5)
        if self.failure is not None:
            raise self.failure
        number = next(self.made)
        address = IPv4Interface((int(IPv4Address("10.0.0.0")) + number, 8))
        made = Attachment(network="front", network_id="f", endpoint_id=str(number), interface=f"wh{number}")
        return Endpoint(made, address)


@pytest.fixture
def workshop() -> Workshop:
    return Workshop()


@pytest.fixture
def pool(workshop: Workshop) -> Iterator[Pool]:
    made = Pool(workshop.make, workshop.discarded.append, size=4, largest=16, idle_seconds=0.3)
    yield made
    workshop.gate.set()
    made.close()


def test_fills_in_the_background_and_refills(pool: Pool) -> None:
    pool.start()
    assert eventually(lambda: pool.ready == 4)
    first = pool.take()
    assert first is not None and first.host_interface == "wh1"
    assert pool.ready == 3
    pool.refill()
    assert eventually(lambda: pool.ready == 4)
    time.sleep(0.05)
    assert pool.ready == 4


def test_a_taker_of_an_empty_pool_gets_the_next_one(pool: Pool, workshop: Workshop) -> None:
    workshop.gate.clear()
    pool.start()
    assert pool.take() is None
    orders = [pool.order() for _ in range(3)]
    workshop.gate.set()
    assert len({order.result(2).host_interface for order in orders}) == 3


def test_grows_with_demand_and_shrinks_when_idle(pool: Pool, workshop: Workshop) -> None:
    pool.start()
    assert eventually(lambda: pool.ready == 4)
    workshop.gate.clear()
    taken = [pool.take() for _ in range(7)]
    assert taken.count(None) >= 2
    assert pool.target == 16
    workshop.gate.set()
    pool.refill()
    assert eventually(lambda: pool.ready == 16)
    assert eventually(lambda: pool.ready == 4)
    assert len(workshop.discarded) >= 12


def test_a_taker_that_gave_up_costs_nothing(pool: Pool, workshop: Workshop) -> None:
    workshop.gate.clear()
    pool.start()
    given_up, waiting = pool.order(), pool.order()
    assert given_up.cancel()
    workshop.gate.set()
    assert waiting.result(2).host_interface == "wh1"


def test_failing_to_make_one_is_told_to_who_waits(pool: Pool, workshop: Workshop) -> None:
    workshop.failure = Unavailable("no address")
    workshop.gate.clear()
    pool.start()
    order = pool.order()
    workshop.gate.set()
    with pytest.raises(Unavailable, match="no address"):
        order.result(2)
    workshop.failure = None
    assert pool.order().result(3).host_interface == "wh1"


def test_after_closing_nothing_is_left_or_given(pool: Pool, workshop: Workshop) -> None:
    pool.start()
    assert eventually(lambda: pool.ready == 4)
    pool.close()
    assert (pool.ready, len(workshop.discarded)) == (0, 4)
    with pytest.raises(Unavailable):
        pool.order()


def test_many_takers_at_once_each_get_their_own(host: int) -> None:
    bridge = open_bridge("wherry0", pool_size=8)
    bridge.start()
    assert eventually(lambda: bridge.pool.ready == 8)
    results: list[Endpoint] = []

    def take() -> None:
        for _ in range(5):
            ready = bridge.take()
            results.append(ready or bridge.order().result(5))

    takers = [threading.Thread(target=take) for _ in range(8)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert len({endpoint.address for endpoint in results}) == 40
    assert len({endpoint.netns_fd for endpoint in results}) == 40
    for endpoint in results:
        bridge.release(endpoint.endpoint_id)
    bridge.close(remove=True)


def test_addresses_come_round_as_late_as_possible(host: int) -> None:
    bridge = open_bridge("wherry0", pool_size=1)
    first = bridge.make()
    bridge.release(first.endpoint_id)
    second = bridge.make()
    assert second.address.ip > first.address.ip
    bridge.release(second.endpoint_id)
    bridge.close(remove=True)


def test_the_last_address(host: int) -> None:
    """A /29 has five addresses beside the bridge's own; a failed endpoint leaves nothing behind."""
    bridge = open_bridge("wherry0", "10.7.0.1/29", pool_size=8)
    held = network_descriptors()
    ready = bridge.pool.ready
    made = [bridge.make() for _ in range(5 - ready)]
    with pytest.raises(Unavailable, match="no available IPv4 addresses"):
        bridge.make()
    assert network_descriptors() == held + 5 - ready
    bridge.release(made.pop().endpoint_id)
    made.append(bridge.make())
    for endpoint in made:
        bridge.release(endpoint.endpoint_id)
    bridge.close(remove=True)


DYING = """
import time
from tests.network.lab import open_stack
stack = open_stack(pool_size=6)
stack.ports.reconcile()
stack.bridge.start()
while stack.bridge.pool.ready < 6:
    time.sleep(0.01)
print("ready", flush=True)
time.sleep(60)
"""


def test_what_a_killed_process_had_ready_is_gone_by_itself(host: int) -> None:
    source = {"PYTHONPATH": f"{repository() / 'src'}:{repository()}"}
    process = subprocess.Popen([sys.executable, "-c", DYING], stdout=subprocess.PIPE, env=source)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    assert sum(name.startswith("wh") for name in interfaces()) == 7  # the bridge and six
    process.kill()
    process.wait()
    process.stdout.close()
    assert eventually(lambda: interfaces() == {"lo", "wherry0"})
    assert "table ip wherry" in run("nft list tables")
    open_stack().close()  # the claim on the bridge died with the process, too
