"""JSON bodies, read as Go's decoder reads them: field names in any case, null for a field's zero value."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from wherry.errors import InvalidArgument
from wherry.values.go_json import as_go_reads, fields_of

T = TypeVar("T", bound=msgspec.Struct)

# A key that does not begin with a capital may be a field in another spelling.
UNCAPITALIZED = re.compile(rb'"([a-z][A-Za-z0-9]*)"\s*:')


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
    if fields_of(kind).isdisjoint(key.lower() for key in UNCAPITALIZED.findall(data)):
        try:
            return msgspec.json.decode(data, type=kind)
        except msgspec.ValidationError:
            pass  # perhaps only a null that Go would let pass
        except msgspec.DecodeError as error:
            raise InvalidArgument(f"invalid JSON: {error}") from None
    return decode_leniently(data, kind)


def decode_leniently(data: bytes, kind: type[T]) -> T:
    """The slower way, for documents that only Go would take."""
    try:
        document = msgspec.json.decode(data)
        return msgspec.convert({} if document is None else as_go_reads(document, kind), kind)
    except msgspec.DecodeError as error:
        raise InvalidArgument(f"invalid JSON: {error}") from None
    except (msgspec.ValidationError, RecursionError) as error:
        raise InvalidArgument(f"invalid JSON: {error}") from None
