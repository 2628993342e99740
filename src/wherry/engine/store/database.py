"""One SQLite file, used from several threads. sqlite.org, "Write-Ahead Logging".

A commit survives the death of the daemon at once, and the death of the machine at the next checkpoint.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wherry.engine.store.migrations import migrate
from wherry.errors import Conflict, Internal

Row = tuple[bytes, ...]
ROOM = 256 << 10  # bytes that are kept in the file and in its log for when the disk is full
CACHE = 128  # KiB of pages in memory: the engine keeps what it has to know, and the kernel has the file


class Database:
    """A connection that threads take turns on. Each statement is a transaction, unless one is open."""

    def __init__(self, path: Path) -> None:
        """Open, and bring to this version.

        Unavailable for one that a newer version has written; Internal for one that cannot be read or written.
        """
        self._path = path
        self._lock = threading.RLock()
        self._depth = 0
        with self._in_words():
            self._connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, cached_statements=64
            )
            try:
                self._connection.execute("PRAGMA journal_mode=WAL")
                self._connection.execute("PRAGMA synchronous=NORMAL")
                self._connection.execute(f"PRAGMA cache_size=-{CACHE}")
                migrate(self._connection, path)
                self._keep_room()
            except BaseException:
                self._connection.close()
                raise

    def _keep_room(self) -> None:
        """Have the file and its log larger than they need be: on a full disk a removal can still be recorded, which
        is what makes room again. A disk that is full already has none to give."""
        with suppress(sqlite3.OperationalError):
            self._connection.execute("CREATE TABLE IF NOT EXISTS room (bytes BLOB)")
            self._connection.execute("INSERT INTO room VALUES (zeroblob(?))", (ROOM,))
        with suppress(sqlite3.OperationalError):
            self._connection.execute("DROP TABLE IF EXISTS room")
            self._begin_log_anew()

    def _begin_log_anew(self) -> None:
        """Write over the log from its beginning, after what is in it has gone into the file."""
        self._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()

    def close(self) -> None:
        """Let go of the file, from whichever thread."""
        self._connection.close()

    def run(self, sql: str, *args: object) -> list[Row]:
        """Execute one statement; its rows. Conflict for a key that is taken, Internal for what the disk refuses."""
        with self._lock, self._in_words():
            try:
                return self._connection.execute(sql, args).fetchall()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_FULL or self._depth > 0:
                    raise
            self._begin_log_anew()
            return self._connection.execute(sql, args).fetchall()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Within, SQLite's errors become ours."""
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise Conflict(f"there is such a one in {self._path} already: {error}") from error
        except sqlite3.Error as error:
            raise Internal(f"cannot read or write the store {self._path}: {error}") from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements of this thread in here become one change, or none. One within another joins it."""
        with self._lock:
            if self._depth == 0:
                with self._in_words():
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
        with self._in_words():
            try:
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
