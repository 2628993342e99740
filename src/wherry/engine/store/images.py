"""The images of the store, and their names."""

from __future__ import annotations

import msgspec

from wherry.engine.image_record import ImageRecord
from wherry.engine.store.database import Database

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(ImageRecord).decode


class ImageRepository:
    """Images by their id, the digest of their configuration."""

    def __init__(self, database: Database) -> None:
        self._run = database.run

    def put(self, record: ImageRecord) -> None:
        """Add an image, or replace what is known of it."""
        self._run("INSERT OR REPLACE INTO images VALUES (?, ?)", record.id, encode(record))

    def get(self, id: str) -> ImageRecord | None:
        """The image of this id; None where there is none."""
        rows = self._run("SELECT record FROM images WHERE id = ?", id)
        return decode(rows[0][0]) if rows else None

    def all(self) -> list[ImageRecord]:
        """Every image, in no certain order."""
        return [decode(row[0]) for row in self._run("SELECT record FROM images")]

    def delete(self, id: str) -> None:
        """Absent is fine."""
        self._run("DELETE FROM images WHERE id = ?", id)


class TagRepository:
    """Which image a name means. Names are canonical: ``docker.io/library/busybox:latest``."""

    def __init__(self, database: Database) -> None:
        self._run = database.run

    def set(self, name: str, image_id: str) -> None:
        """Let a name mean an image, whatever it meant before."""
        self._run("INSERT OR REPLACE INTO tags VALUES (?, ?)", name, image_id)

    def delete(self, name: str) -> None:
        """Absent is fine."""
        self._run("DELETE FROM tags WHERE name = ?", name)

    def all(self) -> dict[str, str]:
        """Image ids by full name."""
        return {str(name): str(image) for name, image in self._run("SELECT name, image FROM tags")}
