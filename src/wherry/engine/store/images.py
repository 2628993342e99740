"""The images of the store, and their names."""

from __future__ import annotations

import msgspec

from wherry.engine.image_record import ImageRecord
from wherry.engine.store.database import Database
from wherry.engine.store.reading import readable

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
        """The image of this id; None where there is none, or none that can be read."""
        return next(
            readable(decode, self._run("SELECT id, record FROM images WHERE id = ?", id), "image"), None
        )

    def all(self) -> list[ImageRecord]:
        """Every image that can be read, in no certain order."""
        return list(readable(decode, self._run("SELECT id, record FROM images"), "image"))

    def ids(self) -> list[str]:
        """Those of all images, also of such as cannot be read."""
        return [str(id) for (id,) in self._run("SELECT id FROM images")]

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

    def get(self, name: str) -> str | None:
        """The id of the image that a name means; None where it means none."""
        rows = self._run("SELECT image FROM tags WHERE name = ?", name)
        return str(rows[0][0]) if rows else None

    def delete(self, name: str) -> None:
        """Absent is fine."""
        self._run("DELETE FROM tags WHERE name = ?", name)

    def all(self) -> dict[str, str]:
        """Image ids by full name."""
        return {str(name): str(image) for name, image in self._run("SELECT name, image FROM tags")}
