"""Namespaces that are shared: with another container, or with the host."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Self

from wherry.engine.preparation.step import EngineStep, Host, Launch, Neighbour
from wherry.engine.preparation.storage import HIDDEN
from wherry.errors import Conflict, Internal, InvalidArgument, NotFound
from wherry.runtime.steps import Fd, Heading

SLOTS = {"network": (Fd.NET, "net"), "pid": (Fd.PID, "pid"), "ipc": (Fd.IPC, "ipc")}
WANTED = {  # in Docker's words
    "network": "joining network namespace of container",
    "pid": "failed to join PID namespace",
    "ipc": "failed to join IPC namespace",
}


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
    shm: str = ""  # of an IPC namespace: its /dev/shm, on the host
    own: bool = field(default=False, metadata=HIDDEN)  # the container is asked to join itself
    files_of: str = field(
        default="", metadata=HIDDEN
    )  # with a network: whose hosts, hostname and resolv.conf,
    hostname: str = field(default="", metadata=HIDDEN)  # and names
    domainname: str = field(default="", metadata=HIDDEN)
    of_host: bool = field(default=False, metadata=HIDDEN)  # the other is in the host's itself

    def describe(self) -> str:
        return f"open the {self.kind} namespace of container {self.container}"

    async def do(self, host: Host, launch: Launch) -> Self:
        other = self._other(host)
        slot, file = SLOTS[self.kind]
        path = f"/proc/{other.pid}/ns/{file}"
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        launch.owned.append(descriptor)
        launch.fds[slot] = descriptor
        return replace(self.lent_by(other), path=path)

    def lent_by(self, other: Neighbour) -> Self:
        """With all that is known of the one that is joined."""
        of_host = self.kind in other.of_host
        if self.kind != "network":
            return replace(self, id=other.id, of_host=of_host)
        return replace(
            self,
            id=other.id,
            of_host=of_host,
            files_of=other.files_of,
            hostname=other.hostname,
            domainname=other.domainname,
        )

    def _other(self, host: Host) -> Neighbour:
        """The one to join. Conflict where it does not run or is gone, InvalidArgument where it may not be joined."""
        if self.own:
            raise Internal(f"cannot join own {self.kind} namespace")
        try:
            other = host.neighbour(self.id or self.container)
        except NotFound as error:
            raise Conflict(f"{WANTED[self.kind]}: {error.message}") from error
        if not other.pid and self.kind == "network":
            raise Conflict(
                "cannot join network namespace of a non running container: "
                f"container {other.name} is {other.status}"
            )
        if not other.pid:
            raise Conflict(f"{WANTED[self.kind]}: container {other.id} is not running")
        if self.kind == "ipc" and not os.path.isdir(self.shm):  # or it was, and whose it is has ended
            raise InvalidArgument(
                f"{WANTED[self.kind]}: container {other.id}: non-shareable IPC "
                "(hint: use IpcMode:shareable for the donor container)"
            )
        return other


@dataclass(frozen=True, slots=True)
class ShareWithHost(EngineStep):
    """A namespace that is not made: the container is in the host's."""

    name, heading = "share-with-host", Heading.NAMESPACES
    identity = "kind"
    compared = True
    kind: str

    def describe(self) -> str:
        return f"share the host's {self.kind} namespace"
