"""Explaining lets starts go first: what a start does takes milliseconds, and work beside it would cost it some."""

from __future__ import annotations

import time

from wherry.engine.containers import Containers

PATIENCE = 0.1  # seconds that one answer waits at most
# Starts count as going on for some time after the last one was seen: one seldom comes alone, and between the requests
# of a short life (create, start, wait, remove) there is no lock to be seen.
LINGER = 0.006  # seconds
TURN = 0.0005  # seconds between two looks


class Starts:
    """Whether containers are being started, as other threads may see it."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._seen = 0.0

    def going_on(self) -> bool:
        if any(container.lock.locked() for container in list(self._containers.everyone())):
            self._seen = time.monotonic()
        return time.monotonic() - self._seen < LINGER


class Courtesy:
    """For one answer: ``pause`` is called between its parts, and waits while containers are being started."""

    def __init__(self, starts: Starts) -> None:
        self._starts = starts
        self._left = PATIENCE

    def pause(self) -> None:
        """Sleep while containers are being started, until this answer's patience is used up. Blocks."""
        while self._left > 0 and self._starts.going_on():
            time.sleep(TURN)
            self._left -= TURN


def no_pause() -> None:
    """For what should be over soon."""
