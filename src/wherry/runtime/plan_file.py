"""A plan as JSON and back, with every field of every step and its cause: what was started is kept in this form.

A step is ``[name, {field: value}]``; bytes are base64, flags and descriptors numbers, a cause ``{origin, text}``.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum, IntFlag
from functools import cache
from typing import Any, get_origin, get_type_hints

import msgspec

from wherry.runtime.steps import KINDS, Cause, Origin, Step

Document = list[Any]

encode_json = msgspec.json.Encoder().encode


def encode(document: Any) -> bytes:
    """JSON of a document with steps in it, at any depth, as they are."""
    try:
        return encode_json(document)
    except UnicodeEncodeError:
        return encode_json(escaped(document))


def named(steps: Iterable[Step]) -> list[Document]:
    """Steps for a document that is to be encoded."""
    return [[step.name, step] for step in steps]


def escaped(value: Any) -> Any:
    """JSON is UTF-8, and names of files are bytes: a text that is no UTF-8 goes as its bytes."""
    if isinstance(value, msgspec.Struct):
        value = msgspec.to_builtins(value)
    if isinstance(value, Step | Cause):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: escaped(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [escaped(item) for item in value]
    return escaped_text(value) if isinstance(value, str) else value


def escaped_text(text: str) -> str | dict[str, str]:
    try:
        text.encode()
    except UnicodeEncodeError:
        return {"bytes": base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()}
    return text


def from_document(document: Iterable[Document]) -> tuple[Step, ...]:
    """The steps again. KeyError for a kind that is not known."""
    return tuple(step_of(name, values) for name, values in document)


def step_of(name: str, values: Mapping[str, Any]) -> Step:
    readers = readers_of(name)
    return KINDS[name](
        **{field: readers[field](value) for field, value in values.items() if field in readers}
    )


@cache
def readers_of(name: str) -> Mapping[str, Callable[[Any], Any]]:
    """How each field of a kind is read back; one that is not compared is not."""
    kind = KINDS[name]
    hints = get_type_hints(kind)
    return {f.name: reader(hints[f.name]) for f in dataclasses.fields(kind) if f.compare}


def reader(annotation: Any) -> Callable[[Any], Any]:
    if annotation is Cause:
        return cause_of
    if annotation is bytes:
        return bytes_of
    if annotation is str:
        return text_of
    if get_origin(annotation) is tuple:
        return texts_of
    if isinstance(annotation, type) and issubclass(annotation, IntFlag | IntEnum):
        return annotation
    return lambda value: value


def bytes_of(value: str) -> bytes:
    """ValueError for what is no base64: a filter of which a part is missing is none."""
    return base64.b64decode(value, validate=True)


def cause_of(value: Mapping[str, Any]) -> Cause:
    return Cause(Origin(value["origin"]), text_of(value["text"]))


def text_of(value: Any) -> str:
    if isinstance(value, dict):
        return base64.b64decode(value["bytes"]).decode("utf-8", "surrogateescape")
    return str(value)


def texts_of(value: Any) -> tuple[str, ...]:
    return tuple(map(text_of, value))
