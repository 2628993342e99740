"""Namespaces that are shared: with another container, or with the host."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Self

from wherry.engine.preparation.step import EngineStep, Host, Launch
from wherry.engine.preparation.storage import HIDDEN
from wherry.errors import Conflict
from wherry.runtime.steps import Fd, Heading

SLOTS = {"network": (Fd.NET, "net"), "pid": (Fd.PID, "pid"), "ipc": (Fd.IPC, "ipc")}


@dataclass(frozen=True, slots=True)
class JoinContainer(EngineStep):
    """Open a namespace of another container, to be joined. Its files in /etc come with a shared network."""

    name, heading = "open-namespace", Heading.NAMESPACES
    identity = "kind"
    compared = True
    kind: str  # network, pid, ipc
    container: str  # name or id, as asked
    id: str = field(default="", metadata=HIDDEN)  # the other's, where it is known
    path: str = field(default="", metadata=HIDDEN)  # /proc/PID/ns/…, once it is done

    def describe(self) -> str:
        return f"open the {self.kind} namespace of container {self.container}"

    async def do(self, host: Host, launch: Launch) -> Self:
        id, pid = host.process(self.container)
        if not pid:
            raise Conflict(f"cannot join {self.kind} of a non running container: {id}")
        slot, file = SLOTS[self.kind]
        path = f"/proc/{pid}/ns/{file}"
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        launch.owned.append(descriptor)
        launch.fds[slot] = descriptor
        return replace(self, id=id, path=path)


@dataclass(frozen=True, slots=True)
class ShareWithHost(EngineStep):
    """A namespace that is not made: the container is in the host's."""

    name, heading = "share-with-host", Heading.NAMESPACES
    identity = "kind"
    compared = True
    kind: str

    def describe(self) -> str:
        return f"share the host's {self.kind} namespace"
