"""A request's body as a file that a thread can read, while the event loop receives it."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp.streams import StreamReader

from wherry.errors import Unavailable

WINDOW = 2 << 20  # bytes received ahead of the reader


class Upload:
    """``read`` in a thread gets what ``receive`` in the event loop has taken from the connection.

    At most ``WINDOW`` bytes wait in between: a reader that is slow slows the client down.
    """

    def __init__(self, content: StreamReader) -> None:
        self._content = content
        self._loop = asyncio.get_running_loop()
        self._chunks: deque[bytes] = deque()
        self._waiting = 0  # bytes in _chunks
        self._ended = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._room = asyncio.Event()

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes, none at the end. Blocks. Unavailable where the client broke off."""
        with self._changed:
            while not self._chunks and not self._ended:
                self._changed.wait()
            if not self._chunks:
                if self._error is not None:
                    raise Unavailable(f"the upload broke off: {self._error}") from self._error
                return b""
            data = self._take(size)
            if self._waiting < WINDOW // 2 and not self._ended:
                self._loop.call_soon_threadsafe(self._room.set)
        return data

    def _take(self, size: int) -> bytes:
        taken: list[bytes] = []
        while self._chunks and size > 0:
            chunk = self._chunks.popleft()
            if len(chunk) > size:
                self._chunks.appendleft(chunk[size:])
                chunk = chunk[:size]
            taken.append(chunk)
            size -= len(chunk)
            self._waiting -= len(chunk)
        return taken[0] if len(taken) == 1 else b"".join(taken)

    async def receive(self) -> None:
        """Take the body from the connection until it ends or breaks off."""
        error: BaseException | None = None
        try:
            while chunk := await self._content.readany():
                if self._put(chunk) >= WINDOW:
                    self._room.clear()
                    await self._room.wait()
        except BaseException as raised:
            error = raised
            if not isinstance(raised, Exception):
                raise
        finally:
            self._end(error)

    def _put(self, chunk: bytes) -> int:
        with self._changed:
            self._chunks.append(chunk)
            self._waiting += len(chunk)
            self._changed.notify()
            return self._waiting

    def _end(self, error: BaseException | None) -> None:
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()


@contextmanager
def receiving(content: StreamReader) -> Iterator[Upload]:
    """An upload that is being received for as long as the block runs."""
    upload = Upload(content)
    task = asyncio.create_task(upload.receive())
    try:
        yield upload
    finally:
        task.cancel()
