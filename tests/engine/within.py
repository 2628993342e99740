"""Run a piece of a test inside a sandbox, with an engine of its own on what a daemon has left there."""

from __future__ import annotations

import asyncio
import os
import signal
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.harness.daemon import Daemon
from wherry.engine.config import EngineConfig
from wherry.engine.engine import Engine
from wherry.linux import libc

NEW_NET, NEW_MOUNTS = 0x40000000, 0x00020000
SECONDS = 60


def within(daemon: Daemon, work: Callable[[Engine], Awaitable[None]]) -> None:
    """Call ``work`` with a started engine, in a process that is in the daemon's namespaces; the daemon is stopped.

    AssertionError with the traceback where it raises.
    """
    if daemon.running:
        daemon.stop()
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ours)
        os._exit(in_child(daemon, work, theirs))
    os.close(theirs)
    with os.fdopen(ours) as said:
        text = said.read()
    _, status = os.waitpid(pid, 0)
    assert status == 0, text or f"it ended with {status}"


def in_child(daemon: Daemon, work: Callable[[Engine], Awaitable[None]], answer: int) -> int:
    signal.alarm(SECONDS)
    try:
        enter(daemon.sandbox._keeper.pid)
        asyncio.run(with_engine(daemon, work))
    except BaseException:
        os.write(answer, traceback.format_exc().encode())
        return 1
    return 0


def enter(pid: int) -> None:
    for name, kind in (("net", NEW_NET), ("mnt", NEW_MOUNTS)):
        descriptor = os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)
        libc.call("setns", descriptor, kind, about=name)
        os.close(descriptor)


def config_of(daemon: Daemon) -> EngineConfig:
    return EngineConfig(
        data_root=Path(daemon.data_root),
        exec_root=Path(daemon.exec_root),
        cgroup_parent=daemon.sandbox.cgroup_parent,
        pool_size=0,
    )


async def with_engine(daemon: Daemon, work: Callable[[Engine], Awaitable[None]]) -> None:
    engine = Engine(config_of(daemon))
    await engine.start()
    try:
        await work(engine)
    finally:
        await engine.stop()
