"""How long a monitor may take to say a word, and what is done when it does not come.

Root in a container with ``--pid host`` may stop any process of root's, and whoever shares a PID namespace one that is
just about to join it. So no wait for a monitor relies on it alone.
"""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that a word may take. A start reads disks and waits for its turn; all else is quick."""

    start: float = 30.0
    rest: float = 15.0


@dataclass(slots=True)
class Overdue:
    """Since when a monitor owes a word."""

    patience: Patience = field(default_factory=Patience)
    word: Word | None = None
    since: float = 0.0

    def look(self, word: Word | None, now: float, *, fresh: bool) -> Action:
        """What to do, at a look by the monotonic clock, about the word that is owed now, if one is.

        What is seen for the first time may be on its way. ``fresh``: nothing was ever heard of this monitor.
        """
        if word is not self.word:
            self.word, self.since = word, now
        waited = self.waited(now)
        limit = self.patience.start if fresh else self.patience.rest
        if word is None or waited == 0:
            return Action.WAIT
        if waited < limit:
            return Action.WAKE
        return Action.KILL if waited < 2 * limit else Action.FORGET

    def waited(self, now: float) -> float:
        """Seconds, for the present word."""
        return now - self.since
