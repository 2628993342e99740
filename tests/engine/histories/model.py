"""A container's life as clients see it, without a kernel: what each verb may answer, and what it does.

A world is what is the case. A call takes one or several atomic steps in it. Most verbs are one step; those that wait
for a process to end are two, ask and be answered, as between the two others may come. What nobody asks for (the end of
a brief command, of one that was killed) is a step of the world's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product

from tests.engine.histories.history import Answer, Call, Seen, Verb

BRIEF_CODE, KILLED_CODE = 3, 137


class Life(StrEnum):
    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Container:
    """``number`` is that of the call that made it; ``codes`` are those of its runs that are over.

    ``dying``: it has been told to end. ``restarting``: and will be started again, so that ``--rm`` does not hold.
    ``removing``: somebody is about to take it away. ``told``: whoever started it was told that it runs.
    """

    number: int
    name: str
    auto_remove: bool = False
    brief: bool = False
    life: Life = Life.CREATED
    codes: tuple[int, ...] = ()
    dying: bool = False
    restarting: bool = False
    removing: bool = False
    told: bool = True
    execs: frozenset[int] = frozenset()

    @property
    def running(self) -> bool:
        return self.life is Life.RUNNING

    @property
    def ended(self) -> int:
        """How many runs of it are over."""
        return len(self.codes)

    @property
    def code(self) -> int:
        return self.codes[-1] if self.codes else 0

    @property
    def status(self) -> str:
        return "removing" if self.removing and not self.running else self.life


World = tuple[Container, ...]
Ids = Mapping[str, int]  # a container's id, as clients were told it, to the number of its create


@dataclass(frozen=True, slots=True)
class Half:
    """Where a call of several steps stands: what it waits for, of which container, since which number of ends."""

    awaits: str
    container: int
    ended: int = 0


BEGUN = Half("begun", -1)
Next = Half | Answer
Steps = Iterator[tuple[Next, World]]


def find(world: World, name: str) -> Container | None:
    return next((c for c in world if c.name == name and c.life is not Life.GONE), None)


def numbered(world: World, number: int) -> Container:
    return next(c for c in world if c.number == number)


def changed(world: World, container: Container) -> World:
    return tuple(container if c.number == container.number else c for c in world)


def said(world: World, status: int, code: int = 0) -> tuple[Answer, World]:
    return Answer(status, code=code), world


# ---------------------------------------------------------------- what a call may do next


def steps(call: Call, half: Half, world: World) -> Steps:
    """Every step that a call can take here: what it awaits or answers then, and the world behind it."""
    if half is not BEGUN:
        yield from SECOND[half.awaits](call, half, world)
    elif call.verb is Verb.CREATE:
        yield from create(call, world)
    elif call.verb is Verb.LIST:
        yield said(world, 200)
    elif call.verb is Verb.EXEC:
        yield from exec_start(call, world)
    else:
        container = find(world, call.ref)
        yield from [said(world, 404)] if container is None else FIRST[call.verb](call, container, world)


def create(call: Call, world: World) -> Steps:
    if find(world, call.ref) is not None:
        yield said(world, 409)
    else:
        made = Container(call.number, call.ref, call.auto_remove, call.brief)
        yield said(tuple(sorted((*world, made), key=lambda c: c.number)), 201)


def start(call: Call, container: Container, world: World) -> Steps:
    if container.removing:
        yield said(world, 409)
    if container.running:
        yield said(world, 304)
    elif not container.removing:
        yield said(changed(world, started(container, call)), 204)


def started(container: Container, call: Call) -> Container:
    told = call.answer is not None
    return replace(container, life=Life.RUNNING, dying=False, restarting=False, told=told)


def stop(call: Call, container: Container, world: World) -> Steps:
    if not container.running:
        yield said(world, 304)
    else:
        told = changed(world, replace(container, dying=True))
        yield Half("end", container.number, container.ended), told


def kill(call: Call, container: Container, world: World) -> Steps:
    if container.running:
        yield from stop(call, container, world)
    else:
        yield said(world, 409)


def nudge(call: Call, container: Container, world: World) -> Steps:
    yield said(world, 204 if container.running else 409)


def restart(call: Call, container: Container, world: World) -> Steps:
    half = Half("restart", container.number, container.ended)
    if container.running:
        told = replace(container, dying=True, restarting=not container.removing)
        yield half, changed(world, told)
    else:
        yield from start_again(call, container, world)


def start_again(call: Call, container: Container, world: World) -> Steps:
    """The second part of a restart. That somebody else has started it is as good."""
    if container.running:
        yield said(world, 204)
    elif container.life is Life.GONE:
        yield said(world, 404)
    else:
        yield from start(call, container, world)


def remove(call: Call, container: Container, world: World) -> Steps:
    if container.removing:
        yield said(world, 409)
    elif not container.running:
        yield said(changed(world, replace(container, life=Life.GONE)), 204)
    elif call.verb is Verb.REMOVE:
        yield said(world, 409)
    else:
        told = replace(container, dying=True, removing=True)
        yield Half("removal", container.number, container.ended), changed(world, told)


def rename(call: Call, container: Container, world: World) -> Steps:
    if call.new_name == container.name:
        yield said(world, 400)
    elif find(world, call.new_name) is not None:
        yield said(world, 409)
    else:
        yield said(changed(world, replace(container, name=call.new_name)), 204)


def exec_create(call: Call, container: Container, world: World) -> Steps:
    if container.running:
        yield said(changed(world, replace(container, execs=container.execs | {call.number})), 201)
    else:
        yield said(world, 409)


def exec_start(call: Call, world: World) -> Steps:
    container = next((c for c in world if call.of in c.execs), None)
    if container is None or container.life is Life.GONE:
        yield said(world, 404)
    else:
        yield said(world, 200)
        yield Half("exec", container.number, container.ended), world


def attach(call: Call, container: Container, world: World) -> Steps:
    yield said(world, 101)


def wait(call: Call, container: Container, world: World) -> Steps:
    if call.verb is Verb.WAIT and not container.running:
        yield said(world, 200, container.code)
    else:
        kind = "gone" if call.verb is Verb.WAIT_REMOVED else "an end"
        yield Half(kind, container.number, container.ended), world


def inspect(call: Call, container: Container, world: World) -> Steps:
    yield said(world, 200)


def told_of_end(call: Call, half: Half, world: World) -> Steps:
    if numbered(world, half.container).ended > half.ended:
        yield said(world, 204)


def restart_ended(call: Call, half: Half, world: World) -> Steps:
    container = numbered(world, half.container)
    if container.ended > half.ended:
        yield from start_again(call, container, world)


def removal_ended(call: Call, half: Half, world: World) -> Steps:
    container = numbered(world, half.container)
    if container.ended > half.ended:
        yield said(changed(world, replace(container, life=Life.GONE)), 204)


def exec_ended(call: Call, half: Half, world: World) -> Steps:
    """The container ended before the command could begin."""
    if numbered(world, half.container).ended > half.ended:
        yield said(world, 409)


def end_awaited(call: Call, half: Half, world: World) -> Steps:
    """An end of a run, or of the container itself where it was never to run again."""
    container = numbered(world, half.container)
    if container.ended > half.ended:
        yield said(world, 200, container.codes[half.ended])
    elif container.life is Life.GONE:
        yield said(world, 200, container.code)


def gone_awaited(call: Call, half: Half, world: World) -> Steps:
    container = numbered(world, half.container)
    if container.life is Life.GONE:
        yield said(world, 200, container.code)


FIRST: Mapping[Verb, Callable[[Call, Container, World], Steps]] = {
    Verb.START: start,
    Verb.STOP: stop,
    Verb.RESTART: restart,
    Verb.KILL: kill,
    Verb.NUDGE: nudge,
    Verb.REMOVE: remove,
    Verb.REMOVE_FORCE: remove,
    Verb.RENAME: rename,
    Verb.PREPARE: exec_create,
    Verb.ATTACH: attach,
    Verb.WAIT: wait,
    Verb.WAIT_NEXT: wait,
    Verb.WAIT_REMOVED: wait,
    Verb.INSPECT: inspect,
}
SECOND: Mapping[str, Callable[[Call, Half, World], Steps]] = {
    "end": told_of_end,
    "restart": restart_ended,
    "removal": removal_ended,
    "exec": exec_ended,
    "an end": end_awaited,
    "gone": gone_awaited,
}


# ---------------------------------------------------------------- what happens by itself


def by_itself(world: World) -> Iterator[World]:
    """Processes that end: brief ones at any time, others when they have been told to."""
    for container in world:
        if container.running:
            for code in [BRIEF_CODE] * container.brief + [KILLED_CODE] * container.dying:
                yield changed(world, over(container, code))


def over(container: Container, code: int) -> Container:
    """Its run is over, and what was prepared to run beside it is forgotten. With ``--rm`` it is gone in the same
    moment, unless a restart or a removal has it."""
    goes = container.auto_remove and not (container.restarting or container.removing)
    life = Life.GONE if goes else Life.EXITED
    return replace(container, life=life, codes=(*container.codes, code), dying=False, execs=frozenset())


def crashed(world: World) -> Iterator[World]:
    """What a new daemon may make of it: it knows nothing of execs, and of restarts and removals only that they were
    begun where the container has ended since. It may end what nobody was told of."""
    yield from product(*(taken_over(container) for container in world))


def taken_over(container: Container) -> Iterator[Container]:
    known = replace(container, restarting=False, removing=False, execs=frozenset())
    gone = replace(known, life=Life.GONE)
    exited = container.life is Life.EXITED
    if not (exited and container.auto_remove):
        yield known
    if container.running and not container.told:
        yield replace(known, dying=True)
    if exited and (container.auto_remove or container.removing):
        yield gone


# ---------------------------------------------------------------- answers


def agrees(call: Call, answer: Answer, world: World, ids: Ids) -> bool:
    """Whether the client was told what the model says. A call that was cut off was told nothing."""
    given = call.answer
    if given is None:
        return True
    if given.status != answer.status:
        return False
    if call.verb is Verb.LIST:
        return shows(given.seen, tuple(c for c in world if c.life is not Life.GONE), ids)
    if call.verb is Verb.INSPECT and given.status == 200:
        container = find(world, call.ref)
        return container is not None and shows(given.seen, (container,), ids)
    return given.code == answer.code


def shows(seen: frozenset[Seen], containers: World, ids: Ids) -> bool:
    """One for each, and each as it is."""
    return len(seen) == len(containers) and all(any(fits(s, c, ids) for s in seen) for c in containers)


def fits(seen: Seen, container: Container, ids: Ids) -> bool:
    """A container whose create was cut off has an id that nobody was told."""
    its = seen.id not in ids and container.number not in ids.values()
    same = ids.get(seen.id) == container.number or its
    code_fits = seen.code < 0 or container.life is not Life.EXITED or seen.code == container.code
    return same and code_fits and (seen.name, seen.status) == (container.name, container.status)
