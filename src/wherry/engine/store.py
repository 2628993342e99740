"""What exists, in SQLite (WAL): containers, images, tags and a few settings.

Records are stored whole, as JSON, under their key; the columns beside them are what is looked up.
A commit survives the death of the daemon at once, and the death of the machine at the next checkpoint.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import msgspec

from wherry.engine.image_record import ImageRecord
from wherry.engine.record import ContainerRecord

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS containers
    (id TEXT PRIMARY KEY, name TEXT UNIQUE NOT NULL, record BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS images (id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tags (name TEXT PRIMARY KEY, image TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


class Store:
    """The metadata of one data root. Safe to call from several threads; each call is one transaction."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)
        self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        self._decode_container = msgspec.json.Decoder(ContainerRecord).decode
        self._decode_image = msgspec.json.Decoder(ImageRecord).decode
        self._encode = msgspec.json.Encoder().encode

    def close(self) -> None:
        self._db.close()

    def _run(self, sql: str, *args: object) -> list[tuple[bytes, ...]]:
        with self._lock:
            return self._db.execute(sql, args).fetchall()

    # ------------------------------------------------------------ containers

    def put_container(self, record: ContainerRecord) -> None:
        self._run(
            "INSERT INTO containers VALUES (?, ?, ?) "
            "ON CONFLICT(id) DO UPDATE SET name = excluded.name, record = excluded.record",
            record.id,
            record.name,
            self._encode(record),
        )

    def delete_container(self, id: str) -> None:
        self._run("DELETE FROM containers WHERE id = ?", id)

    def containers(self) -> list[ContainerRecord]:
        return [self._decode_container(row[0]) for row in self._run("SELECT record FROM containers")]

    # ------------------------------------------------------------ images

    def put_image(self, record: ImageRecord) -> None:
        self._run("INSERT OR REPLACE INTO images VALUES (?, ?)", record.id, self._encode(record))

    def image(self, id: str) -> ImageRecord | None:
        rows = self._run("SELECT record FROM images WHERE id = ?", id)
        return self._decode_image(rows[0][0]) if rows else None

    def images(self) -> list[ImageRecord]:
        return [self._decode_image(row[0]) for row in self._run("SELECT record FROM images")]

    def delete_image(self, id: str) -> None:
        self._run("DELETE FROM images WHERE id = ?", id)

    def set_tag(self, name: str, image_id: str) -> None:
        self._run("INSERT OR REPLACE INTO tags VALUES (?, ?)", name, image_id)

    def delete_tag(self, name: str) -> None:
        self._run("DELETE FROM tags WHERE name = ?", name)

    def tags(self) -> dict[str, str]:
        return {str(name): str(image) for name, image in self._run("SELECT name, image FROM tags")}

    # ------------------------------------------------------------ settings

    def get_setting(self, key: str) -> str | None:
        rows = self._run("SELECT value FROM settings WHERE key = ?", key)
        return str(rows[0][0]) if rows else None

    def set_setting(self, key: str, value: str) -> None:
        self._run("INSERT OR REPLACE INTO settings VALUES (?, ?)", key, value)
