"""JSON bodies, read as Go's decoder reads them: field names in any case, null for a field's zero value."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from wherry.errors import InvalidArgument
from wherry.values.go_json import decode_as_go

T = TypeVar("T", bound=msgspec.Struct)

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
        message = decode_as_go(b"{}" if data.strip() == b"null" else data, kind)
        if NUL in data:
            refuse_nul(msgspec.to_builtins(message))
    except msgspec.MsgspecError as error:
        raise InvalidArgument(f"invalid JSON: {error}") from None
    except RecursionError:
        raise InvalidArgument("invalid JSON: exceeded max depth") from None
    return message


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
