"""JSON bodies, read as Go's decoder reads them: field names in any case, null for a field's zero value."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from wherry.errors import InvalidArgument
from wherry.values.go_json import as_go_reads, decode_json, spellings

T = TypeVar("T", bound=msgspec.Struct)

KEY = re.compile(rb'"([A-Za-z][A-Za-z0-9]*)"\s*:')
NUL = rb"\u0000"  # the one way in which JSON can write it


def check_content_type(content_type: str | None, has_body: bool) -> None:
    """InvalidArgument unless a body is declared to be JSON."""
    if not has_body and not content_type:
        return
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise InvalidArgument(
            f"unsupported Content-Type header ({content_type or ''}): must be 'application/json'"
        )


def decode_body(data: bytes, kind: type[T]) -> T:
    """The body as a ``kind``. InvalidArgument names the field that is wrong."""
    if not data.strip():
        raise InvalidArgument("invalid JSON: got EOF while reading request body")
    try:
        message = decode_plainly(data, kind) or decode_leniently(data, kind)
        if NUL in data:
            refuse_nul(msgspec.to_builtins(message))
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise InvalidArgument(f"invalid JSON: {error}") from None
    except RecursionError:
        raise InvalidArgument("invalid JSON: exceeded max depth") from None
    return message


def decode_plainly(data: bytes, kind: type[T]) -> T | None:
    """The quick way; None for a document of which only Go could make something, or for none at all."""
    if is_respelled(data, kind):
        return None
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None  # perhaps only a null that Go would let pass, or half a character


def is_respelled(data: bytes, kind: type[T]) -> bool:
    """Whether a key may be a field in another spelling, such as ``TmpFs``."""
    fields = spellings(kind)
    return any(key.lower() in fields.lower for key in set(KEY.findall(data)) - fields.exact)


def decode_leniently(data: bytes, kind: type[T]) -> T:
    """The slower way."""
    document = decode_json(data)
    return msgspec.convert({} if document is None else as_go_reads(document, kind), kind)


def refuse_nul(value: Any, place: str = "") -> None:
    """InvalidArgument for a text with a NUL in it: no C string can hold one, and what follows would be lost."""
    if isinstance(value, str) and "\0" in value:
        raise InvalidArgument(f"invalid {place or 'body'}: a NUL byte in {value[:40]!r}")
    if isinstance(value, dict):
        for key, item in value.items():
            refuse_nul(key, place)
            refuse_nul(item, f"{place}.{key}" if place else key)
    elif isinstance(value, list):
        for item in value:
            refuse_nul(item, place)
