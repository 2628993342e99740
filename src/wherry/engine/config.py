"""What a daemon is told at its start, and where it keeps things."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from wherry.messages.container import Ulimit


@dataclass(frozen=True)
class EngineConfig:
    """Options of one engine. Names follow dockerd's options and ``daemon.json`` keys."""

    data_root: Path = Path("/var/lib/wherry")
    exec_root: Path = Path("/run/wherry")
    cgroup_parent: str = "wherry"
    bridge: str = "wherry0"
    bip: str | None = None
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    log_driver: str = "json-file"
    log_opts: dict[str, str] = field(default_factory=dict)
    shm_size: int = 64 << 20
    stop_timeout: int = 10
    no_new_privileges: bool = False
    init: bool = False
    pool_size: int = 8
    ulimits: tuple[Ulimit, ...] = ()  # of every container that does not ask for others

    @cached_property
    def containers_dir(self) -> Path:
        """Writable directories and logs, one folder a container."""
        return self.data_root / "containers"

    @cached_property
    def layers_dir(self) -> Path:
        return self.data_root / "layers"

    @cached_property
    def blobs_dir(self) -> Path:
        return self.data_root / "blobs"

    @cached_property
    def database(self) -> Path:
        return self.data_root / "wherry.db"

    @cached_property
    def runtime_dir(self) -> Path:
        """What a running container needs and a reboot may take: sockets, exit files, generated /etc files."""
        return self.exec_root / "containers"
