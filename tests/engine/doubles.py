"""Lives of containers without a kernel: an executor whose processes end when they are told to."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from wherry.content.digest import Digest
from wherry.engine.config import EngineConfig
from wherry.engine.container import Container
from wherry.engine.events import EventBus, Subscription
from wherry.engine.executor import Run
from wherry.engine.image_record import ImageRecord
from wherry.engine.lifecycle import Lifecycle
from wherry.engine.record import ContainerRecord, ContainerState
from wherry.engine.registry import Registry
from wherry.engine.store import Store
from wherry.errors import Internal
from wherry.image.manifest import ImageConfig
from wherry.messages.container import Config, HostConfig
from wherry.runtime.launcher import Attach, ExitStatus

IMAGE = "sha256:" + "0" * 64
BEGAN = 1_800_000_000_000_000_000  # when a journal of a former daemon was written


class Monitor:
    """A process that any signal ends, one turn of the event loop later. To the kernel it is this one."""

    def __init__(self, number: int = 1) -> None:
        self.number = number
        self.init_pid = os.getpid()
        self.pidfd = os.pidfd_open(self.init_pid)
        self.unheld = None
        self.attached: list[int] = []
        self.size: tuple[int, int] | None = None  # of its terminal
        self.on_detach = None
        self._exited: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()

    @property
    def exited(self) -> asyncio.Future[ExitStatus]:
        return asyncio.shield(self._exited)

    def end(self, code: int) -> None:
        if not self._exited.done():
            self._exited.set_result(ExitStatus(code, oom=False, finished_ns=self.number * 10**9))
            self.close()

    def close(self) -> None:
        descriptor, self.pidfd = self.pidfd, -1
        if descriptor >= 0:
            os.close(descriptor)

    def has_ended(self) -> bool:
        return self.pidfd < 0

    async def attach(self, attach: Attach) -> None:
        self.attached.append(attach.id)

    async def resize(self, rows: int, columns: int) -> None:
        self.size = rows, columns

    def signal(self, number: int) -> None:
        asyncio.get_running_loop().call_soon(self.end, 128 + number)


def running(id: str, monitor: Monitor) -> Run:
    return Run(id, monitor, ())  # type: ignore[arg-type]


@dataclass
class FakeExecutor:
    """What the lifecycle asks of an executor. ``held``: what processes hold that was not given back."""

    store: Store
    gate: asyncio.Event | None = None  # a start waits for it
    fails: BaseException | None = None  # the next start does
    stuck: str = ""  # what keeps a container from being removed
    alive: dict[str, Run] = field(default_factory=dict)  # of a former daemon
    had_run: set[str] = field(default_factory=set)  # by a former daemon, and not given back
    journal: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(time_of=lambda id: BEGAN))
    started: list[str] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    last: Monitor | None = None
    wanted: list[Attach] = field(default_factory=list)  # by the last exec

    async def start(self, task: Any, attaches: Sequence[Attach] = ()) -> Run:
        assert task.id not in self.held, "started twice at once"
        assert task.id not in self.removed, "started, but it is gone"
        await (self.gate.wait() if self.gate is not None else asyncio.sleep(0))
        if self.fails is not None:
            error, self.fails = self.fails, None
            raise error
        self.held.add(task.id)
        self.started.append(task.id)
        self.last = Monitor(len(self.started))
        for attach in attaches:
            await self.last.attach(attach)
        return running(task.id, self.last)

    def finish(self, id: str, steps: Sequence[Any]) -> None:
        self.held.remove(id)

    def remove(self, task: Any) -> None:
        assert task.id not in self.held, "removed, but it runs"
        if self.stuck:
            raise Internal(f"cannot be removed: {self.stuck}")
        self.store.containers.delete(task.id)
        self.removed.append(task.id)

    async def exec(self, run: Run, request: Any, options: Any, attaches: Sequence[Attach]) -> Monitor:
        await asyncio.sleep(0)
        if self.fails is not None:
            error, self.fails = self.fails, None
            raise error
        self.last = Monitor()
        self.wanted = list(attaches)
        return self.last

    async def take_over(self, id: str, anew: object) -> Run | None:
        return self.alive.get(id)

    def settle(self, id: str) -> bool:
        self.settled.append(id)
        return id in self.had_run


async def told(events: Subscription) -> list[str]:
    """The actions of all that was said, in its order. Ends the subscription."""
    events.close()
    return [event.action async for batch in events for event in batch]


class Lab:
    """A lifecycle with a real store and registry, and containers in both."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        """``settings`` are of the engine's configuration."""
        self.config = EngineConfig(data_root=folder, exec_root=folder / "run", **settings)
        self.config.runtime_dir.mkdir(parents=True, exist_ok=True)
        self.store = Store(self.config.database)
        self.store.images.put(image())
        self.registry = Registry()
        self.executor = FakeExecutor(self.store)
        self.events = EventBus()
        self.released: list[str] = []
        networks: Any = None  # no container here asks for one
        self.lifecycle = Lifecycle(
            self.config, self.store, self.registry, self.executor, networks, self.events, self.store.images.get,
            self.released.append,
        )  # type: ignore[arg-type]  # fmt: skip

    def container(
        self,
        name: str = "box",
        state: ContainerState | None = None,
        config: Config | None = None,
        **host: Any,
    ) -> Container:
        record = wished(len(self.store.containers.all()) + 1, name, **host)
        record = msgspec.structs.replace(record, config=config or record.config)
        state = msgspec.structs.replace(state) if state is not None else ContainerState()
        self.store.containers.add(record, state)
        self.store.containers.save_state(record.id, state)
        return self.registry.add(Container(record, state))

    def kept(self, container: Container) -> ContainerState | None:
        """Its state as a later daemon would find it, were this one to end now."""
        self.lifecycle.flush()
        return {record.id: state for record, state in self.store.containers.all()}.get(container.id)


def wished(number: int = 1, name: str = "box", **host: Any) -> ContainerRecord:
    """The record of a container. Its id ends in its number."""
    return ContainerRecord(
        id=f"{number:064x}", name=name, created="2026-11-24T14:58:50Z", path="sh", args=[], config=Config(),
        host_config=HostConfig(**host), image=IMAGE,
    )  # fmt: skip


def image() -> ImageRecord:
    return ImageRecord(id=Digest(IMAGE), config=ImageConfig(), chain_ids=(), layers=(), layer_sizes=())
