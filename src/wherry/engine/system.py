"""What the engine can say of itself and of its host: the facts behind ``/info`` and ``/version``."""

from __future__ import annotations

import asyncio
import os
import platform
import socket
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from wherry import __version__
from wherry.engine.config import EngineConfig
from wherry.engine.container import Container
from wherry.engine.containers import Containers
from wherry.engine.image import Images
from wherry.engine.journal import Journal
from wherry.engine.processes import ProcessTable, list_processes
from wherry.engine.record import Phase
from wherry.engine.store import Store
from wherry.errors import Conflict
from wherry.linux.mountinfo import mount_of

ENGINE_VERSION = __version__
STORAGE_DRIVER = "overlay2"
RUNTIME = "wherry"
GO_ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
CGROUP_ROOT = Path("/sys/fs/cgroup")


class CgroupDriver(Protocol):
    @property
    def version(self) -> int:
        """1 or 2."""

    def processes(self, path: str) -> list[int]:
        """The host's pids in a cgroup."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many containers are in which state, and how many images there are."""

    running: int
    paused: int
    stopped: int
    images: int

    @property
    def containers(self) -> int:
        return self.running + self.paused + self.stopped


@dataclass(frozen=True, slots=True)
class Limits:
    """What the host's kernel can limit, each as the field of ``/info`` of that name."""

    memory: bool
    swap: bool
    cpu_quota: bool
    cpu_shares: bool
    cpu_set: bool
    pids: bool
    oom_kill_disable: bool

    @property
    def missing(self) -> list[str]:
        """A warning for each limit that a container could ask for in vain."""
        texts = {
            "No memory limit support": self.memory,
            "No swap limit support": self.swap,
            "No cpu cfs quota support": self.cpu_quota,
            "No cpu shares support": self.cpu_shares,
            "No cpuset support": self.cpu_set,
            "No pids limit support": self.pids,
        }
        return [f"WARNING: {text}" for text, there in texts.items() if not there]


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The machine. ``architecture`` is the kernel's name for it (x86_64), ``go_architecture`` images' (amd64)."""

    name: str
    kernel: str
    operating_system: str
    os_version: str
    architecture: str
    cpus: int
    memory: int  # bytes
    ipv4_forwarding: bool

    @property
    def go_architecture(self) -> str:
        """The machine in Go's words: ``amd64`` for ``x86_64``."""
        return GO_ARCHITECTURE.get(self.architecture, self.architecture)


@dataclass(frozen=True, slots=True)
class SystemInfo:
    """All of it, as of now."""

    id: str
    counts: Counts
    host: HostFacts
    limits: Limits
    cgroup_version: int
    backing_filesystem: str
    data_root: Path
    log_driver: str
    open_files: int

    @property
    def warnings(self) -> list[str]:
        """What the host lacks, in the sentences of ``docker info``."""
        forwarding = [] if self.host.ipv4_forwarding else ["WARNING: IPv4 forwarding is disabled"]
        return self.limits.missing + forwarding


class System:
    """Answers questions about the engine as a whole."""

    def __init__(
        self,
        config: EngineConfig,
        store: Store,
        containers: Containers,
        images: Images,
        cgroups: CgroupDriver,
        journal: Journal,
    ) -> None:
        self._config = config
        self._store = store
        self._containers = containers
        self._images = images
        self._cgroups = cgroups
        self._journal = journal

    async def info(self) -> SystemInfo:
        """Collect the facts. Reads a dozen small files, in a thread."""
        counts = self._counts()
        return await asyncio.to_thread(self._info, counts)

    def host(self) -> HostFacts:
        """The host as it is now."""
        return host_facts()

    async def processes(self, container: Container, ps_arguments: str = "") -> ProcessTable:
        """The processes of a container. Conflict where it does not run; InvalidArgument for bad arguments; Internal."""
        if not container.running:
            raise Conflict(f"container {container.id} is not running")
        launched = self._journal.of_running(container.id)
        return await list_processes(self._cgroups.processes(launched.cgroup), ps_arguments)

    def _info(self, counts: Counts) -> SystemInfo:
        return SystemInfo(
            id=self._engine_id(),
            counts=counts,
            host=host_facts(),
            limits=limits_of(self._cgroups.version),
            cgroup_version=self._cgroups.version,
            backing_filesystem=filesystem_of(self._config.data_root),
            data_root=self._config.data_root,
            log_driver=self._config.log_driver,
            open_files=len(os.listdir("/proc/self/fd")),
        )

    def _counts(self) -> Counts:
        phases = [container.phase for container in self._containers.everyone()]
        running = sum(container.running for container in self._containers.everyone())
        paused = phases.count(Phase.PAUSED)
        return Counts(running - paused, paused, len(phases) - running, self._images.count())

    def _engine_id(self) -> str:
        """A name for this data root, made once."""
        known = self._store.settings.get("engine_id")
        if known is None:
            known = str(uuid.uuid4())
            self._store.settings.set("engine_id", known)
        return known


# ---------------------------------------------------------------- the host


def host_facts() -> HostFacts:
    """Read them from the kernel and /etc/os-release, as they are now."""
    release = read_os_release()
    return HostFacts(
        name=socket.gethostname(),
        kernel=platform.release(),
        operating_system=release.get("PRETTY_NAME", "Linux"),
        os_version=release.get("VERSION_ID", ""),
        architecture=platform.machine(),
        cpus=len(os.sched_getaffinity(0)),
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        ipv4_forwarding=read_flag(Path("/proc/sys/net/ipv4/ip_forward")),
    )


def read_os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def read_flag(path: Path) -> bool:
    try:
        return path.read_text().strip() == "1"
    except OSError:
        return False


def limits_of(cgroup_version: int, root: Path = CGROUP_ROOT) -> Limits:
    return limits_v2(root) if cgroup_version == 2 else limits_v1(root)


def limits_v1(root: Path) -> Limits:
    def has(*names: str) -> bool:
        return all((root / name).exists() for name in names)

    return Limits(
        memory=has("memory/memory.limit_in_bytes"),
        swap=has("memory/memory.memsw.limit_in_bytes"),
        cpu_quota=has("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"),
        cpu_shares=has("cpu/cpu.shares"),
        cpu_set=has("cpuset/cpuset.cpus"),
        pids=has("pids/cgroup.procs"),
        oom_kill_disable=has("memory/memory.oom_control"),
    )


def limits_v2(root: Path) -> Limits:
    try:
        controllers = set((root / "cgroup.controllers").read_text().split())
    except OSError:
        controllers = set()
    return Limits(
        memory="memory" in controllers,
        swap="memory" in controllers and Path("/proc/swaps").exists(),
        cpu_quota="cpu" in controllers,
        cpu_shares="cpu" in controllers,
        cpu_set="cpuset" in controllers,
        pids="pids" in controllers,
        oom_kill_disable=False,
    )


def filesystem_of(path: Path) -> str:
    """The type of the filesystem that a path is on, in the words of ``docker info``."""
    try:
        mount = mount_of(path)
    except OSError:
        mount = None
    kind = mount.fstype if mount else "unknown"
    return "extfs" if kind in ("ext2", "ext3", "ext4") else kind
