"""Which containers there are: found by id, name and beginning of an id; names are unique and come free."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.doubles import wished
from wherry.engine.container import Container
from wherry.engine.names import ADJECTIVES, NOUNS, check_name, new_id, random_name
from wherry.engine.registry import Registry
from wherry.errors import Conflict, InvalidArgument, NotFound


def container(id: str, name: str) -> Container:
    return Container(msgspec.structs.replace(wished(), id=id, name=name))


def registry(*pairs: tuple[str, str]) -> Registry:
    made = Registry()
    for id, name in pairs:
        made.add(container(id, name))
    return made


def renamed(made: Registry, id: str, name: str) -> None:
    found = made.get(id)
    made.rename(found, msgspec.structs.replace(found.record, name=name))


def test_found_by_id_name_and_beginning() -> None:
    made = registry(("abc1", "one"), ("abd2", "two"))
    assert [made.get(ref).id for ref in ("abc1", "one", "/one", "abc")] == ["abc1"] * 4
    assert made.id_of("two") == "abd2"


def test_a_name_goes_before_the_beginning_of_an_id_and_an_id_before_a_name() -> None:
    made = registry(("abc1", "ef"), ("ef00", "abc1"))
    assert made.get("ef").id == "abc1"
    assert made.get("abc1").id == "abc1"


@pytest.mark.parametrize("ref", ["", "/", "none", "b", "/abc1"])
def test_what_means_no_container(ref: str) -> None:
    made = registry(("abc1", "one"))
    with pytest.raises(NotFound, match=f"No such container: {ref}"):
        made.get(ref)
    assert made.id_of(ref) == ""


def test_a_beginning_that_several_share() -> None:
    made = registry(("abc1", "one"), ("abd2", "two"))
    with pytest.raises(InvalidArgument, match="multiple IDs found with provided prefix: ab"):
        made.get("ab")
    assert made.id_of("ab") == ""


def test_a_process_only_where_it_runs() -> None:
    made = registry(("abc1", "one"))
    assert made.neighbour("one").pid == 0
    with pytest.raises(NotFound):
        made.neighbour("two")


def test_a_name_is_claimed_once() -> None:
    made = registry(("abc1", "one"))
    with pytest.raises(Conflict, match='"/one" is already in use by container "abc1"'):
        made.claim("/one")
    with pytest.raises(InvalidArgument):
        made.claim("-")
    assert made.claim("two") == "two"


def test_a_name_comes_free_by_rename_and_by_the_end() -> None:
    made = registry(("abc1", "one"))
    renamed(made, "abc1", "two")
    assert made.claim("one") == "one"
    assert made.get("two").record.name == "two"
    with pytest.raises(NotFound):
        made.get("one")
    made.forget(made.get("two"))
    assert made.claim("two") == "two"
    assert list(made.everyone()) == []


def test_one_that_is_forgotten_late_takes_no_name_from_another() -> None:
    made = registry(("abc1", "one"))
    first = made.get("one")
    made.forget(first)
    made.add(container("ef00", "one"))
    made.forget(first)
    assert made.get("one").id == "ef00"


def test_any_free_name_is_none_that_is_taken() -> None:
    made = Registry()
    for number in range(1500):  # more than there are names of two words
        made.add(container(f"{number:04x}", made.claim(None)))
    assert len({c.record.name for c in made.everyone()}) == 1500


def test_an_id_and_a_name_that_were_made_are_such() -> None:
    assert re.fullmatch("[0-9a-f]{64}", new_id())
    words = [*ADJECTIVES.split(), *NOUNS.split()]
    assert all(re.fullmatch("[a-z]+", word) for word in words) and len(set(words)) == len(words)
    adjective, noun = check_name(random_name()).split("_")
    assert adjective in ADJECTIVES.split() and noun in NOUNS.split()


@given(
    st.lists(st.tuples(st.sampled_from(["add", "rename", "forget"]), st.integers(0, 4), st.integers(0, 3)))
)
def test_names_and_ids_always_agree(moves: list[tuple[str, int, int]]) -> None:
    """Against a plain dictionary of id to name."""
    made, expected = Registry(), dict[str, str]()
    for move, number, letter in moves:
        id, name = f"id{number}", f"name{letter}"
        if move == "forget" and id in expected:
            made.forget(made.get(id))
            del expected[id]
        elif name not in expected.values() and move == "rename" and id in expected:
            renamed(made, id, made.claim(name))
            expected[id] = name
        elif name not in expected.values() and move == "add" and id not in expected:
            made.add(container(id, made.claim(name)))
            expected[id] = name
        assert {c.id: c.record.name for c in made.everyone()} == expected
        assert {made.get(its).id: its for its in expected.values()} == expected
        for free in {f"name{n}" for n in range(4)} - set(expected.values()):
            assert made.claim(free) == free
