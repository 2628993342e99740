"""A task that is no container: run on a snapshot, as a build step will be."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator

import pytest

from tests.engine.within import within
from tests.harness.daemon import Daemon
from wherry.engine.engine import Engine
from wherry.engine.names import new_id
from wherry.engine.task import Task, layer_names
from wherry.errors import LaunchFailed
from wherry.messages.container import Config, EndpointSettings, HostConfig, LogConfig
from wherry.runtime.launcher import Attach


@pytest.fixture(scope="module")
def stopped(busybox_archive: bytes) -> Iterator[Daemon]:
    with Daemon().with_image(busybox_archive) as daemon:
        yield daemon


def build_step(engine: Engine, command: str, **host: object) -> Task:
    """``RUN command``, on the image's layers, without a record, a name or a log."""
    (image,) = engine._store.images.all()
    argv = ("/bin/sh", "-c", command)
    return Task(
        id=new_id(),
        name="a build step",
        argv=argv,
        config=Config(cmd=list(argv), env=["PATH=/bin"], image="busybox"),
        host=HostConfig(**{"network_mode": "none", "log_config": LogConfig(type="none"), **host}),  # type: ignore[arg-type]
        image=image.config.run,
        layers=layer_names(image),
        networks={"bridge": EndpointSettings()} if host.get("network_mode") == "bridge" else {},
    )


async def output_of(engine: Engine, task: Task) -> tuple[bytes, int]:
    """What it writes, and its exit code; all is given back at the end."""
    ours, theirs = socket.socketpair()
    try:
        run = await engine.executor.start(task, [Attach(1, theirs.fileno())])
    finally:
        theirs.close()
    ours.setblocking(False)
    said = b""
    while part := await asyncio.get_running_loop().sock_recv(ours, 1 << 16):
        said += part
    ours.close()
    status = await run.monitor.exited
    run.close()
    engine.executor.finish(task.id, run.steps)
    await run.monitor.cleaned
    return said, status.code


def test_it_runs_without_a_record(stopped: Daemon) -> None:
    async def work(engine: Engine) -> None:
        task = build_step(engine, "echo made >/made; cat /etc/os-release | head -1; echo so >&2; exit 3")
        await engine.executor.create(task)
        said, code = await output_of(engine, task)
        assert code == 3 and b'NAME="BusyBox"\n' in said and b"so\n" in said
        upper = engine.config.containers_dir / task.id / "upper"
        assert (upper / "made").read_text() == "made\n", "what it wrote is there to be committed"
        assert engine._store.containers.all() == [] and list(engine.containers.everyone()) == []
        engine.executor.remove(task)
        assert not upper.exists()
        assert os.listdir(engine.config.runtime_dir) == []

    within(stopped, work)
    assert stopped.leaks() == []


def test_on_a_network(stopped: Daemon) -> None:
    async def work(engine: Engine) -> None:
        task = build_step(engine, "ip -4 addr show eth0", network_mode="bridge")
        await engine.executor.create(task)
        said, code = await output_of(engine, task)
        assert code == 0 and b"172." in said
        engine.executor.remove(task)

    within(stopped, work)
    assert stopped.leaks() == []


def test_one_that_cannot_run_leaves_nothing(stopped: Daemon) -> None:
    async def work(engine: Engine) -> None:
        task = build_step(engine, "true", network_mode="bridge")
        task = Task(**{**{f: getattr(task, f) for f in task.__slots__}, "argv": ("/no/such",)})
        await engine.executor.create(task)
        with pytest.raises(LaunchFailed, match="no such file or directory"):
            await engine.executor.start(task)
        assert engine.executor.journal.under_way(task.id) is None
        engine.executor.remove(task)

    within(stopped, work)
    assert stopped.leaks() == []


def test_several_at_once_on_the_same_layers(stopped: Daemon) -> None:
    async def work(engine: Engine) -> None:
        tasks = [build_step(engine, f"echo {n} >/n; cat /n") for n in range(6)]
        for task in tasks:
            await engine.executor.create(task)
        said = await asyncio.gather(*(output_of(engine, task) for task in tasks))
        assert said == [(f"{n}\n".encode(), 0) for n in range(6)]
        for task in tasks:
            engine.executor.remove(task)

    within(stopped, work)
    assert stopped.leaks() == []
