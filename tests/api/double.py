"""An engine without a kernel: the real containers, images and events, and a monitor that only pretends to run.

What a container "runs" is its command: ``cat`` sends its input back, ``sleep`` waits for a signal, ``say WORDS``
writes them and ends, ``exit N`` ends with N; anything else cannot be run.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from wherry.engine.config import EngineConfig
from wherry.engine.containers import Containers
from wherry.engine.events import EventBus
from wherry.engine.exec import Execs
from wherry.engine.executor import Run
from wherry.engine.explain.model import Checked, Explanation
from wherry.engine.image import Images
from wherry.engine.network import Networks
from wherry.engine.record import ContainerState
from wherry.engine.registry import Registry
from wherry.engine.store import Store
from wherry.engine.system import System
from wherry.engine.task import Task
from wherry.engine.views import Views
from wherry.errors import LaunchFailed
from wherry.image.blobs import BlobStore
from wherry.runtime.launcher import Attach, ExitStatus
from wherry.snapshot.layers import LayerStore
from wherry.snapshot.overlay import OverlayStore


class PretendMonitor:
    """Behaves as ``Monitored`` does towards the engine."""

    def __init__(self, argv: list[str], attaches: list[Attach]) -> None:
        self.argv = argv
        self.init_pid = os.getpid()
        self.on_detach: Callable[[int, int], None] | None = None
        self.warnings: list[str] = []
        loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[ExitStatus] = loop.create_future()
        self.cleaned: asyncio.Future[None] = loop.create_future()
        self.clients: set[asyncio.Task[None]] = set()
        for attach in attaches:
            self._serve(attach)
        if argv[0] == "exit":
            loop.call_later(0.02, self.end, int(argv[1]))
        if argv[0] == "say" and not attaches:
            loop.call_later(0.02, self.end, 0)

    async def attach(self, attach: Attach) -> None:
        self._serve(attach)

    def _serve(self, attach: Attach) -> None:
        client = socket.socket(fileno=os.dup(attach.sock_fd))
        task = asyncio.ensure_future(self._talk(client, attach))
        self.clients.add(task)
        task.add_done_callback(self.clients.discard)

    async def _talk(self, client: socket.socket, attach: Attach) -> None:
        reader, writer = await asyncio.open_connection(sock=client)

        def say(data: bytes) -> None:
            writer.write(struct.pack(">BxxxI", 1, len(data)) + data if attach.framed else data)

        if self.argv[0] == "say":
            say(" ".join(self.argv[1:]).encode())
        if self.argv[0] == "cat" and attach.stdin:
            if attach.leftover:
                say(attach.leftover)
            while data := await reader.read(65536):
                say(data)
        elif self.argv[0] in ("sleep", "cat"):
            await asyncio.wait([self.exited])
        writer.close()
        self.end(0)

    def end(self, code: int) -> None:
        if not self.exited.done():
            self.exited.set_result(ExitStatus(code, False, time.time_ns()))
            self.cleaned.set_result(None)

    async def resize(self, rows: int, columns: int) -> None:
        return None

    async def signal(self, number: int) -> None:
        self.end(128 + number)

    def close(self) -> None:
        return None


class PretendExecutor:
    """Stands where the kernel would be needed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.journal = SimpleNamespace(under_way=lambda id: None, last=lambda id: None)

    async def create(self, task: Task) -> None:
        assert task.record is not None
        self._store.containers.add(task.record, ContainerState())

    async def start(self, task: Task, attaches: list[Attach]) -> Run:
        monitor: Any = monitor_for(list(task.argv), attaches)
        return Run(task.id, monitor, ())

    async def exec(self, run: Run, request: Any, options: Any, attaches: list[Attach]) -> PretendMonitor:
        return monitor_for(list(request.cmd or ()), attaches)

    def finish(self, id: str, steps: Any) -> None:
        return None

    def remove(self, task: Task) -> list[Any]:
        self._store.containers.delete(task.id)
        return []


def monitor_for(argv: list[str], attaches: list[Attach]) -> PretendMonitor:
    if argv[0] not in ("cat", "sleep", "say", "exit"):
        raise LaunchFailed(f'exec: "{argv[0]}": executable file not found in $PATH', exit_code=127)
    return PretendMonitor(argv, attaches)


@dataclass
class Double:
    """The parts of an engine that the API uses."""

    config: EngineConfig
    containers: Containers
    execs: Execs
    images: Images
    networks: Networks
    events: EventBus
    system: System
    explainer: PretendExplainer
    views: Views


class PretendExplainer:
    """Knows which containers there are, and nothing of the kernel."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers

    async def explain(self, ref: str, *, read_filter: bool = False) -> Explanation:
        view = self._containers.find(ref)
        record = view.record
        return Explanation(
            id=record.id, name=record.name, image=record.image, command=record.path, status=view.status,
            running=view.running,
        )  # fmt: skip

    async def check(self, refs: Sequence[str] | None = None) -> list[Checked]:
        wanted = self._containers.everyone() if refs is None else [self._containers.get(ref) for ref in refs]
        return [Checked(id=container.id, name=container.record.name) for container in wanted]


def make_double(base: Path) -> Double:
    """An engine on ``base``. Must be called in the event loop that will use it."""
    config = EngineConfig(data_root=base / "data", exec_root=base / "run")
    for folder in (config.data_root, config.exec_root):
        folder.mkdir()
    store, events = Store(config.database), EventBus()
    snapshots = OverlayStore(LayerStore(config.layers_dir), config.containers_dir)
    executor: Any = PretendExecutor(store)
    planner: Any = SimpleNamespace(check=lambda config, host: [])
    registry, networks = Registry(), Networks(config, store)

    def users(image: str) -> list[tuple[str, bool]]:
        return [(c.id, c.running) for c in registry.everyone() if c.record.image == image]

    images = Images(store, BlobStore(config.blobs_dir), LayerStore(config.layers_dir), events, users)
    containers = Containers(config, store, images, snapshots, registry, networks, planner, executor, events)
    cgroups: Any = SimpleNamespace(version=1)
    execs = Execs(containers, executor, events)
    return Double(
        config=config,
        containers=containers,
        execs=execs,
        views=Views(config, containers, execs, images, networks),
        images=images,
        networks=networks,
        events=events,
        system=System(config, store, containers, images, cgroups, executor.journal),
        explainer=PretendExplainer(containers),
    )
