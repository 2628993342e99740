"""Who follows logs is told when they grow, by one inotify instance for all: the kernel gives a user only 128."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

from wherry.linux import inotify


class LogWatch:
    """All followers, by the directory that they look at. It holds a descriptor while there are any."""

    def __init__(self) -> None:
        self._instance = -1
        self._followers: dict[int, set[asyncio.Event]] = {}

    def add(self, directory: str, changed: asyncio.Event) -> int:
        """From now on ``changed`` is set when something changes there. The watch. OSError."""
        if self._instance < 0:
            self._instance = inotify.instance()
            asyncio.get_running_loop().add_reader(self._instance, self._on_change)
        try:
            watch = inotify.add(self._instance, directory)
        except OSError:
            self._close_unused()
            raise
        self._followers.setdefault(watch, set()).add(changed)
        return watch

    def remove(self, watch: int, changed: asyncio.Event) -> None:
        """What ``add`` has begun."""
        self._followers[watch].discard(changed)
        if not self._followers[watch]:
            del self._followers[watch]
            with suppress(OSError):  # the directory has gone, and the watch with it
                inotify.remove(self._instance, watch)
        self._close_unused()

    def _close_unused(self) -> None:
        if not self._followers:
            asyncio.get_running_loop().remove_reader(self._instance)
            os.close(self._instance)
            self._instance = -1

    def _on_change(self) -> None:
        watches = inotify.changed(self._instance)
        for watch in self._followers if inotify.OVERFLOW in watches else watches:
            for changed in self._followers.get(watch, ()):
                changed.set()
