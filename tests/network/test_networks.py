"""The engine's networks: attaching, publishing, taking over, and what the API tells of them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from tests.harness.waiting import eventually, until
from tests.network.lab import HOST, NEIGHBOUR, Lab, interfaces, repository, run
from wherry.engine.config import EngineConfig
from wherry.engine.filters import parse_filters
from wherry.engine.network import Networks
from wherry.engine.store import Store
from wherry.errors import Internal, InvalidArgument, NotFound, Unavailable
from wherry.linux import netns
from wherry.messages.network import EndpointResource
from wherry.network.drivers.catalogue import DRIVERS, PREDEFINED
from wherry.network.endpoint import Attachment, Endpoint
from wherry.network.ports import PortWish, PublishedPort

WEB_PORT = PortWish("tcp", "", 8080, 80)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "wherry.db")


def with_networks(store: Store, body: Callable[[Networks], Awaitable[None]], **options: str | int) -> None:
    """Run a body with started networks, which are stopped after it."""

    async def main() -> None:
        networks = Networks(EngineConfig(**options), store)  # type: ignore[arg-type]
        await networks.start()
        try:
            await networks.reconcile()
            await body(networks)
        finally:
            await networks.stop()

    asyncio.run(main())


def test_attach_publish_release(lab: Lab, store: Store) -> None:
    async def body(networks: Networks) -> None:
        web = await networks.attach()
        [real] = networks.host.publish(web.address, [WEB_PORT])
        assert (real.host_ip, real.host_port) == ("0.0.0.0", 8080)
        server = lab.serve(web.netns_fd, "0.0.0.0", 80)
        assert lab.connect(lab.outside, HOST, 8080, server) == NEIGHBOUR
        lab.close()
        networks.release(web.attachment)
        networks.release(web.attachment)
        assert run("nft -j list map ip wherry published_any").count("8080") == 0

    with_networks(store, body)
    assert eventually(lambda: interfaces() == {"lo", "cable"})


def test_a_burst_beyond_the_pool(host: int, store: Store) -> None:
    async def body(networks: Networks) -> None:
        endpoints = await asyncio.gather(*(networks.attach() for _ in range(30)))
        assert len({endpoint.address for endpoint in endpoints}) == 30
        for endpoint in endpoints:
            networks.release(endpoint.attachment)

    with_networks(store, body, pool_size=2)


def test_attachers_that_are_cancelled_lose_nothing(host: int, store: Store) -> None:
    """Whatever moment the cancellation falls into: the host fixture counts descriptors and interfaces."""

    async def body(networks: Networks) -> None:
        for delay in range(12):
            macs = ("", "", "", f"0a:00:00:00:{delay:02x}:01", "", f"0a:00:00:00:{delay:02x}:02")
            tasks = [asyncio.create_task(networks.attach(mac=mac)) for mac in macs]
            await asyncio.sleep(delay / 2000)
            for task in (tasks[0], tasks[2], tasks[5]):
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, Endpoint):
                    networks.release(result.attachment)

    with_networks(store, body, pool_size=1)


def test_a_mac_of_choice(host: int, store: Store) -> None:
    async def body(networks: Networks) -> None:
        endpoint = await networks.attach(mac="0a:00:00:00:00:07")
        assert endpoint.mac == "0a:00:00:00:00:07"
        networks.release(endpoint.attachment)
        with pytest.raises(InvalidArgument):
            await networks.attach(mac="nonsense")

    with_networks(store, body)


def test_a_lost_table_is_restored_unasked(lab: Lab, store: Store) -> None:
    async def body(networks: Networks) -> None:
        web = await networks.attach()
        networks.host.publish(web.address, [WEB_PORT])
        await asyncio.to_thread(run, "nft flush ruleset")
        assert await until(lambda: "8080" in run("nft list ruleset"))
        server = lab.serve(web.netns_fd, "0.0.0.0", 80)
        assert lab.connect(lab.outside, HOST, 8080, server) == NEIGHBOUR
        lab.close()
        networks.release(web.attachment)

    with_networks(store, body)


def test_a_restarted_engine_takes_over(lab: Lab, store: Store) -> None:
    """The container, here a descriptor of its namespace, keeps address and port through the daemon's restart."""
    kept: list[int] = []
    records = []

    async def first(networks: Networks) -> None:
        web = await networks.attach()
        kept.append(os.dup(web.netns_fd))
        records.append(web.attachment.publishing(networks.host.publish(web.address, [WEB_PORT])))

    with_networks(store, first)
    server = lab.serve(kept[0], "0.0.0.0", 80)
    assert lab.connect(lab.outside, HOST, 8080, server) == NEIGHBOUR

    async def second() -> None:
        networks = Networks(EngineConfig(), store)
        await networks.start()
        web = networks.adopt(records[0])
        networks.host.adopt(web.address, records[0].ports)
        await networks.reconcile()
        assert lab.connect(lab.outside, HOST, 8080, server) == NEIGHBOUR
        other = await networks.attach()
        assert other.address != web.address
        networks.release(other.attachment)
        networks.release(web.attachment)
        assert lab.connect(lab.outside, HOST, 8080, server) is None
        lab.close()
        os.close(kept[0])
        await networks.stop()

    asyncio.run(second())
    assert eventually(lambda: interfaces() == {"lo", "cable"})


