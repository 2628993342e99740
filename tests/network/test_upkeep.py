"""What somebody takes from the bridge is put back, and nobody notices but by the log."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Interface

import pytest

from tests.harness.waiting import eventually, until
from tests.network.lab import HOST, NEIGHBOUR, Lab, interfaces, open_bridge, run
from tests.network.test_bridge import ip, listen, tcp
from wherry.engine.network import put_back_on
from wherry.engine.network_watch import NetworkWatch
from wherry.errors import InvalidArgument
from wherry.linux import libc, sysctl
from wherry.network.drivers.bridge import guard
from wherry.network.drivers.bridge.driver import BridgeDriver
from wherry.network.host import HostNetwork
from wherry.network.link import Link, Links

GATEWAY = "172.17.0.1"
CLONE_NEWNS = 0x00020000


@pytest.mark.parametrize(
    ("harm", "missing"),
    [
        ("ip link set wherry0 down && ip link set wherry0 name other && ip link set other up", ["the name"]),
        ("ip address flush dev wherry0", ["the address"]),
        ("ip link set wherry0 down", ["the state up"]),
        ("tc qdisc delete dev wherry0 clsact", []),
        ("ip link delete wherry0", ["the interface", "the address", "the state up"]),
    ],
)
def test_what_is_taken_from_it_is_put_back(
    lab: Lab, bridge: BridgeDriver, ports: HostNetwork, harm: str, missing: list[str]
) -> None:
    web, peer = bridge.make(), bridge.make()
    ports.publish(web.address, [tcp(8080)])
    server = listen(lab, web)
    filters = run("tc filter show dev wherry0 ingress")
    assert lab.connect(lab.host, "127.0.0.1", 8080, server) == GATEWAY
    assert eventually(lambda: settled(bridge), 10)
    assert not readable(bridge)
    run(harm)
    assert readable(bridge)
    assert bridge.put_back() == missing
    assert run("tc filter show dev wherry0 ingress") == filters
    assert sysctl.read("net/ipv6/conf/wherry0/disable_ipv6") == "1"
    assert eventually(lambda: lab.connect(lab.host, "127.0.0.1", 8080, server) == GATEWAY)
    assert lab.connect(peer.netns_fd, ip(web), 80, server) == ip(peer)
    assert lab.connect(lab.outside, HOST, 8080, server) == NEIGHBOUR
    assert lab.connect(lab.outside, ip(web), 80, server) is None
    third = bridge.make()
    assert lab.connect(third.netns_fd, ip(web), 80, server) == ip(third)
    assert eventually(lambda: settled(bridge), 10), "what is put back is a change of its own, without an end"
    lab.close()
    for endpoint in (web, peer, third):
        bridge.release(endpoint.endpoint_id)


def test_on_a_read_only_proc_sys(bridge: BridgeDriver) -> None:
    """Nothing is written that is so already: each write of ``disable_ipv6`` waits for the lock of all networking."""
    assert eventually(lambda: settled(bridge), 10)
    with ThreadPoolExecutor(1) as alone:
        alone.submit(libc.call, "unshare", CLONE_NEWNS, about="unshare").result()
        alone.submit(run, "mount --make-rprivate / && mount --bind /proc/sys /proc/sys").result()
        alone.submit(run, "mount -o remount,bind,ro /proc/sys").result()
        with pytest.raises(OSError, match="Read-only"):
            alone.submit(sysctl.write, "net/ipv4/ip_forward", "1").result()
        run("ip address flush dev wherry0")
        assert alone.submit(bridge.put_back).result() == ["the address"]


def test_what_cannot_be_shut_any_more_is_closed(
    lab: Lab, bridge: BridgeDriver, ports: HostNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel has lost the filter meanwhile: the rules are others, no port is published on 127.0.0.1."""
    monkeypatch.setattr(guard, "CLSACT_KIND", "nosuch")
    run("tc qdisc delete dev wherry0 clsact")
    put_back_on(ports, bridge)
    assert not bridge.facts().loopback and "127.0.0.0/8 oif" not in run("nft list ruleset")
    with pytest.raises(InvalidArgument, match=r"127\.0\.0\.1.*this kernel"):
        ports.publish(IPv4Interface("172.17.0.9/16"), [tcp(8081, "127.0.0.1")])
    monkeypatch.undo()
    put_back_on(ports, bridge)
    assert bridge.facts().loopback


