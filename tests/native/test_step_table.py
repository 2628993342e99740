"""One table of steps: the launcher, its page and the truth test know the kinds that the classes declare."""

from __future__ import annotations

import pytest

from scripts import step_table
from tests.truth.signatures import LATER, RULES
from wherry.runtime.steps import Exec, Heading, OverlayRoot, Side, Step, letter_of

KINDS = step_table.launcher_steps()


def test_what_is_written_from_the_classes_is_current() -> None:
    assert [path.name for path, text in step_table.wanted().items() if path.read_text() != text] == []


def test_codes_are_counted_without_a_gap() -> None:
    """The launcher has a table by code, as long as there are kinds."""
    assert [kind.code for kind in KINDS] == list(range(1, len(KINDS) + 1))


def test_the_truth_test_has_a_rule_for_every_kind() -> None:
    assert set(RULES) | set(LATER) == {kind.name for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_every_kind_says_what_it_does_and_where(kind: type[Step]) -> None:
    assert kind.__doc__ is not None and not kind.__doc__.startswith(f"{kind.__name__}(")
    assert kind.side in (Side.HOST, Side.CHILD)
    assert kind.heading in Heading


def test_what_repeats_goes_last_over_the_wire() -> None:
    assert OverlayRoot("/l", ("a", "b"), "/u", "/w", "/t", "x").args() == [
        "/l", "/u", "/w", "/t", "x", "a", "b",
    ]  # fmt: skip
    assert list(Exec(("a", "b"), ("X=1",)).args()) == [2, "a", "b", "X=1"]


def test_a_field_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="a field of a step is"):
        letter_of(str)
