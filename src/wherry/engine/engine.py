"""The one place where an engine is wired together from its parts."""

from __future__ import annotations

import asyncio
import logging
import stat
from collections.abc import Awaitable, Callable

from wherry.engine.claims import lock_roots, parent_claim
from wherry.engine.config import EngineConfig
from wherry.engine.containers import Containers
from wherry.engine.events import EventBus
from wherry.engine.exec import Execs
from wherry.engine.executor import Executor
from wherry.engine.explain.explainer import Explainer
from wherry.engine.image import Images
from wherry.engine.log_compression import LogCompression
from wherry.engine.network import Networks
from wherry.engine.planning import Planner
from wherry.engine.preparation.step import Host
from wherry.engine.recovery import recover
from wherry.engine.registry import Registry
from wherry.engine.store import Store
from wherry.engine.system import System
from wherry.engine.views import Views
from wherry.errors import Unavailable
from wherry.image.blobs import BlobStore
from wherry.linux.rootdir import in_chroot
from wherry.runtime import capabilities, cgroups
from wherry.runtime.binary import launcher_path
from wherry.runtime.launcher import Launcher
from wherry.runtime.seccomp import SeccompCompiler
from wherry.snapshot.footing import check_footing
from wherry.snapshot.furniture import furnish
from wherry.snapshot.layers import LayerStore
from wherry.snapshot.overlay import OverlayStore

SWEEP_SECONDS = 0.5
COMPRESS_SECONDS = 1.0
LOOK_SECONDS = 2.0  # between looks for monitors that say nothing

log = logging.getLogger(__name__)


class Engine:
    """A container engine on one data root and one exec root.

    ``await engine.start()`` takes over what an earlier engine left; ``await engine.stop()`` leaves
    running containers running. The parts are public: ``containers``, ``execs``, ``executor``, ``images``, ``networks``,
    ``events``, ``system``, ``explainer``, ``views``.
    """

    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        check_root()
        make_directories(config)
        self._locks = lock_roots(config)
        check_footing(config.data_root)
        self._store = Store(config.database)
        blobs, layers = BlobStore(config.blobs_dir), LayerStore(config.layers_dir)
        self._snapshots = OverlayStore(layers, config.containers_dir, furnish)
        self._cgroups = cgroups.detect()
        self._parent = parent_claim(self._cgroups, config.cgroup_parent)
        self._seccomp = SeccompCompiler()
        self.events = EventBus()
        self.networks = Networks(config, self._store)
        self._launcher = Launcher(launcher_path())
        self._registry = Registry()
        self._host = Host(
            self._store, self._snapshots, self._cgroups, self.networks, self.events, self._registry.neighbour
        )
        planner = Planner(config, self._cgroups, self._snapshots, self._seccomp, self.networks.driver)
        self.executor = Executor(config, self._host, planner, self._launcher, self._registry.known)
        self.images = Images(self._store, blobs, layers, self.events, self._image_users)
        self.containers = Containers(
            config,
            self._store,
            self.images,
            self._snapshots,
            self._registry,
            self.networks,
            planner,
            self.executor,
            self.events,
        )
        self.execs = Execs(self.containers, self.executor, self.events)
        self.system = System(
            config, self._store, self.containers, self.images, self._cgroups, self.executor.journal
        )
        self.explainer = Explainer(config, self._host, self.containers, self.executor.journal)
        self.views = Views(config, self.containers, self.execs, self.images, self.networks, self._cgroups)
        self._log_compression = LogCompression(config, self._registry.everyone)
        self._duties: list[asyncio.Task[None]] = []

    def _image_users(self, image_id: str) -> list[tuple[str, bool]]:
        """(container id, does it run) of all containers made from an image."""
        return [(c.id, c.running) for c in self._registry.everyone() if c.record.image == image_id]

    async def start(self) -> None:
        """Prepare the host (networks, table, parent cgroups) and take over what is there.

        Where that fails, no cgroup is left.
        """
        self._seccomp.warm(frozenset(capabilities.defaults()))
        self._cgroups.prepare(self.config.cgroup_parent)
        self._parent.take()
        try:
            await self._take_over()
        except BaseException:
            self._leave_parent()
            raise

    async def _take_over(self) -> None:
        await self.networks.start()
        await self.images.recover()
        self._duties.append(asyncio.create_task(every(LOOK_SECONDS, self._look_after)))
        await recover(self.config, self._host, self._registry, self.executor, self.containers.lifecycle)
        self._duties.append(asyncio.create_task(every(SWEEP_SECONDS, self._sweep)))
        self._duties.append(asyncio.create_task(every(COMPRESS_SECONDS, self._log_compression.work)))

    async def _look_after(self) -> None:
        self._launcher.look_after()
        await asyncio.to_thread(self._have_parent)

    def _have_parent(self) -> None:
        """Have the parent cgroup, for this engine alone; somebody may have taken it away. Unavailable, OSError."""
        try:
            self._parent.take()
        except FileNotFoundError:
            self._cgroups.prepare(self.config.cgroup_parent)
            self._parent.take()

    def _leave_parent(self) -> None:
        """The parent cgroup is anybody's from now on, and goes unless a container runs in it."""
        if self._parent.give_up():
            self._cgroups.remove_parent(self.config.cgroup_parent)

    async def _sweep(self) -> None:
        """Delete removed containers' directories, off everybody's way, and try again what could not be given back."""
        self.executor.retry()
        await asyncio.to_thread(self._snapshots.sweep)

    async def stop(self) -> None:
        """Let go of everything; running containers, and what they need, stay."""
        for duty in self._duties:
            duty.cancel()
        self._log_compression.stop()
        await self.networks.stop()
        await asyncio.to_thread(self._snapshots.sweep)
        self._leave_parent()
        self.explainer.close()
        self._launcher.let_go()
        self._launcher.close()
        self.containers.lifecycle.flush()
        self._store.close()
        self._locks.close()


async def every(seconds: float, duty: Callable[[], Awaitable[None]]) -> None:
    """Do something again and again; one time that fails is one of many."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await duty()
        except Exception:
            log.exception("what is done every %s seconds failed", seconds)


def check_root() -> None:
    """Raises Unavailable in a chroot(8): what enters a container there, as exec does, is in the host's tree."""
    if in_chroot():
        raise Unavailable(
            "wherryd runs in a chroot, where a container's exec would see the host's files: give it a root of its own "
            "with pivot_root(8) or in a container"
        )


def make_directories(config: EngineConfig) -> None:
    """The roots, closed to everybody but root, also where they were there: images hold setuid files
    (CVE-2021-41091)."""
    for folder in (config.data_root, config.exec_root, config.runtime_dir):
        allowed = 0o711 if folder == config.exec_root else 0o700
        folder.mkdir(mode=allowed, parents=True, exist_ok=True)
        mode = stat.S_IMODE(folder.stat().st_mode)
        if mode & ~allowed:
            folder.chmod(mode & allowed)
