"""Which containers there are: by id, by name, by the beginning of an id."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from wherry.engine.container import Container
from wherry.engine.names import check_name, new_id, random_name
from wherry.engine.preparation.step import Neighbour
from wherry.engine.record import ContainerRecord
from wherry.engine.sharing import CONTAINER
from wherry.errors import Conflict, InvalidArgument, NotFound
from wherry.messages.container import HostConfig

MODES: dict[str, Callable[[HostConfig], str]] = {  # of the kinds of namespaces that another container lends
    "network": lambda host: host.network_mode,
    "pid": lambda host: host.pid_mode,
    "ipc": lambda host: host.ipc_mode,
}
PATIENCE = 1000  # with that many containers, random names alone are likely taken


class Registry:
    """Every container of the engine."""

    def __init__(self) -> None:
        self._by_id: dict[str, Container] = {}
        self._by_name: dict[str, str] = {}

    def get(self, ref: str) -> Container:
        """By full id, exact name (with or without slash), or unambiguous id prefix, in this order.

        NotFound; InvalidArgument where several ids begin so.
        """
        id = ref if ref in self._by_id else self._by_name.get(ref.removeprefix("/"))
        if id is not None:
            return self._by_id[id]
        matches = [key for key in self._by_id if key.startswith(ref)] if ref else []
        if len(matches) > 1:
            raise InvalidArgument(f"multiple IDs found with provided prefix: {ref}")
        if not matches:
            raise no_such(ref)
        return self._by_id[matches[0]]

    def everyone(self) -> Iterable[Container]:
        """The containers of every phase, in the order in which they became known."""
        return self._by_id.values()

    def id_of(self, ref: str) -> str:
        """The id that a name or the like means; "" where it means none."""
        try:
            return self.get(ref).id
        except (NotFound, InvalidArgument):
            return ""

    def neighbour(self, ref: str) -> Neighbour:
        """A container as those see it that share its namespaces. NotFound."""
        container = self.get(ref)
        pid = container.run.pid if container.run is not None else 0
        record = container.record
        last = {kind: self.last(record, mode_of) for kind, mode_of in MODES.items()}
        lender, memory = last["network"], last["ipc"]
        return Neighbour(
            id=record.id,
            name=record.name,
            pid=pid,
            status=container.view.status,
            ipc_mode=memory.host_config.ipc_mode,
            memory_of=memory.id,
            files_of=lender.id,
            hostname=lender.config.hostname,
            domainname=lender.config.domainname,
            of_host=frozenset(kind for kind in last if MODES[kind](last[kind].host_config) == "host"),
        )

    def lender(self, record: ContainerRecord) -> ContainerRecord:
        """Whose files in /etc and names a container has: its own, or those of the one at whose network a chain ends."""
        return self.last(record, MODES["network"])

    def last(self, record: ContainerRecord, mode_of: Callable[[HostConfig], str]) -> ContainerRecord:
        """Where a chain of containers ends, each of which is asked to join the next one's namespace."""
        passed = {record.id}
        while (mode := mode_of(record.host_config)).startswith(CONTAINER):
            id = self.id_of(mode.removeprefix(CONTAINER))
            if not id or id in passed:
                break
            passed.add(id)
            record = self._by_id[id].record
        return record

    def known(self, ref: str) -> Neighbour | None:
        """The same, None where there is none."""
        id = self.id_of(ref)
        return self.neighbour(id) if id else None

    # ------------------------------------------------------------ names

    def claim(self, name: str | None) -> str:
        """A name that is free: this one, or any. InvalidArgument for what is no name, Conflict where it is taken."""
        if not name:
            return self._free_name()
        plain = check_name(name)
        holder = self._by_name.get(plain)
        if holder is not None:
            raise Conflict(
                f'Conflict. The container name "/{plain}" is already in use by container "{holder}". '
                "You have to remove (or rename) that container to be able to reuse that name."
            )
        return plain

    def _free_name(self) -> str:
        while (name := random_name()) in self._by_name:
            if len(self._by_name) > PATIENCE:
                return f"{name}_{new_id()[:8]}"
        return name

    # ------------------------------------------------------------ coming and going

    def add(self, container: Container) -> Container:
        """Make it known under its id and its name, which must be free."""
        self._by_id[container.id] = container
        self._by_name[container.record.name] = container.id
        return container

    def rename(self, container: Container, record: ContainerRecord) -> None:
        """Give a container the record with its new name."""
        self._by_name.pop(container.record.name, None)
        container.record = record
        self._by_name[record.name] = container.id

    def forget(self, container: Container) -> None:
        """Absent is fine."""
        self._by_id.pop(container.id, None)
        if self._by_name.get(container.record.name) == container.id:
            del self._by_name[container.record.name]


def no_such(ref: str) -> NotFound:
    """The error in Docker's words, which clients look for."""
    return NotFound(f"No such container: {ref}")
