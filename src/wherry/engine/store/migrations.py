"""The schema, version by version. A store of any former version is brought to this one when it is opened.

Each migration is one transaction together with the note of its version (``PRAGMA user_version``), so that a crash
leaves either the old store or the new one. A migration may use nothing of the engine: its structs go on changing,
and what an old version wrote does not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from wherry.errors import Unavailable

Migration = Callable[[sqlite3.Connection], None]


def first(db: sqlite3.Connection) -> None:
    """Version 1: whole records as JSON."""
    for statement in (
        "CREATE TABLE IF NOT EXISTS containers "
        "(id TEXT PRIMARY KEY, name TEXT UNIQUE NOT NULL, record BLOB NOT NULL) WITHOUT ROWID",
        "CREATE TABLE IF NOT EXISTS images (id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID",
        "CREATE TABLE IF NOT EXISTS tags (name TEXT PRIMARY KEY, image TEXT NOT NULL) WITHOUT ROWID",
        "CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    ):
        db.execute(statement)


def state_apart(db: sqlite3.Connection) -> None:
    """Version 2: what is the case stands beside what was wished, and networks have a table.

    Version 1 notes itself whatever it finds. On a store of version 2 it can write no container and ends; what it
    noted beside it is of no account.
    """
    if not has_column(db, "containers", "state"):
        split_records(db)
    db.execute(
        "CREATE TABLE IF NOT EXISTS networks (name TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID"
    )
    for name, driver in (("bridge", "bridge"), ("host", "host"), ("none", "null")):
        move_network(db, name, driver)


def has_column(db: sqlite3.Connection, table: str, name: str) -> bool:
    return name in (column[1] for column in db.execute(f"PRAGMA table_info({table})"))


def split_records(db: sqlite3.Connection) -> None:
    db.execute("ALTER TABLE containers ADD COLUMN state BLOB NOT NULL DEFAULT '{}'")
    for id, raw in db.execute("SELECT id, record FROM containers").fetchall():
        record = msgspec.json.decode(raw)
        state = state_of(record.pop("state", {}), record.pop("restart_count", 0))
        lease = record.pop("attachment", None)
        if lease is not None and state["pid"]:
            state["unjournaled"] = [lease]
        endpoints = record.get("networks", {})
        state["networks"] = {name: e["NetworkID"] for name, e in endpoints.items() if e.get("NetworkID")}
        for endpoint in endpoints.values():
            for field in LEASED:
                endpoint.pop(field, None)
        encoded = msgspec.json.encode(record), msgspec.json.encode(state), id
        db.execute("UPDATE containers SET record = ?, state = ? WHERE id = ?", encoded)


# What a lease had filled in of a container's endpoint.
LEASED = (
    "NetworkID", "EndpointID", "Gateway", "IPAddress", "IPPrefixLen", "IPv6Gateway", "GlobalIPv6Address",
    "GlobalIPv6PrefixLen", "DNSNames",
)  # fmt: skip


def state_of(old: dict[str, Any], restarts: int) -> dict[str, Any]:
    """A version 1 state, in the API's words, as version 2 has it."""
    return {
        "phase": old.get("Status", "created"),
        "pid": old.get("Pid", 0),
        "exit_code": old.get("ExitCode", 0),
        "error": old.get("Error", ""),
        "oom_killed": old.get("OOMKilled", False),
        "started_at": old.get("StartedAt", "0001-01-01T00:00:00Z"),
        "finished_at": old.get("FinishedAt", "0001-01-01T00:00:00Z"),
        "restart_count": restarts,
    }


def move_network(db: sqlite3.Connection, name: str, driver: str) -> None:
    """From two settings to a row."""
    found = dict(
        db.execute(
            "SELECT key, value FROM settings WHERE key IN (?, ?)",
            (f"network.{name}.id", f"network.{name}.created"),
        ).fetchall()
    )
    if len(found) == 2:
        record = {
            "id": found[f"network.{name}.id"],
            "name": name,
            "driver": driver,
            "created": found[f"network.{name}.created"],
        }
        db.execute("INSERT OR IGNORE INTO networks VALUES (?, ?)", (name, msgspec.json.encode(record)))
    db.execute("DELETE FROM settings WHERE key IN (?, ?)", (f"network.{name}.id", f"network.{name}.created"))


MIGRATIONS: tuple[Migration, ...] = (first, state_apart)
VERSION = len(MIGRATIONS)


def migrate(db: sqlite3.Connection, path: Path, to: int = VERSION) -> None:
    """Bring a store to a version. Unavailable where it is newer than this program."""
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise Unavailable(
            f"{path} was written by a newer version of wherry (its version is {version}, this one knows {VERSION}): "
            "start that version, or choose another --data-root"
        )
    for number in range(version, to):
        db.execute("BEGIN IMMEDIATE")
        try:
            MIGRATIONS[number](db)
            db.execute(f"PRAGMA user_version={number + 1}")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
