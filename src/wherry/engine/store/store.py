"""The metadata of one data root."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from wherry.engine.store.containers import ContainerRepository
from wherry.engine.store.database import Database
from wherry.engine.store.images import ImageRepository, TagRepository
from wherry.engine.store.networks import NetworkRepository
from wherry.engine.store.settings import SettingRepository


class Store:
    """A repository for each noun. Safe to call from several threads."""

    def __init__(self, path: Path) -> None:
        """Open or make the store. Unavailable for one that a newer version has written."""
        self._database = Database(path)
        self.containers = ContainerRepository(self._database)
        self.images = ImageRepository(self._database)
        self.tags = TagRepository(self._database)
        self.networks = NetworkRepository(self._database)
        self.settings = SettingRepository(self._database)

    def transaction(self) -> AbstractContextManager[None]:
        """What is written within, to whichever nouns, becomes one change, or none."""
        return self._database.transaction()

    def close(self) -> None:
        """Let go of the database. Nothing of the store may be used after it."""
        self._database.close()
