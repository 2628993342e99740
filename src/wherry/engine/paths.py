"""Where the things of one container are. Pure."""

from __future__ import annotations

from wherry.engine.config import EngineConfig

SHM = "shm"  # in a runtime directory


class ContainerPaths:
    """Files of one container, as texts: ``home`` lasts, ``runtime`` may go with a reboot.

    What the container may write is in ``home``: ``runtime`` is mostly a tmpfs that all of the host shares.
    """

    __slots__ = ("home", "id", "runtime")

    def __init__(self, config: EngineConfig, id: str) -> None:
        self.id = id
        self.home = f"{config.data_root}/containers/{id}"
        self.runtime = f"{config.exec_root}/containers/{id}"

    @property
    def upper(self) -> str:
        return f"{self.home}/upper"

    @property
    def work(self) -> str:
        return f"{self.home}/work"

    @property
    def log(self) -> str:
        return f"{self.home}/{self.id}-json.log"

    @property
    def hosts(self) -> str:
        return f"{self.home}/hosts"

    @property
    def hostname(self) -> str:
        return f"{self.home}/hostname"

    @property
    def resolv_conf(self) -> str:
        return f"{self.home}/resolv.conf"

    @property
    def merged(self) -> str:
        """Where the root is mounted, in the container's own mount namespace only."""
        return f"{self.runtime}/root"

    @property
    def socket(self) -> str:
        """The monitor's. A socket's path has room for 107 bytes, so its name is short."""
        return f"{self.runtime}/m"

    @property
    def shm(self) -> str:
        """Its /dev/shm, where others may share that."""
        return f"{self.runtime}/{SHM}"

    @property
    def exit(self) -> str:
        return f"{self.runtime}/exit"

    @property
    def launch(self) -> str:
        """What was started; see ``journal.py``."""
        return f"{self.runtime}/launch.json"

    @property
    def ended(self) -> str:
        return f"{self.runtime}/ended.json"
