"""The process that makes launchers may die at any time: what runs goes on, and the next plan finds another."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from tests.native.full_container import Wanted, exec_plan
from tests.native.lab import Lab, lab  # noqa: F401 - a fixture
from tests.network.lab import eventually
from wherry.runtime.launcher import Monitored
from wherry.runtime.spawner import NAME
from wherry.runtime.steps import Fd


def children(pid: int) -> list[int]:
    """Those of its children that are spawners, or wait for a plan."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed if comm(int(child)) == NAME and alive(int(child))]


def comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def spawner() -> int:
    (found,) = children(os.getpid())
    return found


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


async def echo(lab: Lab, target: Monitored) -> bytes:  # noqa: F811
    """What a command in a container says."""
    pidfd = os.pidfd_open(target.init_pid)
    try:
        plan = exec_plan(lab.bundle, Wanted(argv=("echo", "on")))
        return (await lab.collect(plan, b"", {Fd.TARGET: pidfd})).output
    finally:
        os.close(pidfd)


def test_a_container_outlives_the_spawner_and_the_next_one_starts(lab: Lab) -> None:  # noqa: F811
    async def run() -> None:
        async with lab.running() as monitored:
            pids = [spawner(), *children(spawner())]
            os.kill(pids[0], signal.SIGKILL)
            assert eventually(lambda: not any(map(alive, pids)))
            assert await echo(lab, monitored) == b"on\n"
            assert not monitored.exited.done()

    asyncio.run(run())


def test_the_process_that_waits_for_a_plan_is_replaced(lab: Lab) -> None:  # noqa: F811
    async def run() -> None:
        async with lab.running() as monitored:
            before = children(spawner())
            os.kill(before[-1], signal.SIGKILL)
            assert eventually(lambda: children(spawner()) not in ([], before))
            assert await echo(lab, monitored) == b"on\n"

    asyncio.run(run())


def test_many_plans_at_once(lab: Lab) -> None:  # noqa: F811
    """More than its socket takes: the others wait, and the event loop does not."""

    async def run() -> list[int]:
        async with lab.running() as monitored:
            pidfd = os.pidfd_open(monitored.init_pid)
            plan = exec_plan(lab.bundle, Wanted(argv=("true",)))

            async def one() -> int:
                return (await (await lab.launch(plan, fds={Fd.TARGET: pidfd})).exited).code

            codes = await asyncio.gather(*(one() for _ in range(400)))
            os.close(pidfd)
            return codes

    assert asyncio.run(run()) == [0] * 400


def test_no_process_is_left_when_it_is_closed(lab: Lab) -> None:  # noqa: F811
    async def run() -> tuple[int, list[int]]:
        async with lab.running():
            return spawner(), children(spawner())

    pid, waiting = asyncio.run(run())
    lab.launcher.close()
    assert comm(pid) == ""
    assert eventually(lambda: not any(map(alive, waiting)))