def test_a_port_taken_meanwhile_goes_on_working(lab: Lab, store: Store) -> None:
    kept: list[int] = []
    records = []

    async def first(networks: Networks) -> None:
        web = await networks.attach()
        kept.append(os.dup(web.netns_fd))
        records.append(web.attachment.publishing(networks.host.publish(web.address, [WEB_PORT])))

    with_networks(store, first)
    thief = lab.serve(lab.host, "0.0.0.0", 8080)

    async def second() -> None:
        networks = Networks(EngineConfig(), store)
        await networks.start()
        web = networks.adopt(records[0])
        networks.host.adopt(web.address, records[0].ports)
        await networks.reconcile()
        server = lab.serve(kept[0], "0.0.0.0", 80)
        assert lab.connect(lab.outside, HOST, 8080, server) == NEIGHBOUR
        server.close()
        networks.release(web.attachment)
        assert lab.connect(lab.outside, HOST, 8080, thief) == NEIGHBOUR
        lab.close()
        os.close(kept[0])
        await networks.stop()

    asyncio.run(second())


def test_what_an_earlier_version_recorded_is_taken_over(host: int, store: Store) -> None:
    """It kept neither the container's address with each port, nor what the interface is called inside."""
    recorded = b"""{"network": "bridge", "network_id": "f00d", "endpoint_id": "e1", "address": "172.17.0.9/16",
        "gateway": "172.17.0.1", "mac": "02:42:ac:11:00:09", "interface": "wh0",
        "ports": [{"proto": "tcp", "host_ip": "0.0.0.0", "host_port": 8080, "container_port": 80}]}"""
    attachment = msgspec.json.decode(recorded, type=Attachment)

    async def main() -> None:
        networks = Networks(EngineConfig(), store)
        await networks.start()
        web = networks.adopt(attachment)
        networks.host.adopt(web.address, attachment.ports)
        await networks.reconcile()
        assert set(networks.host.counts()) == {PublishedPort("tcp", "0.0.0.0", 8080, 80, "172.17.0.9")}
        assert networks.release(attachment)
        assert not networks.release(attachment)
        assert networks.host.counts() == {}
        await networks.stop()

    asyncio.run(main())


def test_the_hosts_network_gives_no_endpoint(host: int, store: Store) -> None:
    async def body(networks: Networks) -> None:
        assert [name for name, kind in PREDEFINED.items() if not DRIVERS[kind].gives_endpoints] == ["host"]
        with pytest.raises(Internal, match="network host gives no endpoints"):
            await networks.attach("host")
        place = Attachment(network="host", network_id=networks.find("host").id)
        assert not networks.has(place)
        assert not networks.release(place)
        with pytest.raises(NotFound, match="network nowhere not found"):
            await networks.attach("nowhere")

    with_networks(store, body)


def test_no_network_is_a_namespace_with_nothing_but_lo(host: int, store: Store) -> None:
    async def body(networks: Networks) -> None:
        first, second = await networks.attach("none"), await networks.attach("none")
        assert not netns.same(first.netns_fd, second.netns_fd)
        with netns.inside(first.netns_fd):
            assert [line.split()[1] for line in run("ip -o link").splitlines()] == ["lo:"]
            assert "UP" in run("ip -o link show lo")
        assert networks.has(first.attachment) and first.address is None
        assert networks.release(first.attachment) and not networks.release(first.attachment)
        assert not networks.has(first.attachment)
        networks.release(second.attachment)

    with_networks(store, body)