def test_an_interface_that_is_made_is_written_down_first(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is deleted in the moment after it was found: then it is not made again but by the next try."""
    recorded: list[str] = []
    bridge = open_bridge("wherry0", pool_size=1, record=recorded.append)
    recorded.clear()
    found = Links.at

    def seen_last(links: Links, index: int) -> Link | None:
        there = found(links, index)
        monkeypatch.undo()
        run("ip link delete wherry0")
        return there

    monkeypatch.setattr(Links, "at", seen_last)
    with pytest.raises(OSError, match="No such device"):
        bridge.put_back()
    assert "wherry0" not in interfaces() and not recorded
    assert bridge.put_back() == ["the interface", "the address", "the state up"]
    assert recorded == ["wherry0"]
    bridge.close(remove=True)


def readable(bridge: BridgeDriver, seconds: float = 0) -> bool:
    assert bridge.changes is not None
    return bool(select.select([bridge.changes.fileno()], [], [], seconds)[0])


def settled(bridge: BridgeDriver) -> bool:
    """Whether a check leads to no further one. The kernel tells of a carrier up to a second later."""
    assert bridge.changes is not None
    bridge.changes.drain()
    return bridge.put_back() == [] and not readable(bridge, 0.3)


def test_what_comes_and_goes_on_it_is_no_change_of_it(bridge: BridgeDriver) -> None:
    made = [bridge.make() for _ in range(3)]
    assert eventually(lambda: settled(bridge), 10)
    made += [bridge.make() for _ in range(3)]
    ends = {endpoint.host_interface for endpoint in made}
    for endpoint in made:
        bridge.release(endpoint.endpoint_id)
    assert eventually(lambda: not ends & interfaces())
    assert not readable(bridge)


def test_ports_that_are_flushed_from_their_map_are_put_back(
    lab: Lab, bridge: BridgeDriver, ports: HostNetwork
) -> None:
    """The table is whole: nobody but the kernel's own list of ports can tell."""
    web = bridge.make()
    ports.changes.drain()
    published = ports.publish(web.address, [tcp(8080), tcp(8081), tcp(8082, "127.0.0.1")])
    ports.unpublish(published[:1])
    assert not changed(ports), "our own changes are none by others"
    run("nft add table ip other { set s { type ipv4_addr\\; }\\; }")
    ports.changes.drain()
    run("nft add element ip other s { 192.0.2.1 }")
    assert not changed(ports), "others' elements are none of ours"
    run("nft flush map ip wherry published_any")
    assert changed(ports)
    assert ports.put_back() == ["ports that were gone (1)"]
    run("nft add element ip wherry published_any { tcp . 22 : 172.17.0.9 . 22 }")
    assert changed(ports)
    assert ports.put_back() == ["no ports that are not ours (1)"]
    assert ports.counts().keys() == set(published[1:])
    assert ports.put_back() == [] and not changed(ports)
    run("nft delete table ip other")
    ports.withdraw(web.address)
    bridge.release(web.endpoint_id)


def changed(ports: HostNetwork) -> bool:
    found = bool(select.select([ports.changes.fileno()], [], [], 0)[0])
    ports.changes.drain()
    return found


def watched(ports: HostNetwork, put_back: Callable[[], Sequence[str]], work: Callable[[], object]) -> bool:
    """Whether the table is there some time after what was done to it, with a watch over it."""

    async def scenario() -> bool:
        watch = NetworkWatch("the firewall", ports.changes, put_back)
        await asyncio.to_thread(work)
        await until(there, 20)
        await asyncio.sleep(0.3)  # for a last flush to be seen to
        lasts = there()
        await watch.stop()
        return lasts

    def there() -> bool:
        return "chain forwarded" in run("nft list ruleset")

    return asyncio.run(scenario())


def test_a_change_during_a_check_is_seen_to(ports: HostNetwork) -> None:
    """The table is lost once more while the one that was put back is looked at."""
    ports.reconcile()
    flushes = iter(["nft flush ruleset"] * 3)

    def put_back() -> Sequence[str]:
        missing = ports.put_back()
        run(next(flushes, "true"))
        return missing

    assert watched(ports, put_back, lambda: run("nft flush ruleset"))


def test_what_cannot_be_put_back_is_tried_again(ports: HostNetwork, caplog: pytest.LogCaptureFixture) -> None:
    ports.reconcile()
    failures = iter([OSError(12, "Cannot allocate memory")] * 2)

    def put_back() -> Sequence[str]:
        if error := next(failures, None):
            raise error
        return ports.put_back()

    assert watched(ports, put_back, lambda: run("nft flush ruleset"))
    assert caplog.text.count("cannot put back the firewall: cannot allocate memory") == 1
