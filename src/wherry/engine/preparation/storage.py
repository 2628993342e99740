"""What a container has on disk: its writable layer, its record, its runtime directory."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Self

from wherry.engine.paths import SHM
from wherry.engine.preparation.step import EngineStep, Host, Launch, Moment
from wherry.engine.record import ContainerRecord, ContainerState
from wherry.linux.mounts import unmount
from wherry.runtime.steps import Heading

HIDDEN = {"hidden": True}  # of a field: what no reader of a plan needs
KNOWN_FILES = ("exit", "m", "launch.json", "ended.json")  # in a runtime directory


@dataclass(frozen=True, slots=True)
class WritableLayer(EngineStep):
    """Make the directories that take what the container writes. Undone, they go by one rename; a sweep deletes them."""

    name, heading = "writable-layer", Heading.LAYERS
    done_at, undone_at = Moment.CREATE, Moment.REMOVAL
    upper: str
    work: str
    id: str = field(default="", metadata=HIDDEN)
    layers: tuple[str, ...] = field(default=(), metadata=HIDDEN)  # lowest first

    def describe(self) -> str:
        return f"create the writable layer {self.upper}"

    async def do(self, host: Host, launch: Launch) -> Self:
        host.snapshots.prepare(self.id, self.layers)
        return self

    def undo(self, host: Host) -> None:
        host.snapshots.remove(self.id)

    def look(self, host: Host) -> bool:
        return os.path.isdir(self.upper) and os.path.isdir(self.work)


@dataclass(frozen=True, slots=True)
class WriteRecord(EngineStep):
    """Keep the container's record in the store. It is what makes a container: directories without one are swept."""

    name, heading = "record", Heading.PROCESS
    done_at, undone_at = Moment.CREATE, Moment.REMOVAL
    database: str
    id: str = field(default="", metadata=HIDDEN)
    record: ContainerRecord | None = field(default=None, metadata=HIDDEN, compare=False, repr=False)

    def describe(self) -> str:
        return f"record the container in {self.database}"

    async def do(self, host: Host, launch: Launch) -> Self:
        if self.record is not None:
            host.store.containers.add(self.record, ContainerState())
        return replace(self, record=None)

    def undo(self, host: Host) -> None:
        host.store.containers.delete(self.id)

    def look(self, host: Host) -> bool:
        return host.store.containers.has(self.id)


@dataclass(frozen=True, slots=True)
class RuntimeDirectory(EngineStep):
    """Make the directory for the monitor's socket, the exit file and what was started; without an earlier start's."""

    name, heading = "runtime-directory", Heading.FILESYSTEMS
    undone_at = Moment.REMOVAL
    path: str
    socket: str

    def describe(self) -> str:
        return f"create directory {self.path}, for the monitor's socket"

    async def do(self, host: Host, launch: Launch) -> Self:
        with suppress(FileExistsError):
            os.mkdir(self.path, 0o700)
        for stale in (f"{self.path}/exit", self.socket):
            with suppress(FileNotFoundError):
                os.unlink(stale)
        return self

    def undo(self, host: Host) -> None:
        """Mostly there is just what we know of; whatever else there is goes too."""
        try:
            for name in KNOWN_FILES:
                with suppress(FileNotFoundError):
                    os.unlink(f"{self.path}/{name}")
            with suppress(FileNotFoundError):
                os.rmdir(f"{self.path}/root")
            os.rmdir(self.path)
        except OSError:
            remove_runtime(self.path, ignore_errors=True)

    def look(self, host: Host) -> bool:
        return os.path.isdir(self.path)


def remove_runtime(path: str, *, ignore_errors: bool = False) -> None:
    """A directory with what a run needed; memory to share may be there of a start whose journal was lost."""
    with suppress(OSError):
        unmount(f"{path}/{SHM}")
    shutil.rmtree(path, ignore_errors=ignore_errors)
