"""The containers of the store."""

from __future__ import annotations

import logging

import msgspec

from wherry.engine.record import ContainerRecord, ContainerState, Phase, lost
from wherry.engine.store.database import Database
from wherry.engine.store.reading import Unreadable, read
from wherry.values.times import parse_rfc3339

log = logging.getLogger(__name__)

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
        """Every record with its state, in no certain order. One that cannot be read is there as a dead container,
        so that it can be seen and removed."""
        rows = self._run("SELECT id, name, record, state FROM containers")
        return [known(str(id), str(name), record, state) for id, name, record, state in rows]


def known(id: str, name: str, record: bytes, state: bytes) -> tuple[ContainerRecord, ContainerState]:
    try:
        return read(whole_record, record), read(whole_state, state)
    except Unreadable as error:
        log.error("the record of container %s cannot be read: %s", id[:12], error)
        return lost(id, name), ContainerState(phase=Phase.DEAD, error=f"its record cannot be read: {error}")


def whole_record(raw: bytes) -> ContainerRecord:
    """A record whose texts are what who looks at it takes them for, so that no list fails by one. ValueError."""
    record = decode_record(raw)
    parse_rfc3339(record.created)
    return record


def whole_state(raw: bytes) -> ContainerState:
    """The same of a state."""
    state = decode_state(raw)
    parse_rfc3339(state.started_at)
    parse_rfc3339(state.finished_at)
    return state