def test_ids_are_stable(host: int, store: Store) -> None:
    first, second = Networks(EngineConfig(), store), Networks(EngineConfig(), store)
    for name in ("bridge", "host", "none"):
        assert first.find(name) == second.find(name)
        assert len(first.find(name).id) == 64


def test_what_the_api_tells(host: int, store: Store) -> None:
    async def body(networks: Networks) -> None:
        listed = networks.list(parse_filters(""))
        assert [(n.name, n.driver, n.scope) for n in listed] == [
            ("bridge", "bridge", "local"),
            ("host", "host", "local"),
            ("none", "null", "local"),
        ]
        container = EndpointResource(name="web", endpoint_id="e", mac_address="m", ipv4_address="10.5.0.2/24")
        bridge = networks.inspect("bridge", {"c": container})
        assert bridge.ipam.config is not None
        assert [(c.subnet, c.gateway) for c in bridge.ipam.config] == [("10.5.0.0/24", "10.5.0.1")]
        assert bridge.containers == {"c": container}
        assert bridge.options["com.docker.network.bridge.name"] == "lab0"
        assert networks.inspect(bridge.id[:12]).name == "bridge"

    with_networks(store, body, bridge="lab0", bip="10.5.0.1/24")


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ('{"name":["o"]}', ["host", "none"]),
        ('{"driver":["null"]}', ["none"]),
        ('{"type":["custom"]}', []),
        ('{"type":["builtin"]}', ["bridge", "host", "none"]),
        ('{"label":["a"]}', []),
        ('{"scope":["swarm"]}', []),
        ('{"dangling":["true"]}', []),
    ],
)
def test_filters(host: int, store: Store, filters: str, names: list[str]) -> None:
    async def body(networks: Networks) -> None:
        assert [n.name for n in networks.list(parse_filters(filters))] == names

    with_networks(store, body)


def test_wrong_requests(host: int, store: Store) -> None:
    async def body(networks: Networks) -> None:
        with pytest.raises(NotFound, match="network nowhere not found"):
            networks.inspect("nowhere")
        with pytest.raises(InvalidArgument, match="invalid filter"):
            networks.list(parse_filters('{"colour":["red"]}'))
        with pytest.raises(InvalidArgument, match="invalid filter"):
            networks.list(parse_filters('{"type":["strange"]}'))

    with_networks(store, body)


def test_nothing_works_before_the_start(store: Store) -> None:
    networks = Networks(EngineConfig(), store)
    with pytest.raises(Unavailable):
        asyncio.run(networks.attach())
    asyncio.run(networks.stop())


CRASHING = """
import asyncio, os, sys
from pathlib import Path
from wherry.engine.config import EngineConfig
from wherry.engine.network import Networks
from wherry.engine.store import Store
from wherry.network.ports import PortWish

async def main():
    networks = Networks(EngineConfig(), Store(Path(sys.argv[1])))
    print("starts", flush=True)
    await networks.start()
    await networks.reconcile()
    while True:
        endpoint = await networks.attach()
        networks.host.publish(endpoint.address, [PortWish("tcp", "", 0, 80)])
        networks.release(endpoint.attachment)

asyncio.run(main())
"""


def test_killed_at_any_moment_it_leaves_nothing_that_the_next_does_not_remove(
    host: int, store: Store, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", CRASHING, str(tmp_path / "wherry.db")]
    source = {"PYTHONPATH": str(repository() / "src")}
    for round_number in range(12):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=source)
        assert process.stdout is not None
        assert process.stdout.readline() == b"starts\n"
        time.sleep(round_number * 0.004)
        process.kill()
        process.wait()
        process.stdout.close()

    async def body(networks: Networks) -> None:
        networks.release((await networks.attach()).attachment)

    with_networks(store, body)


def test_bad_options_are_refused_and_leave_nothing(host: int, store: Store) -> None:
    for options in ({"bip": "10.0.0.0/24"}, {"bridge": "a name"}, {"bridge": "much-too-long-a-name"}):
        with pytest.raises(InvalidArgument):
            asyncio.run(Networks(EngineConfig(**options), store).start())  # type: ignore[arg-type]
    assert interfaces() == {"lo"}
