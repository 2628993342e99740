"""A plan as JSON and back, with every field of every step and its cause: what was started is kept in this form.

A step is ``[name, {field: value}]``; bytes are base64, flags and descriptors numbers, a cause ``[origin, text]``.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum, IntFlag
from functools import cache
from typing import Any, get_origin, get_type_hints

from wherry.runtime.steps import KINDS, Cause, Origin, Step

Document = list[Any]


def to_document(steps: Iterable[Step]) -> list[Document]:
    """Ready for a JSON encoder that writes bytes as base64."""
    return [
        [step.name, {name: plain(getattr(step, name)) for name in fields_of(step.name)}] for step in steps
    ]


def from_document(document: Iterable[Document]) -> tuple[Step, ...]:
    """The steps again. KeyError for a kind that is not known."""
    return tuple(step_of(KINDS[name], values) for name, values in document)


def step_of(kind: type[Step], values: Mapping[str, Any]) -> Step:
    readers = fields_of(kind.name)
    return kind(**{name: readers[name](value) for name, value in values.items() if name in readers})


@cache
def fields_of(name: str) -> Mapping[str, Callable[[Any], Any]]:
    """What is kept of a kind, and how each field is read back. A field that is not compared is not kept either."""
    kind = KINDS[name]
    hints = get_type_hints(kind)
    return {f.name: reader(hints[f.name]) for f in dataclasses.fields(kind) if f.compare}


def plain(value: Any) -> Any:
    if isinstance(value, Cause):
        return (value.origin.value, plain(value.text))
    if isinstance(value, str):
        return value if value.isascii() else escaped(value)
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return int(value) if isinstance(value, IntFlag | IntEnum) else value


def escaped(text: str) -> Any:
    """JSON is UTF-8; a name that is not goes as its bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return {"bytes": base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()}
    return text


def reader(annotation: Any) -> Callable[[Any], Any]:
    if annotation is Cause:
        return cause_of
    if annotation is bytes:
        return base64.b64decode
    if annotation is str:
        return text_of
    if get_origin(annotation) is tuple:
        return texts_of
    if isinstance(annotation, type) and issubclass(annotation, IntFlag | IntEnum):
        return annotation
    return lambda value: value


def cause_of(value: Any) -> Cause:
    origin, text = value
    return Cause(Origin(origin), text_of(text))


def text_of(value: Any) -> str:
    if isinstance(value, dict):
        return base64.b64decode(value["bytes"]).decode("utf-8", "surrogateescape")
    return str(value)


def texts_of(value: Any) -> tuple[Any, ...]:
    return tuple(text_of(item) if isinstance(item, str | dict) else item for item in value)
