"""A history: what clients asked, when, and what they were told; and when the daemon was killed in between."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum


class Verb(StrEnum):
    CREATE = "create"
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    KILL = "kill"
    NUDGE = "nudge"  # a signal that the container ignores
    REMOVE = "rm"
    REMOVE_FORCE = "rm -f"
    RENAME = "rename"
    PREPARE = "exec create"
    EXEC = "exec start"
    ATTACH = "attach"
    WAIT = "wait"
    WAIT_NEXT = "wait next-exit"
    WAIT_REMOVED = "wait removed"
    INSPECT = "inspect"
    LIST = "list"


WAITS = (Verb.WAIT, Verb.WAIT_NEXT, Verb.WAIT_REMOVED)


@dataclass(frozen=True, slots=True)
class Seen:
    """A container, as inspect and list show it. ``code`` counts only where it has exited; -1: it was not shown."""

    id: str
    name: str
    status: str
    code: int = -1


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client was told: ``id`` by create, ``code`` by wait, ``seen`` by those who look."""

    status: int
    id: str = ""
    code: int = 0
    seen: frozenset[Seen] = frozenset()

    def __str__(self) -> str:
        looks = [f"{seen.name}={seen.status}" for seen in sorted(self.seen, key=lambda s: s.name)]
        code = [f"code {self.code}"] if self.code else []
        return " ".join([str(self.status), *code, *looks])


@dataclass(frozen=True, slots=True)
class Call:
    """One request. ``ref`` is a name or, for an exec's start, empty: ``of`` is the call that prepared it then.

    Without an answer it was cut off by the daemon's end, and may or may not have happened.
    """

    number: int
    client: str
    verb: Verb
    ref: str
    invoked: int
    returned: int = 0
    answer: Answer | None = None
    new_name: str = ""
    of: int = -1
    auto_remove: bool = False
    brief: bool = False  # it ends by itself, at any time

    def __str__(self) -> str:
        words = [self.verb, self.ref or f"of call {self.of}", self.new_name]
        flags = ["--rm"] * self.auto_remove + ["(brief)"] * self.brief
        return f"[{self.number}] {self.client}: {' '.join(filter(None, [*words, *flags]))}"


@dataclass(frozen=True, slots=True)
class Crash:
    """The daemon got SIGKILL somewhere in this time."""

    begun: int
    over: int


@dataclass(slots=True)
class History:
    calls: list[Call] = field(default_factory=list)
    crashes: list[Crash] = field(default_factory=list)

    def with_answer(self, number: int, answer: Answer) -> History:
        """The same, but for one answer."""
        calls = [replace(c, answer=answer) if c.number == number else c for c in self.calls]
        return History(calls, list(self.crashes))
