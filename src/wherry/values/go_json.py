"""JSON documents as Go's decoder reads them: field names in any case, null for the zero value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import zip_longest
from typing import Any, NamedTuple, TypeVar

import msgspec

Document = TypeVar("Document")


class Spellings(NamedTuple):
    """Names of fields: as they are, and in lower case."""

    exact: frozenset[bytes]
    lower: frozenset[bytes]


# One escape in a JSON text: a pair of surrogates, a half of one, or any other.
ESCAPE = re.compile(r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F]..)|\\.", re.DOTALL)
BROKEN = re.compile("[\udc80-\udcff]")
KEY = re.compile(rb'"([A-Za-z0-9_.\\]+)"\s*:')


def decode_as_go(data: bytes, kind: type[Document]) -> Document:
    """A document as a ``kind``. msgspec.MsgspecError names the field that is wrong; RecursionError for too deep."""
    plainly = decode_plainly(data, kind)
    return plainly if plainly is not None else msgspec.convert(as_go_reads(decode_json(data), kind), kind)


def decode_plainly(data: bytes, kind: type[Document]) -> Document | None:
    """The quick way; None for a document of which only Go could make something, or for none at all."""
    if is_respelled(data, kind):
        return None
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None  # perhaps only a null that Go would let pass, or half a character


def is_respelled(data: bytes, kind: type) -> bool:
    """Whether a key may be a field in another spelling, such as ``TmpFs``; one with an escape may be any."""
    fields = spellings(kind)
    others = set(KEY.findall(data)) - fields.exact
    return any(b"\\" in key or key.lower() in fields.lower for key in others)


def decode_json(data: bytes) -> Any:
    """A document, with U+FFFD for what is no character: half a surrogate pair, a byte that is no UTF-8.

    msgspec.DecodeError; RecursionError where it nests too deeply.
    """
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.json.decode(in_characters(data))


def in_characters(data: bytes) -> str:
    """A document's text in which every character is one."""
    text = BROKEN.sub("\ufffd", data.decode("utf-8", "surrogateescape"))
    return ESCAPE.sub(lambda escape: r"\ufffd" if escape[1] else escape[0], text)


def as_go_reads(value: Any, kind: Any) -> Any:
    """A decoded document with its keys spelled as the fields are, and without nulls for fields that have none."""
    return _as_go_reads(value, shape_of(kind))


@cache
def shape_of(kind: Any) -> Any:
    """What a type's documents look like. Working it out costs more than all else that a request does."""
    from msgspec import inspect

    return inspect.type_info(kind)


@cache
def spellings(kind: Any) -> Spellings:
    """The names of all fields in a type's documents."""
    names = frozenset(name.encode() for name in field_names(shape_of(kind)))
    return Spellings(names, frozenset(map(bytes.lower, names)))


def field_names(info: Any) -> Iterator[str]:
    from msgspec import inspect

    inner = (getattr(info, name) for name in ("item_type", "value_type") if hasattr(info, name))
    for part in (*inner, *getattr(info, "types", ())):
        yield from field_names(part)
    if isinstance(info, inspect.StructType):
        for field in info.fields:
            yield field.encode_name
            yield from field_names(field.type)


def _as_go_reads(value: Any, info: Any) -> Any:
    from msgspec import inspect

    if isinstance(info, inspect.UnionType):
        return _as_go_reads(value, best_branch(value, info))
    if isinstance(value, dict) and isinstance(info, inspect.StructType):
        return fields_as_go_reads(value, info)
    if isinstance(value, dict) and isinstance(info, inspect.DictType):
        return {key: _item_as_go_reads(item, info.value_type) for key, item in value.items()}
    if isinstance(value, list) and isinstance(info, inspect.ListType):
        return [_item_as_go_reads(item, info.item_type) for item in value]
    if isinstance(value, list) and isinstance(info, inspect.TupleType):
        return _array_as_go_reads(value, info.item_types)
    return value


def _array_as_go_reads(value: list[Any], items: Any) -> list[Any]:
    """An array has its length: what is missing is zero, and what is too much is left out."""
    return [_item_as_go_reads(item, info) for item, info in zip_longest(value[: len(items)], items)]


def _item_as_go_reads(value: Any, info: Any) -> Any:
    """An item cannot be left out as a field can: where it is null, it is its type's zero value."""
    return zero_of(info) if value is None and not accepts_null(info) else _as_go_reads(value, info)


def zero_of(info: Any) -> Any:
    """What Go makes of a null. None for a type of which that is not known, which is then refused by its type."""
    from msgspec import inspect

    zeros: tuple[tuple[Any, Any], ...] = (
        (inspect.StrType, ""),
        (inspect.IntType, 0),
        (inspect.BoolType, False),
        (inspect.DictType | inspect.StructType, {}),
        (inspect.ListType, []),
    )
    return next((zero for kind, zero in zeros if isinstance(info, kind)), None)


def best_branch(value: Any, info: Any) -> Any:
    """The branch of a union that describes this value's structure."""
    from msgspec import inspect

    wanted = (inspect.StructType, inspect.DictType) if isinstance(value, dict) else inspect.ListType
    return next((branch for branch in info.types if isinstance(branch, wanted)), info.types[0])


def fields_as_go_reads(value: dict[str, Any], info: Any) -> dict[str, Any]:
    fields = fields_of(info.cls)
    result: dict[str, Any] = {}
    for key, item in value.items():
        field = fields.get(key.lower())
        if field is None or (item is None and not accepts_null(field.type)):
            continue
        result[field.encode_name] = _as_go_reads(item, field.type)
    return result


@cache
def fields_of(kind: type) -> dict[str, Any]:
    """A struct's fields by their names in lower case."""
    return {field.encode_name.lower(): field for field in shape_of(kind).fields}


def accepts_null(info: Any) -> bool:
    from msgspec import inspect

    if isinstance(info, inspect.UnionType):
        return any(isinstance(branch, inspect.NoneType) for branch in info.types)
    return isinstance(info, inspect.AnyType | inspect.NoneType)
