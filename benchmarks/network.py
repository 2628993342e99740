"""``python -m benchmarks.network``: what a network costs, in process and in a network namespace of its own.

* an endpoint (namespace, veth, addresses, route) made by us, and the same with ``ip`` commands;
* what a start pays: taking a ready one, publishing a port, giving both back;
* how many starts a second the pool can feed, with the kernel's clearing up in the same time.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from statistics import median, quantiles

from wherry.engine.config import EngineConfig
from wherry.engine.network import Networks
from wherry.engine.store import Store
from wherry.network.driver import Network, NetworkOptions
from wherry.network.drivers.bridge.driver import BridgeDriver
from wherry.network.ports import PortWish

INSIDE = "WHERRY_BENCH_NETWORK"
ENDPOINTS = 60
ROUNDS = 100
PAUSE = 0.006  # about what a container's start leaves between two takes
COMMANDS = """
ip netns add {name}
ip link add {name} type veth peer name eth0 netns {name}
ip link set {name} master wherry0 up
ip -n {name} link set lo up
ip -n {name} address add {address}/16 dev eth0
ip -n {name} link set eth0 up
ip -n {name} route add default via 172.17.0.1
"""


def show(what: str, seconds: Iterable[float]) -> None:
    figures = sorted(seconds)
    p95 = quantiles(figures, n=20)[-1] if len(figures) > 1 else figures[0]
    print(f"{what:<58}{median(figures) * 1000:>9.3f} ms{p95 * 1000:>9.3f} ms")


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def make_endpoints() -> None:
    network = Network("bridge", "bridge", "f00d", "")
    bridge = BridgeDriver(network, NetworkOptions("wherry0", pool_size=1), lambda made: None)
    wall, cpu, made = [], [], []
    for _ in range(ENDPOINTS):
        before = time.process_time()
        wall.append(timed(lambda: made.append(bridge.make())))
        cpu.append(time.process_time() - before)
    show("endpoint, made by Wherry", wall)
    show("  of that, CPU time of this process", cpu)
    show("endpoint, by ip commands (seven processes)", (timed(partial(by_commands, n)) for n in range(15)))
    for number in range(15):
        subprocess.run(["ip", "netns", "delete", f"cmp{number}"], check=True)
    start = time.perf_counter()
    for endpoint in made:
        bridge.release(endpoint.endpoint_id)
    bridge.close(remove=True)
    show(f"letting go of {ENDPOINTS}, until the kernel has none left", [time.perf_counter() - start])


def by_commands(number: int) -> None:
    commands = COMMANDS.format(name=f"cmp{number}", address=f"172.17.200.{number + 1}")
    for command in commands.strip().splitlines():
        subprocess.run(command.split(), check=True)


async def start_costs(networks: Networks) -> None:
    """Takes far enough apart that the pool is never empty."""
    figures: dict[str, list[float]] = {"take": [], "publish": [], "give back": [], "all three": []}
    wanted = [PortWish("tcp", "", 0, 80)]
    for _ in range(ROUNDS):
        marks = [time.perf_counter()]
        endpoint = await networks.attach()
        marks.append(time.perf_counter())
        assert endpoint.address is not None
        networks.host.publish(endpoint.address, wanted)
        marks.append(time.perf_counter())
        networks.release(endpoint.attachment)
        marks.append(time.perf_counter())
        for name, start, end in zip(figures, marks, marks[1:], strict=False):
            figures[name].append(end - start)
        figures["all three"].append(marks[-1] - marks[0])
        await asyncio.sleep(PAUSE)
    for name, seconds in figures.items():
        show(f"a start with a published port: {name}", seconds)


async def burst(networks: Networks) -> None:
    start = time.perf_counter()
    endpoints = await asyncio.gather(*(networks.attach() for _ in range(50)))
    show("50 at once, beyond the pool", [time.perf_counter() - start])
    for endpoint in endpoints:
        networks.release(endpoint.attachment)


async def throughput(networks: Networks) -> None:
    async def client() -> None:
        for _ in range(40):
            endpoint = await networks.attach()
            await asyncio.sleep(0.02)
            networks.release(endpoint.attachment)

    start = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(8)))
    print(f"{'8 clients, each container 20 ms':<58}{320 / (time.perf_counter() - start):>9.0f} a second")


def with_networks(folder: Path, body: Callable[[Networks], Awaitable[None]]) -> None:
    async def main() -> None:
        store = Store(folder / "wherry.db")
        networks = Networks(EngineConfig(), store)
        await networks.start()
        await networks.reconcile()
        await asyncio.sleep(0.1)
        try:
            await body(networks)
        finally:
            await networks.stop()
            store.close()

    asyncio.run(main())


def enter_namespaces() -> int:
    """Run this program again in a network and mount namespace of its own (``ip netns`` writes below /run)."""
    script = 'mount -t tmpfs tmpfs /run && exec "$0" -m benchmarks.network'
    command = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", script, sys.executable]
    return subprocess.run(command, env={**os.environ, INSIDE: "1"}).returncode


def main() -> None:
    if INSIDE not in os.environ:
        raise SystemExit(enter_namespaces())
    print(f"{'':<58}{'median':>12}{'95 %':>12}")
    make_endpoints()
    with tempfile.TemporaryDirectory() as folder:
        for body in (start_costs, burst, throughput):
            with_networks(Path(folder), body)


if __name__ == "__main__":
    main()
