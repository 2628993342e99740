"""The loop over steps, with steps that only say what was done to them."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import pytest

from wherry.engine.preparation.carry_out import carry_out, due, ending, take_back, take_over
from wherry.engine.preparation.cgroups import ParentCgroup
from wherry.engine.preparation.step import EngineStep, Host, Launch, Moment
from wherry.engine.preparation.storage import RuntimeDirectory, WritableLayer
from wherry.errors import Conflict, Internal
from wherry.runtime.steps import KINDS, Heading

NO_HOST: Any = None


@dataclass(frozen=True, slots=True)
class Said(EngineStep):
    """A step that notes what becomes of it."""

    name, heading = "said", Heading.PROCESS
    word: str
    notes: list[str] = field(compare=False)
    fails: BaseException | None = None
    stays: bool = False
    foreign: bool = False  # it cannot be taken over
    done: bool = False

    def describe(self) -> str:
        return f"say {self.word}"

    async def do(self, host: Host, launch: Launch) -> Self:
        self.notes.append(f"do {self.word}")
        if self.fails is not None:
            raise self.fails
        return replace(self, done=True)

    def undo(self, host: Host) -> None:
        self.notes.append(f"undo {self.word}{'' if self.done else ', never done'}")
        if self.stays:
            raise OSError("busy")

    def adopt(self, host: Host) -> None:
        self.notes.append(f"adopt {self.word}")
        if self.foreign:
            raise Conflict("another has it")


del KINDS[Said.name]  # which is none of the engine's


def test_in_their_order_and_as_they_were_done() -> None:
    notes: list[str] = []
    steps = [Said("a", notes), Said("b", notes)]
    done = asyncio.run(carry_out(steps, NO_HOST, Launch()))
    assert (notes, done) == (["do a", "do b"], tuple(replace(step, done=True) for step in steps))


@pytest.mark.parametrize("error", [Conflict("no"), KeyboardInterrupt()])
def test_what_fails_is_undone_with_all_before_it_and_nothing_after(error: BaseException) -> None:
    notes: list[str] = []
    steps = [Said("a", notes), Said("b", notes), Said("c", notes, fails=error), Said("d", notes)]
    launch, (theirs, ours) = Launch(), os.pipe()
    launch.owned.append(ours)
    with pytest.raises(type(error)):
        asyncio.run(carry_out(steps, NO_HOST, launch))
    assert notes == ["do a", "do b", "do c", "undo c, never done", "undo b", "undo a"]
    assert (launch.left, launch.owned, os.read(theirs, 1)) == ([], [], b"")
    os.close(theirs)


def test_what_the_host_refuses_is_said_with_the_step() -> None:
    step = Said("a", [], fails=OSError(28, "No space left on device"))
    with pytest.raises(Internal, match=r"said \(say a\)"):
        asyncio.run(carry_out([step], NO_HOST, Launch()))


@pytest.mark.parametrize(
    ("whole", "undone", "left"),
    [(False, ["c", "b", "a"], ["a", "b"]), (True, ["c", "b"], ["b"])],
    ids=["the others go", "what others rest on stays"],
)
def test_what_cannot_be_undone(
    caplog: pytest.LogCaptureFixture, whole: bool, undone: list[str], left: list[str]
) -> None:
    notes: list[str] = []
    steps = [Said(word, notes, stays=word != "c", done=True) for word in "abc"]
    rest = take_back(steps, NO_HOST, whole=True) if whole else take_back(steps, NO_HOST)
    assert notes == [f"undo {word}" for word in undone]
    assert [(step.describe(), str(error)) for step, error in rest] == [(f"say {w}", "busy") for w in left]
    assert "cannot undo: say b" in caplog.text


@dataclass(frozen=True, slots=True)
class Chorus(Said):
    """A kind that is undone together."""

    name = "chorus"
    together = True

    @classmethod
    def undo_together(cls, steps: Sequence[Self], host: Host) -> None:
        steps[0].notes.append(f"undo {' '.join(step.word for step in steps)}")
        if any(step.stays for step in steps):
            raise OSError("busy")


del KINDS[Chorus.name]


def test_neighbours_of_one_kind_are_undone_together() -> None:
    notes: list[str] = []
    steps = [
        Said("a", notes, done=True),
        *(Chorus(word, notes) for word in "bc"),
        Said("d", notes, done=True),
    ]
    assert take_back(steps, NO_HOST) == []
    assert notes == ["undo d", "undo c b", "undo a"]
    stuck = [Chorus("b", notes, stays=True), Chorus("c", notes)]
    assert [step.word for step, _ in take_back([*stuck, Chorus("d", notes)], NO_HOST)] == ["b", "c", "d"]


@dataclass(frozen=True, slots=True)
class Slow(Said):
    """One that takes its time."""

    name = "slow"

    async def do(self, host: Host, launch: Launch) -> Self:
        time.sleep(0.001)
        return await Said.do(self, host, launch)


del KINDS[Slow.name]


def test_many_steps_keep_nobody_waiting() -> None:
    """Whoever else has something to do comes to it between them."""
    notes: list[str] = []

    async def work() -> None:
        asyncio.get_running_loop().call_soon(notes.append, "somebody else")
        await carry_out([Slow(str(number), notes) for number in range(50)], NO_HOST, Launch())

    asyncio.run(work())
    assert "somebody else" in notes[:50]


def test_what_is_left_of_a_failure_is_known() -> None:
    steps = [Said("a", [], stays=True), Said("b", [], fails=Conflict("no"))]
    launch = Launch()
    with pytest.raises(Conflict):
        asyncio.run(carry_out(steps, NO_HOST, launch))
    assert [step.describe() for step in launch.left] == ["say a"]


def test_what_cannot_be_taken_over_is_no_obstacle(caplog: pytest.LogCaptureFixture) -> None:
    notes: list[str] = []
    take_over([Said("a", notes, foreign=True), Said("b", notes)], NO_HOST)
    assert notes == ["adopt a", "adopt b"]
    assert "cannot take over: say a" in caplog.text


def test_moments() -> None:
    """A step is done at one moment; at a removal, what was to be undone at the exit is undone as well."""
    layer, runtime, parent = WritableLayer("u", "w"), RuntimeDirectory("/r", "/r/m"), ParentCgroup("w")
    steps = (layer, runtime, parent)
    assert (due(steps, Moment.CREATE), due(steps, Moment.START)) == ((layer,), (runtime, parent))
    assert (ending(steps, Moment.EXIT), ending(steps, Moment.REMOVAL)) == ((parent,), steps)
