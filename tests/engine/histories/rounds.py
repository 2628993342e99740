"""Rounds: some clients at once on one or two containers, then everything removed, and the history explained.

What a round does comes from its seed. The kernel's and the daemon's timing do not, so that a seed that has failed may
need several tries: ``WHERRY_SEED=SEED pytest …`` plays only this one, many times.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.engine.histories.check import unexplained
from tests.engine.histories.clients import Client, Recorder, Wish, clear, pauses, together
from tests.engine.histories.history import Verb
from tests.harness.daemon import Daemon

SEED = os.environ.get("WHERRY_SEED")
TRIES = 50  # of a seed that was asked for
AT_ONCE = 3  # rounds, each with names of its own
PAIRED = (
    Verb.START, Verb.STOP, Verb.RESTART, Verb.KILL, Verb.REMOVE, Verb.REMOVE_FORCE, Verb.RENAME, Verb.PREPARE,
    Verb.ATTACH, Verb.WAIT, Verb.WAIT_NEXT, Verb.WAIT_REMOVED, Verb.INSPECT, Verb.CREATE,
)  # fmt: skip
VERBS = (*PAIRED, Verb.NUDGE, Verb.CREATE, Verb.START, Verb.START, Verb.INSPECT)
BEGINNINGS: dict[str, tuple[Wish, ...]] = {
    "created": (Wish(Verb.CREATE),),
    "running": (Wish(Verb.CREATE), Wish(Verb.START)),
    "exited": (Wish(Verb.CREATE), Wish(Verb.START), Wish(Verb.KILL)),
    "running --rm": (Wish(Verb.CREATE, auto_remove=True), Wish(Verb.START)),
    "brief": (Wish(Verb.CREATE, brief=True), Wish(Verb.START)),
    "brief --rm": (Wish(Verb.CREATE, brief=True, auto_remove=True), Wish(Verb.START)),
}
Round = Callable[[Daemon, int], Recorder]


def seeds(count: int, first: int = 0) -> Iterable[int]:
    return range(first, first + count) if SEED is None else [int(SEED)] * TRIES


def play(daemon: Daemon, round: Round, all_seeds: Iterable[int], at_once: int = AT_ONCE) -> None:
    """Play a round for each seed; AssertionError with the histories that no order explains."""
    with ThreadPoolExecutor(at_once) as pool:
        wrong = [text for text in pool.map(lambda seed: played(daemon, round, seed), all_seeds) if text]
    assert not wrong, f"{len(wrong)} rounds went wrong\n\n" + "\n\n".join(wrong[:3])


def played(daemon: Daemon, round: Round, seed: int) -> str:
    """What was wrong with one round, for a reader; "" if nothing was."""
    recorder = round(daemon, seed)
    fault = unexplained(recorder.history)
    wrong = [*recorder.faults, *([str(fault)] if fault is not None else [])]
    return "\n".join([f"WHERRY_SEED={seed}", *wrong]) if wrong else ""


def names(seed: int) -> tuple[str, str]:
    """Never used before, also where a seed is played again."""
    return f"a{seed}-{time.monotonic_ns()}", f"b{seed}-{time.monotonic_ns()}"


def begin(recorder: Recorder, beginning: str) -> None:
    for wish in BEGINNINGS[beginning]:
        of_first = Wish(wish.verb, recorder.names[0], auto_remove=wish.auto_remove, brief=wish.brief)
        recorder.ask("first", of_first)


def pair_of(seed: int) -> tuple[str, Verb, Verb]:
    """All beginnings with all pairs of verbs, one after the other."""
    pairs = [(a, b) for place, a in enumerate(PAIRED) for b in PAIRED[place:]]
    beginning = list(BEGINNINGS)[seed // len(pairs) % len(BEGINNINGS)]
    return (beginning, *pairs[seed % len(pairs)])


PAIRS = len(BEGINNINGS) * len(PAIRED) * (len(PAIRED) + 1) // 2


def pair(daemon: Daemon, seed: int) -> Recorder:
    """Two clients, a verb each, on one container."""
    source = random.Random(seed)
    beginning, *verbs = pair_of(seed)
    recorder = Recorder(daemon, names(seed))
    begin(recorder, beginning)
    pause = pauses(source, source.choice((0.0, 0.002, 0.02)))
    clients = [
        Client(str(n), recorder, [wish_for(verb, recorder.names, source, one=True)], pause)
        for n, verb in enumerate(verbs)
    ]
    together(recorder, clients)
    clear(recorder, clients)
    return recorder


def wish_for(verb: Verb, all_names: Sequence[str], source: random.Random, *, one: bool = False) -> Wish:
    """A verb on one of two containers; ``one``: on the first, though another may be made."""
    first, second = all_names
    if verb is Verb.CREATE:
        return Wish(
            verb, source.choice((first, second)), auto_remove=source.random() < 0.4,
            brief=source.random() < 0.4, network=source.choice(("none", "none", "bridge")),
        )  # fmt: skip
    name = first if one or source.random() < 0.7 else second
    other = second if name == first else first
    return Wish(verb, name, new_name=other if verb is Verb.RENAME else "")


def program(recorder: Recorder, source: random.Random, length: int) -> list[Wish]:
    return [wish_for(source.choice(VERBS), recorder.names, source) for _ in range(length)]


def crowd(recorder: Recorder, source: random.Random, longest: float) -> list[Client]:
    """Three or four clients with a program each."""
    return [
        Client(str(n), recorder, program(recorder, source, source.randint(2, 5)), pauses(source, longest))
        for n in range(source.choice((3, 4)))
    ]


def at_random(daemon: Daemon, seed: int) -> Recorder:
    """Several clients with several verbs each, on two names."""
    source = random.Random(seed)
    recorder = Recorder(daemon, names(seed))
    begin(recorder, source.choice(list(BEGINNINGS)))
    clients = crowd(recorder, source, source.choice((0.002, 0.02)))
    together(recorder, clients)
    clear(recorder, clients)
    return recorder


def with_a_crash(daemon: Daemon, seed: int) -> Recorder:
    """The same, but the daemon gets SIGKILL in their midst; others go on with the next daemon."""
    source = random.Random(seed)
    recorder = Recorder(daemon, names(seed))
    begin(recorder, source.choice(list(BEGINNINGS)))

    def crash() -> None:
        time.sleep(source.uniform(0, 0.06))
        recorder.crash()

    before = crowd(recorder, source, 0.02)
    together(recorder, before, crash)
    daemon.start()
    recorder.ask("looks", Wish(Verb.LIST))
    behind = crowd(recorder, source, 0.02)
    together(recorder, behind)
    clear(recorder, [*before, *behind])
    return recorder
