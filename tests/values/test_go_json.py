"""Documents that Go's decoder takes and a strict one does not."""

from __future__ import annotations

import contextlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.values.go_json import as_go_reads, decode_as_go, decode_json, in_characters


class Inner(msgspec.Struct):
    word: str = ""


class Outer(msgspec.Struct, rename="pascal"):
    text: str = "left as it was"
    maybe: str | None = "x"
    items: list[str] = []
    numbers: dict[str, int] = {}
    inners: dict[str, Inner] = {}
    lists: list[list[bool]] | None = None


class Words(msgspec.Struct):
    created_by: str = ""
    version: str = msgspec.field(default="", name="os.version")


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


SPELLINGS = st.sampled_from(
    ["Text", "Maybe", "Items", "Numbers", "tEXT", "maybe", "ITEMS", "Word", "word", "x.y"]
)
PLAIN = st.none() | st.integers(-9, 9) | st.sampled_from(["Text", 'a"Text": '])
DOCUMENT = st.recursive(
    PLAIN, lambda inner: st.lists(inner) | st.dictionaries(SPELLINGS, inner), max_leaves=8
)


@given(DOCUMENT)
def test_the_quick_way_and_the_long_one_read_the_same(document: object) -> None:
    data = json.dumps(document).encode()
    try:
        long: Outer | str = read(document)
    except msgspec.ValidationError as error:
        long = str(error)
    try:
        quick: Outer | str = decode_as_go(data, Outer)
    except msgspec.ValidationError as error:
        quick = str(error)
    assert quick == long


@pytest.mark.parametrize("key", ["Created_By", r"\u0043reated_by", r"created\u005fby"])
def test_another_spelling(key: str) -> None:
    assert decode_as_go(f'{{"{key}": "x"}}'.encode(), Words) == Words(created_by="x")
    assert decode_as_go(b'{"OS.Version": "x"}', Words) == Words(version="x")


@pytest.mark.parametrize(
    ("document", "read_as"),
    [
        (rb'["a\ud800"]', ["a\ufffd"]),
        (rb'["\ud800\u0041\udc00"]', ["\ufffdA\ufffd"]),
        (rb'["\ud800\ud83d\ude00"]', ["\ufffd\U0001f600"]),
        (rb'{"\\ud800\uDFFF": 1}', {"\\ud800\ufffd": 1}),
        (b'["\xff\xe2\x82"]', ["\ufffd\ufffd\ufffd"]),
    ],
)
def test_what_is_no_character_is_one_replacement_character(document: bytes, read_as: object) -> None:
    assert decode_json(document) == read_as


@given(st.recursive(st.none() | st.integers(-9, 9) | st.text(), st.lists, max_leaves=5))
def test_what_is_all_characters_stays_as_it_is(document: object) -> None:
    assert json.loads(in_characters(json.dumps(document).encode())) == document
    assert json.loads(in_characters(json.dumps(document, ensure_ascii=False).encode())) == document


@given(st.binary())
def test_any_bytes_are_a_document_or_none(data: bytes) -> None:
    with contextlib.suppress(msgspec.DecodeError):
        decode_json(data)
