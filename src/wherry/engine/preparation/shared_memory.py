"""The /dev/shm of a container with which others may share it."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from wherry.engine.preparation.step import EngineStep, Host, Launch
from wherry.linux.mounts import mount_tmpfs, unmount
from wherry.runtime.steps import Heading


@dataclass(frozen=True, slots=True)
class SharedMemory(EngineStep):
    """Mount a tmpfs on the host that this container, and those that join its IPC namespace, have as /dev/shm.

    It goes from the host when its container ends; those that joined keep it as long as they run.
    """

    name, heading = "shared-memory", Heading.FILESYSTEMS
    identity = "path"
    path: str
    size: int  # bytes

    def describe(self) -> str:
        return f"mount a tmpfs of {self.size} bytes on {self.path}, to be shared as /dev/shm"

    async def do(self, host: Host, launch: Launch) -> Self:
        self.undo(host)
        os.mkdir(self.path, 0o700)
        mount_tmpfs(self.path, "shm", f"mode=1777,size={self.size}")
        return self

    def undo(self, host: Host) -> None:
        unmount(self.path)
        with suppress(FileNotFoundError):
            os.rmdir(self.path)

    def look(self, host: Host) -> bool:
        return os.path.ismount(self.path)
