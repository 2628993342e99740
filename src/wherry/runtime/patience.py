"""How long a monitor may take to say a word, and what is done when it does not come.

Root in a container with ``--pid host`` may stop any process of root's, and whoever shares a PID namespace one that is
just about to join it. So no wait for a monitor relies on it alone. One that works, by the kernel's word, has more time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum


class Word(Enum):
    """What a monitor has to say, in this order."""

    STARTED = "that the command runs"
    EXITED = "how its process has ended"
    CLEANED = "that its cgroups are gone"


class Action(Enum):
    """What to do about a monitor."""

    WAIT = 1
    WAKE = 2  # somebody may have stopped it
    KILL = 3
    FORGET = 4  # not even SIGKILL ends it


# Seconds, at most; who looks after longer has stood still, and so has perhaps who was to speak.
BETWEEN_LOOKS = 5.0


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that a word may take of a monitor that does nothing. A start reads disks and waits for its turn; all else
    is quick. ``busy``: of one that works all the time; else somebody could let a stopped one go on now and then."""

    start: float = 30.0
    rest: float = 15.0
    busy: float = 300.0


@dataclass(slots=True)
class Overdue:
    """Since when a monitor owes a word."""

    patience: Patience = field(default_factory=Patience)
    word: Word | None = None
    since: float = 0.0
    rested: float = 0.0  # since when it has not been seen to work
    work: int | None = None
    over: float | None = None  # since when there is no patience left
    looked: float = 0.0

    def look(self, word: Word | None, now: float, work: Callable[[], int], *, fresh: bool) -> Action:
        """What to do, at a look by the monotonic clock, about the word that is owed now, if one is.

        What is seen for the first time may be on its way. ``work`` is the time of a processor that the monitor has had
        so far: where that grows, nobody has stopped it. ``fresh``: nothing was ever heard of this monitor.
        """
        self._leave_out(now - self.looked - BETWEEN_LOOKS)
        self.looked = now
        if word is not self.word:
            self.word, self.since, self.rested, self.work, self.over = word, now, now, None, None
        if word is None or self.waited(now) == 0:
            return Action.WAIT
        limit = self.patience.start if fresh else self.patience.rest
        if self.over is None and self._may_take_longer(limit, now, work()):
            return Action.WAKE
        self.over = now if self.over is None else self.over
        return Action.KILL if now - self.over < limit else Action.FORGET

    def _may_take_longer(self, limit: float, now: float, work: int) -> bool:
        if self.work is not None and work > self.work:
            self.rested = now
        self.work = work
        return now - self.rested < limit and self.waited(now) < self.patience.busy

    def _leave_out(self, seconds: float) -> None:
        """Time in which nobody looked, as of a machine that was frozen, does not count."""
        if seconds > 0:
            self.since += seconds
            self.rested += seconds
            self.over = self.over + seconds if self.over is not None else None

    def waited(self, now: float) -> float:
        """Seconds, for the present word."""
        return now - self.since
