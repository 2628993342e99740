"""Reading a container's json-file log: the last lines, a span of time, or on and on as it grows.

A reader holds at most one block of a file in memory, and reads the next only when the last has been taken: a slow
client slows its own reading.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Protocol

from wherry.runtime.log_files import IN_THREAD, AnyFile, is_at, open_all
from wherry.runtime.log_format import LogsQuery, Rendered, Renderer, renderer
from wherry.runtime.log_watch import LogWatch
from wherry.values.durations import SECOND

__all__ = ["LogsQuery", "follow", "read"]

Path = str | os.PathLike[str]


class Ended(Protocol):
    """An ``asyncio.Event``: set once the container runs no more, and all that it wrote is in the log."""

    def is_set(self) -> bool: ...

    async def wait(self) -> object: ...


# ---------------------------------------------------------------- what is there now


def read(path: Path, query: LogsQuery) -> Iterator[bytes]:
    """The log as it stands, in batches as the client is to get them. None where there is no log. Blocks on disk."""
    with ExitStack() as stack:
        files = open_all(path)
        for file in files:
            stack.callback(file.close)
        yield from read_files(files, query, renderer(query))


def read_files(files: list[AnyFile], query: LogsQuery, render: Renderer) -> Iterator[bytes]:
    if query.tail is not None:
        seek_tail(files, query.tail)
    for file in files:
        for rendered in blocks(file, render):
            if rendered.data:
                yield rendered.data
            if rendered.last:
                return


def blocks(file: AnyFile, render: Renderer) -> Iterator[Rendered]:
    """Whole lines from where the file was read to, rendered. What comes behind the last newline stays unread."""
    while lines := file.next_lines():
        yield render(lines)


def seek_tail(files: list[AnyFile], lines: int) -> None:
    """Set the positions so that only the last lines of all files together are left to read."""
    for file in reversed(files):
        lines = file.keep_last(lines)


# ---------------------------------------------------------------- what is still to come


async def follow(path: Path, query: LogsQuery, ended: Ended, everyone: LogWatch) -> AsyncIterator[bytes]:
    """The log as it stands; with ``query.follow`` then what is added, through rotations, until ``ended`` is set
    and everything has been read, or until the time ``query.until``."""
    follower = Follower(path, query, everyone)
    try:
        async for batch in follower.present():
            yield batch
        while query.follow and not follower.finished:
            was_ended = ended.is_set()  # looked at before reading, so that nothing comes in between
            async for batch in follower.news():
                yield batch
            if was_ended or follower.out_of_time():
                return
            if not follower.finished:
                await follower.wait(ended)
    finally:
        follower.close()


def first_newer(files: list[AnyFile], than: AnyFile) -> int:
    """Where those begin that are newer than one that is held. Its inode may have been an older one's, too."""
    known = [than.identity in (file.identity, file.origin) for file in files]
    return len(known) - known[::-1].index(True) if True in known else 0


class Follower:
    """A reader of a growing log. Owns its descriptors; not safe for several tasks."""

    def __init__(self, path: Path, query: LogsQuery, everyone: LogWatch) -> None:
        self._path = os.fspath(path)
        self._query = query
        self._render = renderer(query)
        self._changed = asyncio.Event()
        self._everyone = everyone
        self._watch = everyone.add(os.path.dirname(self._path), self._changed) if query.follow else -1
        self._files: list[AnyFile] = []
        self.finished = False  # an entry beyond ``until`` was met

    def close(self) -> None:
        if self._watch >= 0:
            self._everyone.remove(self._watch, self._changed)
            self._watch = -1
        for file in self._files:
            file.close()
        self._files = []

    async def present(self) -> AsyncIterator[bytes]:
        """All that the log has when this begins."""
        self._files = open_all(self._path)
        if self._query.tail is not None and self._are_long():
            await asyncio.to_thread(seek_tail, self._files, self._query.tail)
        elif self._query.tail is not None:
            seek_tail(self._files, self._query.tail)
        async for batch in self._read():
            yield batch

    async def news(self) -> AsyncIterator[bytes]:
        """What has been added: to the file that was read last, and to those that came after it."""
        self._changed.clear()
        self._look_for_new_files()
        async for batch in self._read():
            yield batch

    async def _read(self) -> AsyncIterator[bytes]:
        """Everything unread, oldest first; afterwards only the newest file is kept open."""
        in_thread = self._are_long()
        while self._files and not self.finished:
            file = self._files[0]
            rendered = await asyncio.to_thread(self._next, file) if in_thread else self._next(file)
            if rendered is None:
                if len(self._files) == 1:
                    return
                self._files.pop(0).close()
                continue
            self.finished = rendered.last
            if rendered.data:
                yield rendered.data

    def _are_long(self) -> bool:
        return sum(file.unread() for file in self._files) > IN_THREAD

    def _next(self, file: AnyFile) -> Rendered | None:
        lines = file.next_lines()
        return self._render(lines) if lines else None

    def _look_for_new_files(self) -> None:
        """After a rotation: the files newer than ours; all of them, if ours is gone already."""
        current = self._files[-1] if self._files else None
        if current is not None and self._is_newest(current):
            current.begin_anew()
            return
        found = open_all(self._path)
        first = first_newer(found, current) if current is not None else 0
        for file in found[:first]:
            file.close()
        self._files += found[first:]

    def _is_newest(self, file: AnyFile) -> bool:
        """Also between two renames, where there is no newest; the next event tells."""
        return is_at(self._path, file) or not os.path.lexists(self._path)

    def out_of_time(self) -> bool:
        left = self._time_left()
        return left is not None and left <= 0

    def _time_left(self) -> float | None:
        """Seconds until ``query.until``, or None for no end."""
        until = self._query.until
        return None if until is None else (until - time.time_ns()) / SECOND

    async def wait(self, ended: Ended) -> None:
        """Sleep until something changes, the container ends, or the time is up."""
        tasks = [asyncio.ensure_future(self._changed.wait()), asyncio.ensure_future(ended.wait())]
        try:
            await asyncio.wait(tasks, timeout=self._time_left(), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
