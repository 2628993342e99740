"""Where the things of one container are. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wherry.engine.config import EngineConfig


@dataclass(frozen=True, slots=True)
class ContainerPaths:
    """Files of one container: ``home`` lasts, ``runtime`` may go with a reboot.

    What the container may write is in ``home``: ``runtime`` is mostly a tmpfs that all of the host shares.
    """

    home: Path
    runtime: Path

    @classmethod
    def of(cls, config: EngineConfig, id: str) -> ContainerPaths:
        return cls(config.containers_dir / id, config.runtime_dir / id)

    @property
    def log(self) -> Path:
        return self.home / f"{self.home.name}-json.log"

    @property
    def merged(self) -> Path:
        """Where the root is mounted, in the container's own mount namespace only."""
        return self.runtime / "root"

    @property
    def socket(self) -> Path:
        """The monitor's. A socket's path has room for 107 bytes, so its name is short."""
        return self.runtime / "m"

    @property
    def exit(self) -> Path:
        return self.runtime / "exit"

    @property
    def launch(self) -> Path:
        """What was started; see ``journal.py``."""
        return self.runtime / "launch.json"

    @property
    def ended(self) -> Path:
        return self.runtime / "ended.json"

    @property
    def hosts(self) -> Path:
        return self.home / "hosts"

    @property
    def hostname(self) -> Path:
        return self.home / "hostname"

    @property
    def resolv_conf(self) -> Path:
        return self.home / "resolv.conf"
