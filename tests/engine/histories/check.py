"""Is there an order of the calls' steps that explains a history?

All that may be the case is followed from event to event: when a call is invoked it may begin, when it returns it must
be over, with the answer that was given (Wing and Gong, "Testing and Verifying Concurrent Objects", with the states
that were met already remembered). Where nothing remains possible, no order explains the history so far.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from tests.engine.histories.history import Answer, Call, History
from tests.engine.histories.model import BEGUN, Half, World, agrees, by_itself, crashed, steps

DONE = Half("done", -1)
SHOWN = 6


class Kind(IntEnum):
    """In this order where times are the same: what is the more permissive."""

    CRASH_BEGUN = 0
    INVOKED = 1
    RETURNED = 2
    CRASH_OVER = 3


@dataclass(frozen=True, slots=True)
class Event:
    time: int
    kind: Kind
    call: Call | None = None

    def __str__(self) -> str:
        if self.call is None:
            return "--- SIGKILL of the daemon " + ("begun" if self.kind is Kind.CRASH_BEGUN else "over")
        told = f"  ->  {self.call.answer}" if self.kind is Kind.RETURNED else "  …"
        return f"{self.call}{told}"


@dataclass(frozen=True, slots=True)
class Possible:
    """One way how things may stand: the world, where each call stands that is under way, how often it has crashed."""

    world: World
    calls: frozenset[tuple[int, Half]] = frozenset()
    crashes: int = 0


@dataclass(frozen=True, slots=True)
class Unexplained:
    """The smallest prefix of a history that no order explains, and what was possible just before its last event."""

    prefix: tuple[Event, ...]
    before: tuple[Possible, ...]

    def __str__(self) -> str:
        first = self.prefix[0].time
        lines = [f"{(event.time - first) / 1e6:9.2f} ms  {event}" for event in self.prefix]
        shown = [f"    {possible.world}" for possible in self.before[:SHOWN]]
        more = [f"    … and {len(self.before) - SHOWN} more"] * (len(self.before) > SHOWN)
        return "\n".join(
            ["no order explains the last of:", *lines, "before it, possible were:", *shown, *more]
        )


def events_of(history: History) -> list[Event]:
    events = [Event(call.invoked, Kind.INVOKED, call) for call in history.calls]
    events += [Event(call.returned, Kind.RETURNED, call) for call in history.calls if call.answer is not None]
    for crash in history.crashes:
        events += [Event(crash.begun, Kind.CRASH_BEGUN), Event(crash.over, Kind.CRASH_OVER)]
    return sorted(events, key=lambda event: (event.time, event.kind))


def unexplained(history: History) -> Unexplained | None:
    """None where some order explains all of it."""
    return Search(history).run()


class Search:
    """One history under examination."""

    def __init__(self, history: History) -> None:
        self._events = events_of(history)
        self._calls = {call.number: call for call in history.calls}
        self._ids = {c.answer.id: c.number for c in history.calls if c.answer is not None and c.answer.id}
        self._begun = 0  # crashes
        self._over = 0

    def run(self) -> Unexplained | None:
        possible = {Possible(())}
        for index, event in enumerate(self._events):
            behind = self._closure(set(self._behind(event, possible)))
            if not behind:
                return Unexplained(tuple(self._events[: index + 1]), tuple(possible))
            possible = behind
        return None

    def _behind(self, event: Event, possible: Iterable[Possible]) -> Iterator[Possible]:
        self._begun += event.kind is Kind.CRASH_BEGUN
        self._over += event.kind is Kind.CRASH_OVER
        for one in possible:
            if event.kind is Kind.INVOKED and event.call is not None:
                yield Possible(one.world, one.calls | {(event.call.number, BEGUN)}, one.crashes)
            elif event.kind is Kind.RETURNED and event.call is not None:
                if (event.call.number, DONE) in one.calls:
                    yield Possible(one.world, one.calls - {(event.call.number, DONE)}, one.crashes)
            elif one.crashes >= self._over:
                yield one

    def _closure(self, found: set[Possible]) -> set[Possible]:
        """These, and all that they may become before the next event."""
        todo = list(found)
        while todo:
            for following in self._following(todo.pop()):
                if following not in found:
                    found.add(following)
                    todo.append(following)
        return found

    def _following(self, one: Possible) -> Iterator[Possible]:
        for world in by_itself(one.world):
            yield Possible(world, one.calls, one.crashes)
        for number, half in one.calls:
            if half != DONE:
                yield from self._stepped(one, number, half)
        if one.crashes < self._begun:
            yield from self._crashed(one)

    def _stepped(self, one: Possible, number: int, half: Half) -> Iterator[Possible]:
        call = self._calls[number]
        others = one.calls - {(number, half)}
        for step, world in steps(call, half, one.world):
            if isinstance(step, Half):
                yield Possible(world, others | {(number, step)}, one.crashes)
            elif agrees(call, step, world, self._ids):
                yield Possible(world, others | {(number, DONE)}, one.crashes)

    def _crashed(self, one: Possible) -> Iterator[Possible]:
        """Those with an answer got it from the daemon that has died; the others end here, wherever they stand."""
        answered = [(n, half) for n, half in one.calls if self._calls[n].answer is not None]
        if all(half == DONE for _, half in answered):
            for world in crashed(one.world):
                yield Possible(world, frozenset(answered), one.crashes + 1)


__all__ = ["Answer", "Event", "Possible", "Unexplained", "events_of", "unexplained"]
