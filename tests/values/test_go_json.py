"""Documents that Go's decoder takes and a strict one does not."""

from __future__ import annotations

import msgspec

from wherry.values.go_json import as_go_reads


class Inner(msgspec.Struct):
    word: str = ""


class Outer(msgspec.Struct, rename="pascal"):
    text: str = "left as it was"
    maybe: str | None = "x"
    items: list[str] = []
    numbers: dict[str, int] = {}
    inners: dict[str, Inner] = {}
    lists: list[list[bool]] | None = None


def read(document: object) -> Outer:
    return msgspec.convert(as_go_reads(document, Outer), Outer)


def test_names_in_any_case_unknown_ones_passed_over() -> None:
    assert read({"TEXT": "a", "items": ["b"], "other": {"deep": [1]}}) == Outer("a", items=["b"])


def test_a_null_field_is_as_if_it_were_missing() -> None:
    assert read({"Text": None, "Maybe": None, "Items": None}) == Outer(maybe=None)


def test_a_null_item_is_its_types_zero_value() -> None:
    found = read(
        {"Items": [None], "Numbers": {"n": None}, "Inners": {"i": None}, "Lists": [None, [None, True]]}
    )
    assert found == Outer(items=[""], numbers={"n": 0}, inners={"i": Inner()}, lists=[[], [False, True]])
