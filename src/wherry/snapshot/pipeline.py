"""Reading, decompressing and hashing a layer in a thread beside the one that writes its files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import Self

from wherry.content.compression import decompressed
from wherry.content.digest import Digest
from wherry.errors import Internal

_AHEAD = 8  # chunks of at most 1 MiB between the threads


class Pipeline:
    """The plain bytes of a possibly compressed stream, as an iterator; ``digest`` is theirs once it has ended.

    A context manager: leaving it stops the thread. What the source or the decompressor raises, the iterator
    raises, an OSError as Internal. Decompressing and hashing release the interpreter's lock, so that both
    threads really run.
    """

    def __init__(self, source: Iterator[bytes]) -> None:
        self._source = source
        self._queue: SimpleQueue[bytes | Exception | None] = SimpleQueue()
        self._room = Semaphore(_AHEAD)
        self._stopped = False
        self._sha256 = hashlib.sha256()
        self._thread = Thread(target=self._produce, name="layer-pipeline", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._room.release()
        self._thread.join()

    def __iter__(self) -> Iterator[bytes]:
        while (item := self._queue.get()) is not None:
            if isinstance(item, OSError):  # not to be taken for one of the consumer's own files
                raise Internal(f"cannot read the archive: {item}") from item
            if isinstance(item, Exception):
                raise item
            yield item
            self._room.release()

    @property
    def digest(self) -> Digest:
        """The sha256 of all plain bytes; only after the iterator has ended."""
        return "sha256:" + self._sha256.hexdigest()

    def _produce(self) -> None:
        try:
            for chunk in decompressed(self._source):
                self._sha256.update(chunk)
                self._room.acquire()
                if self._stopped:
                    return
                self._queue.put(chunk)
            self._queue.put(None)
        except Exception as error:  # handed to the consumer, which raises it
            self._queue.put(error)
