"""The process that makes launchers may die at any time: what runs goes on, and the next plan finds another."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from socket import SOCK_SEQPACKET, socketpair

import pytest

from tests.harness.waiting import eventually, until
from tests.native.full_container import Wanted, container_plan, exec_plan
from tests.native.lab import Lab, lab  # noqa: F401 - a fixture
from wherry.errors import LaunchFailed
from wherry.runtime.binary import launcher_path
from wherry.runtime.launcher import Monitored
from wherry.runtime.spawner import NAME, Spawner
from wherry.runtime.steps import Clone, Fd, HostFile

BOUND = 30.0  # seconds: a bound against a hang, no more


def born(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def children(pid: int) -> list[int]:
    """Those of its children that are spawners, or wait for a plan."""
    return [child for child in born(pid) if comm(child) == NAME and alive(child)]


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


def test_who_carries_out_a_plan_dies_with_the_spawner(lab: Lab) -> None:  # noqa: F811
    """Also where it is stopped, and with all that it has made: until the command runs it is the daemon's."""
    fifo = lab.bundle.base / "fifo"
    os.mkfifo(fifo)
    plan = container_plan(lab.bundle, Wanted(argv=("sleep", "1000")))
    before = next(n for n, step in enumerate(plan.steps) if isinstance(step, Clone))
    waits = replace(plan, steps=(*plan.steps[:before], HostFile(str(fifo), b""), *plan.steps[before:]))

    async def run() -> None:
        start = asyncio.create_task(lab.launch(waits))
        assert await until(lambda: len(lab.left_cgroups()) == len(lab.bundle.cgroups()))
        (launcher,) = [pid for pid in born(spawner()) if comm(pid) == "wherry-monitor"]
        os.kill(launcher, signal.SIGSTOP)
        os.kill(spawner(), signal.SIGKILL)
        with pytest.raises(LaunchFailed, match="ended before the container had started"):
            await asyncio.wait_for(start, BOUND)
        assert not alive(launcher) and lab.left_cgroups() == []

    asyncio.run(run())


def test_one_whose_daemon_has_gone_before_it_could_say_so(tmp_path: Path) -> None:
    """Its parent is another process than the one that has made its socket; nothing else would tell it."""
    ours, theirs = socketpair(type=SOCK_SEQPACKET)
    with ours, theirs:
        script = f"import os; os.dup2({theirs.fileno()}, 4); os.execv({str(launcher_path())!r}, [{NAME!r}])"
        made = subprocess.Popen(
            ["sh", "-c", '"$@" & wait', "sh", sys.executable, "-c", script], pass_fds=[theirs.fileno()]
        )
        assert made.wait(BOUND) == 0


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


def test_a_burst_that_it_does_not_read_at_once() -> None:
    """Requests wait in its socket, some 280 of them, the others in the daemon; none of them for ever."""

    async def burst(made: Spawner, stack: ExitStack) -> None:
        async def spawn() -> bytes:
            """What a launcher without a plan says."""
            ours, theirs = (stack.enter_context(end) for end in socketpair(type=SOCK_SEQPACKET))
            await made.spawn({Fd.CONTROL: theirs.fileno()})
            theirs.close()
            ours.setblocking(False)
            return (await asyncio.get_running_loop().sock_recv(ours, 1000))[:1]

        assert await spawn() == b"F"
        os.kill(stopped := spawner(), signal.SIGSTOP)
        waiting = [asyncio.ensure_future(spawn()) for _ in range(600)]
        await asyncio.sleep(0)
        os.kill(stopped, signal.SIGCONT)
        done, hung = await asyncio.wait(waiting, timeout=30)
        for task in hung:
            task.cancel()
        assert not hung and {task.result() for task in done} == {b"F"}

    with ExitStack() as stack:
        files = resource.getrlimit(resource.RLIMIT_NOFILE)
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, files)
        resource.setrlimit(resource.RLIMIT_NOFILE, (files[1], files[1]))
        binary = os.open(launcher_path(), os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, binary)
        made = Spawner(binary)
        stack.callback(made.close)
        asyncio.run(burst(made, stack))


def test_no_process_is_left_when_it_is_closed(lab: Lab) -> None:  # noqa: F811
    async def run() -> tuple[int, list[int]]:
        async with lab.running():
            return spawner(), children(spawner())

    pid, waiting = asyncio.run(run())
    lab.launcher.close()
    assert comm(pid) == ""
    assert eventually(lambda: not any(map(alive, waiting)))


def test_one_that_somebody_has_stopped_does_not_keep_the_engine_from_ending(lab: Lab) -> None:  # noqa: F811
    async def run() -> int:
        async with lab.running():
            pid = spawner()
            os.kill(pid, signal.SIGSTOP)
            return pid

    pid = asyncio.run(run())  # the lab lets go of its launcher at the end
    lab.launcher.close()
    assert not alive(pid)
