"""The containers of the store."""

from __future__ import annotations

import msgspec

from wherry.engine.record import ContainerRecord, ContainerState
from wherry.engine.store.database import Database

encode = msgspec.json.Encoder().encode
decode_record = msgspec.json.Decoder(ContainerRecord).decode
decode_state = msgspec.json.Decoder(ContainerState).decode


class ContainerRepository:
    """What was wished of each container, and what is the case, in a column each: a start writes the second only."""

    def __init__(self, database: Database) -> None:
        self._run = database.run

    def add(self, record: ContainerRecord, state: ContainerState) -> None:
        """A new container. Conflict where id or name are taken."""
        self._run(
            "INSERT INTO containers (id, name, record, state) VALUES (?, ?, ?, ?)",
            record.id,
            record.name,
            encode(record),
            encode(state),
        )

    def save_record(self, record: ContainerRecord) -> None:
        """Another record for a container that is there, under a new name perhaps."""
        self._run(
            "UPDATE containers SET name = ?, record = ? WHERE id = ?", record.name, encode(record), record.id
        )

    def save_state(self, id: str, state: ContainerState) -> None:
        """How it stands now; nothing for one that is not there any more."""
        self._run("UPDATE containers SET state = ? WHERE id = ?", encode(state), id)

    def has(self, id: str) -> bool:
        """Whether there is a record for this id."""
        return bool(self._run("SELECT 1 FROM containers WHERE id = ?", id))

    def delete(self, id: str) -> None:
        """Absent is fine."""
        self._run("DELETE FROM containers WHERE id = ?", id)

    def all(self) -> list[tuple[ContainerRecord, ContainerState]]:
        """Every record with its state, in no certain order."""
        rows = self._run("SELECT record, state FROM containers")
        return [(decode_record(record), decode_state(state)) for record, state in rows]
