"""Plans as JSON and back: every kind of step, with whatever it may hold."""

from __future__ import annotations

import dataclasses
from enum import IntEnum, IntFlag
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wherry.engine.preparation.planned  # the engine's kinds are kinds too  # noqa: F401
from wherry.engine.record import ContainerRecord
from wherry.runtime.plan_file import encode, from_document, named
from wherry.runtime.steps import KINDS, Cause, Mask, Origin, Step

# Names of files are bytes: what is no UTF-8 is there as lone surrogates.
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.binary(max_size=20).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
)
CAUSES = st.builds(Cause, st.sampled_from(Origin), TEXTS)


def strategy(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a field's type."""
    if get_origin(hint) is Annotated:
        return strategy(get_args(hint)[0])
    if get_origin(hint) is tuple:
        return st.lists(strategy(get_args(hint)[0]), max_size=4).map(tuple)
    if hint is Cause:
        return CAUSES
    if isinstance(hint, type) and issubclass(hint, IntFlag):
        return st.lists(st.sampled_from(hint), max_size=4).map(lambda flags: hint(sum(set(flags))))
    if isinstance(hint, type) and issubclass(hint, IntEnum):
        return st.sampled_from(hint)
    simple = {
        str: TEXTS,
        bytes: st.binary(max_size=64),
        bool: st.booleans(),
        int: st.integers(-(2**62), 2**62),
    }
    return simple.get(hint, st.none())


def steps(kind: type[Step]) -> st.SearchStrategy[Step]:
    hints = get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    # A record is the store's to keep, and is left out of a step as soon as it is there.
    known = {
        name: st.none() if ContainerRecord in get_args(hints[name]) else strategy(hints[name])
        for name in names
    }
    return st.builds(kind, **known)


def round_trip(*given: Step) -> tuple[Step, ...]:
    document = msgspec.json.decode(encode({"steps": named(given)}))
    return from_document(document["steps"])


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_kind_comes_back_as_it_was(kind: type[Step]) -> None:
    @given(steps(kind))
    def comes_back(step: Step) -> None:
        (read,) = round_trip(step)
        assert read == step and type(read) is kind
        assert read.cause == step.cause

    comes_back()


@given(st.lists(st.sampled_from(list(KINDS.values())).flatmap(steps), max_size=6))
def test_a_whole_plan_keeps_its_order(plan: list[Step]) -> None:
    assert round_trip(*plan) == tuple(plan)


def test_what_a_later_version_adds_is_left_out() -> None:
    """A field that this version does not know says nothing to it; one that is missing has its default."""
    (step,) = from_document([["mask", {"path": "/proc/keys", "thoroughly": True}]])
    assert step == Mask("/proc/keys")


def test_an_unknown_kind_is_no_step() -> None:
    with pytest.raises(KeyError):
        from_document([["levitate", {}]])
