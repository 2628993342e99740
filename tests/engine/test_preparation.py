"""Each kind of engine step, on a real host: done it is there, undone it is not, however often and however known."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

import pytest

from tests.engine.within import within
from tests.harness.daemon import Daemon
from tests.harness.waiting import until
from wherry.engine.engine import Engine
from wherry.engine.preparation.cgroups import ParentCgroup
from wherry.engine.preparation.namespaces import JoinContainer, ShareWithHost
from wherry.engine.preparation.networks import MissingNetwork, NetworkEndpoint, PublishPort
from wherry.engine.preparation.policies import Policy
from wherry.engine.preparation.rights import LeftOut
from wherry.engine.preparation.shared_memory import SharedMemory
from wherry.engine.preparation.step import EngineStep, Launch
from wherry.engine.preparation.storage import RuntimeDirectory, WritableLayer, WriteRecord
from wherry.engine.record import ContainerRecord
from wherry.errors import Conflict, NotFound
from wherry.messages.container import Config, ContainerCreate, HostConfig
from wherry.runtime.plan_file import from_document
from wherry.runtime.steps import KINDS

ID = "a" * 64
Made = Callable[[Engine], Awaitable[tuple[EngineStep, Launch]]]
RECORD = ContainerRecord(
    id=ID, name="web", created="2024-05-01T10:00:00Z", path="sh", args=[], config=Config(), host_config=HostConfig(),
    image="sha256:" + "c" * 64,
)  # fmt: skip


async def writable_layer(engine: Engine) -> tuple[EngineStep, Launch]:
    home = engine.config.containers_dir / ID
    (image,) = engine._store.images.all()
    layers = tuple(chain.partition(":")[2][:24] for chain in image.chain_ids)
    return WritableLayer(str(home / "upper"), str(home / "work"), ID, layers), Launch()


async def record(engine: Engine) -> tuple[EngineStep, Launch]:
    return WriteRecord(str(engine.config.database), ID, RECORD), Launch()


async def runtime_directory(engine: Engine) -> tuple[EngineStep, Launch]:
    folder = engine.config.runtime_dir / ID
    return RuntimeDirectory(str(folder), str(folder / "m")), Launch()


async def shared_memory(engine: Engine) -> tuple[EngineStep, Launch]:
    folder = engine.config.runtime_dir / ID
    folder.mkdir(exist_ok=True)
    return SharedMemory(str(folder / "shm"), 1 << 20), Launch()


async def endpoint(engine: Engine) -> tuple[EngineStep, Launch]:
    return NetworkEndpoint("bridge", engine.config.bridge, "eth0", container=ID), Launch("web")


async def port(engine: Engine) -> tuple[EngineStep, Launch]:
    launch = Launch("web")
    await NetworkEndpoint("bridge", engine.config.bridge, "eth0", container=ID).do(engine._host, launch)
    return PublishPort("tcp", "0.0.0.0", 8080, 0, 80), launch


async def udp_ports(engine: Engine) -> tuple[EngineStep, Launch]:
    _, launch = await port(engine)
    return PublishPort("udp", "127.0.0.1", 5300, 5310, 53), launch


UNDONE: dict[type[EngineStep], list[Made]] = {
    WritableLayer: [writable_layer],
    WriteRecord: [record],
    RuntimeDirectory: [runtime_directory],
    SharedMemory: [shared_memory],
    NetworkEndpoint: [endpoint],
    PublishPort: [port, udp_ports],
}
STAYING = {
    ParentCgroup,
    JoinContainer,
    ShareWithHost,
    LeftOut,
    Policy,
    MissingNetwork,
}  # with nothing to undo; each has a test below
MAKERS = pytest.mark.parametrize("make", [m for makers in UNDONE.values() for m in makers])


@pytest.fixture(scope="module")
def stopped(busybox_archive: bytes) -> Iterator[Daemon]:
    """What a daemon has left with an image in it."""
    with Daemon().with_image(busybox_archive) as daemon:
        daemon.stop()
        yield daemon


async def gone(engine: Engine, step: EngineStep, seconds: float = 5) -> bool:
    """The kernel takes a network's interfaces down in its own time."""
    return await until(lambda: not step.look(engine._host), seconds)


def test_no_kind_is_forgotten() -> None:
    kinds = {kind for kind in KINDS.values() if issubclass(kind, EngineStep)}
    assert kinds == UNDONE.keys() | STAYING


@MAKERS
def test_done_it_is_there_and_undone_it_is_not(stopped: Daemon, make: Made) -> None:
    async def work(engine: Engine) -> None:
        intended, launch = await make(engine)
        assert not intended.look(engine._host)
        done = await intended.do(engine._host, launch)
        assert done.look(engine._host)
        done.undo(engine._host)
        assert await gone(engine, done) and not intended.look(engine._host)

    within(stopped, work)


