"""The networks of the store."""

from __future__ import annotations

import msgspec

from wherry.engine.store.database import Database
from wherry.engine.store.reading import readable


class NetworkRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of a network. ``created`` is RFC 3339."""

    id: str
    name: str
    driver: str
    created: str


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(NetworkRecord).decode


class NetworkRepository:
    """Networks by their names, of which there is one each."""

    def __init__(self, database: Database) -> None:
        self._run = database.run

    def add(self, record: NetworkRecord) -> None:
        """A new network. Conflict where the name is taken."""
        self._run("INSERT INTO networks VALUES (?, ?)", record.name, encode(record))

    def get(self, name: str) -> NetworkRecord | None:
        """The network of this name; None where there is none, or none that can be read."""
        rows = self._run("SELECT name, record FROM networks WHERE name = ?", name)
        return next(readable(decode, rows, "network"), None)

    def delete(self, name: str) -> None:
        """Absent is fine."""
        self._run("DELETE FROM networks WHERE name = ?", name)

    def all(self) -> list[NetworkRecord]:
        """Every network that can be read, in no certain order."""
        return list(readable(decode, self._run("SELECT name, record FROM networks"), "network"))
