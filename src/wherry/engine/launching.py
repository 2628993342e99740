"""From a record to a running process: sandbox, specification, plan, launcher. And back, when it has exited."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

from wherry.engine.config import EngineConfig
from wherry.engine.container import Container
from wherry.engine.image_record import ImageRecord
from wherry.engine.paths import ContainerPaths
from wherry.engine.planning import Planner
from wherry.engine.record import ContainerRecord
from wherry.engine.sandbox import Lookup, Sandbox, Sandboxes
from wherry.engine.store import Store
from wherry.errors import Conflict, NotFound
from wherry.messages.exec import ExecCreate, ExecStart
from wherry.runtime.cgroups import Cgroups
from wherry.runtime.launcher import Attach, Launcher, Monitored
from wherry.runtime.preparation import ParentCgroup
from wherry.runtime.steps import Fd, Plan


class Launching:
    """Starts containers and execs, and frees what they held."""

    def __init__(
        self,
        config: EngineConfig,
        store: Store,
        launcher: Launcher,
        cgroups: Cgroups,
        planner: Planner,
        sandboxes: Sandboxes,
    ) -> None:
        self._config = config
        self._store = store
        self._launcher = launcher
        self._cgroups = cgroups
        self._planner = planner
        self._sandboxes = sandboxes

    def paths(self, id: str) -> ContainerPaths:
        return ContainerPaths.of(self._config, id)

    # ------------------------------------------------------------ containers

    async def launch(self, container: Container, lookup: Lookup) -> Monitored:
        """Start a container's process. Undoes everything, and raises, where a step fails."""
        image = self._image(container.record)
        steps = self._planner.preparation(container.record)
        for step in steps:
            if isinstance(step, ParentCgroup):
                self._cgroups.prepare(step.path)
        sandbox = await self._sandboxes.enter(container, steps, lookup)
        try:
            return await self._launch(container, image, sandbox)
        except BaseException:
            self._sandboxes.leave(container)
            raise
        finally:
            sandbox.close()

    async def _launch(self, container: Container, image: ImageRecord, sandbox: Sandbox) -> Monitored:
        paths = self.paths(container.id)
        paths.runtime.mkdir(mode=0o700, exist_ok=True)
        for stale in (paths.exit, paths.socket):
            stale.unlink(missing_ok=True)
        plan = self._planner.container(container.record, image, sandbox)
        attaching, container.attaching = container.attaching, []
        try:
            return await self._launcher.launch(
                plan, fds=sandbox.fds, listen_path=paths.socket, attaches=attaching
            )
        finally:
            for attach in attaching:
                os.close(attach.sock_fd)

    def release(self, container: Container) -> None:
        """After an exit: give back what the container held of the network."""
        self._sandboxes.leave(container)

    def discard(self, container: Container) -> None:
        """At removal: its runtime files."""
        shutil.rmtree(self.paths(container.id).runtime, ignore_errors=True)

    # ------------------------------------------------------------ execs

    def plan_of(self, record: ContainerRecord, lookup: Lookup) -> Plan:
        """The plan of a container as it would be started now or, if it runs, as it was started. Touches nothing."""
        plan = self._planner.container(record, self._image(record), Sandbox.preview(record, lookup))
        return replace(plan, preparation=self._planner.preparation(record))

    async def launch_exec(
        self,
        container: Container,
        request: ExecCreate,
        options: ExecStart,
        attaches: list[Attach],
        lookup: Lookup,
    ) -> Monitored:
        """Run a command in a container's namespaces."""
        if container.pidfd < 0:
            raise Conflict(f"container {container.id} is not running")
        record = container.record
        sandbox = Sandbox.preview(record, lookup)
        plan = self._planner.exec(record, self._image(record), sandbox, request, options)
        return await self._launcher.launch(
            plan, fds={Fd.TARGET: container.pidfd}, listen_path=None, attaches=attaches
        )

    def _image(self, record: ContainerRecord) -> ImageRecord:
        image = self._store.image(record.image)
        if image is None:
            raise NotFound(f"No such image: {record.image}")
        return image

    # ------------------------------------------------------------ the host, and recovery

    def prepare_host(self) -> None:
        self._cgroups.prepare(self._config.cgroup_parent)

    def leave_host(self) -> None:
        self._cgroups.remove_parent(self._config.cgroup_parent)

    async def find_monitor(self, id: str) -> Monitored | None:
        """The monitor of a container that a former daemon started, if it lives."""
        paths = self.paths(id)
        try:
            return await self._launcher.take_over(paths.socket, paths.exit)
        except OSError:
            return None

    def readopt(self, container: Container) -> None:
        self._sandboxes.readopt(container)

    def cgroup_ids(self) -> list[str]:
        return list(self._cgroups.names(self._config.cgroup_parent))

    def destroy_cgroup(self, id: str) -> None:
        self._cgroups.destroy(f"/{self._config.cgroup_parent}/{id}")

    def runtime_ids(self) -> list[str]:
        return os.listdir(self._config.runtime_dir)

    def discard_runtime(self, id: str) -> None:
        shutil.rmtree(self._config.runtime_dir / id, ignore_errors=True)