@MAKERS
def test_undone_without_having_been_done_and_undone_twice(stopped: Daemon, make: Made) -> None:
    async def work(engine: Engine) -> None:
        intended, launch = await make(engine)
        intended.undo(engine._host)
        done = await intended.do(engine._host, launch)
        done.undo(engine._host)
        done.undo(engine._host)
        intended.undo(engine._host)
        again = await intended.do(engine._host, launch)
        assert again.look(engine._host)
        again.undo(engine._host)

    within(stopped, work)


@MAKERS
def test_undone_by_what_the_journal_has(stopped: Daemon, make: Made) -> None:
    """As a later engine reads it; what it reads of a step that was done is enough to find and to undo it."""

    async def work(engine: Engine) -> None:
        intended, launch = await make(engine)
        done = await intended.do(engine._host, launch)
        engine.executor.journal.begin("b" * 64, [done])
        read = engine.executor.journal.under_way("b" * 64)
        assert read is not None
        (kept,) = read.preparation
        assert kept == done and kept.look(engine._host)
        kept.undo(engine._host)
        assert await gone(engine, done)

    within(stopped, work)


@MAKERS
def test_a_crash_before_the_second_write(stopped: Daemon, make: Made) -> None:
    """The journal has the step as intended, and the engine that did it is gone: undone by that alone, all is gone."""

    async def do(engine: Engine) -> None:
        intended, launch = await make(engine)
        engine.executor.journal.begin(ID, [intended])
        done = await intended.do(engine._host, launch)
        assert done.look(engine._host)
        os._exit(0)  # no engine.stop(): as a kill would have it

    async def later(engine: Engine) -> None:
        read = engine.executor.journal.under_way(ID)
        intended, _ = await make(engine)
        if read is not None:  # else the sweep of what nobody owns has taken it
            read.preparation[0].undo(engine._host)
        intended.undo(engine._host)
        assert not intended.look(engine._host)
        assert engine.networks.host.counts() == {}
        folder, _ = await runtime_directory(engine)
        folder.undo(engine._host)  # the journal's; a container that is in the store keeps it

    async def last(engine: Engine) -> None:
        """What the making of a step has needed, such as an endpoint to publish ports of, goes with the next engine."""

    for part in (do, later, last):
        within(stopped, part)
    assert stopped.leaks() == []


def test_the_parent_cgroup(stopped: Daemon) -> None:
    async def work(engine: Engine) -> None:
        step = ParentCgroup(f"{engine.config.cgroup_parent}/below")
        assert not step.look(engine._host)
        await step.do(engine._host, Launch())
        await step.do(engine._host, Launch())
        step.undo(engine._host)
        assert step.look(engine._host), "it stays: others are in it"
        engine._cgroups.destroy(f"/{step.path}")

    within(stopped, work)


def test_joining_a_container(stopped: Daemon) -> None:
    async def work(engine: Engine) -> None:
        made = await engine.containers.create(
            ContainerCreate(
                image="busybox", cmd=["sleep", "60"], host_config=HostConfig(network_mode="none")
            ),
            name="base",
            platform=None,
        )
        step, launch = JoinContainer("network", "base"), Launch()
        with pytest.raises(
            Conflict,
            match="cannot join network namespace of a non running container: container base is created",
        ):
            await step.do(engine._host, launch)
        await engine.containers.start("base")
        done = await step.do(engine._host, launch)
        names = {"files_of": made.id, "hostname": made.id[:12]}
        assert done == replace(step, id=made.id, path=done.path, **names)
        (descriptor,) = launch.fds.values()
        assert os.fstat(descriptor).st_ino == os.stat(done.path).st_ino
        launch.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
        await engine.containers.remove("base", force=True)

    within(stopped, work)


def test_a_missing_network(stopped: Daemon) -> None:
    async def work(engine: Engine) -> None:
        with pytest.raises(NotFound, match="failed to set up container networking: network nosuch not found"):
            await MissingNetwork("nosuch").do(engine._host, Launch())

    within(stopped, work)


@pytest.mark.parametrize("step", [ShareWithHost("pid"), LeftOut("the log"), Policy("labels", "a=b")])
def test_what_only_tells_of_something(stopped: Daemon, step: EngineStep) -> None:
    async def work(engine: Engine) -> None:
        assert await step.do(engine._host, Launch()) == step
        step.undo(engine._host)
        assert step.look(engine._host)

    within(stopped, work)


def test_steps_of_a_journal_are_engine_steps_again() -> None:
    steps = from_document([["left-out", {"what": "the log"}]])
    assert steps == (LeftOut("the log"),)
