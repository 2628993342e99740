"""One SQLite file, used from several threads. sqlite.org, "Write-Ahead Logging".

A commit survives the death of the daemon at once, and the death of the machine at the next checkpoint.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wherry.engine.store.migrations import migrate

Row = tuple[bytes, ...]


class Database:
    """A connection that threads take turns on. Each statement is a transaction, unless one is open."""

    def __init__(self, path: Path) -> None:
        """Open, and bring to this version. Unavailable for one that a newer version has written."""
        self._lock = threading.RLock()
        self._depth = 0
        self._connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        try:
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            migrate(self._connection, path)
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Let go of the file, from whichever thread."""
        self._connection.close()

    def run(self, sql: str, *args: object) -> list[Row]:
        """Execute one statement; its rows."""
        with self._lock:
            return self._connection.execute(sql, args).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements of this thread in here become one change, or none. One within another joins it."""
        with self._lock:
            if self._depth == 0:
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0 and self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._commit()

    def _commit(self) -> None:
        try:
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
