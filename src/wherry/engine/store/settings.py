"""The few things that are remembered under a name of their own."""

from __future__ import annotations

from wherry.engine.store.database import Database


class SettingRepository:
    """Texts by key."""

    def __init__(self, database: Database) -> None:
        self._run = database.run

    def get(self, key: str) -> str | None:
        """What was last set; None where nothing was."""
        rows = self._run("SELECT value FROM settings WHERE key = ?", key)
        return str(rows[0][0]) if rows else None

    def set(self, key: str, value: str) -> None:
        """Remember it, in place of what was remembered before."""
        self._run("INSERT OR REPLACE INTO settings VALUES (?, ?)", key, value)
