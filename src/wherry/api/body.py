"""JSON bodies, read as Go's decoder reads them: field names in any case, null for a field's zero value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, TypeVar

import msgspec

from wherry.errors import InvalidArgument

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


def as_go_reads(value: Any, kind: Any) -> Any:
    """A decoded document with its keys spelled as the fields are, and without nulls for fields that have none."""
    return _as_go_reads(value, shape_of(kind))


@cache
def shape_of(kind: Any) -> Any:
    """What a type's documents look like. Working it out costs more than all else that a request does."""
    from msgspec import inspect

    return inspect.type_info(kind)


@cache
def fields_of(kind: Any) -> frozenset[bytes]:
    """The names of all fields in a type's documents, in lower case."""
    return frozenset(field_names(shape_of(kind)))


def field_names(info: Any) -> Iterator[bytes]:
    from msgspec import inspect

    inner = (getattr(info, name) for name in ("item_type", "value_type") if hasattr(info, name))
    for part in (*inner, *getattr(info, "types", ())):
        yield from field_names(part)
    if isinstance(info, inspect.StructType):
        for field in info.fields:
            yield field.encode_name.lower().encode()
            yield from field_names(field.type)


def _as_go_reads(value: Any, info: Any) -> Any:
    from msgspec import inspect

    if isinstance(info, inspect.UnionType):
        return _as_go_reads(value, best_branch(value, info))
    if isinstance(value, dict) and isinstance(info, inspect.StructType):
        return fields_as_go_reads(value, info)
    if isinstance(value, dict) and isinstance(info, inspect.DictType):
        return {key: _as_go_reads(item, info.value_type) for key, item in value.items()}
    if isinstance(value, list) and isinstance(info, inspect.ListType):
        return [_as_go_reads(item, info.item_type) for item in value]
    return value


def best_branch(value: Any, info: Any) -> Any:
    """The branch of a union that describes this value's structure."""
    from msgspec import inspect

    wanted = (inspect.StructType, inspect.DictType) if isinstance(value, dict) else inspect.ListType
    return next((branch for branch in info.types if isinstance(branch, wanted)), info.types[0])


def fields_as_go_reads(value: dict[str, Any], info: Any) -> dict[str, Any]:
    fields = {field.encode_name.lower(): field for field in info.fields}
    result: dict[str, Any] = {}
    for key, item in value.items():
        field = fields.get(key.lower())
        if field is None or (item is None and not accepts_null(field.type)):
            continue
        result[field.encode_name] = _as_go_reads(item, field.type)
    return result


def accepts_null(info: Any) -> bool:
    from msgspec import inspect

    if isinstance(info, inspect.UnionType):
        return any(isinstance(branch, inspect.NoneType) for branch in info.types)
    return isinstance(info, inspect.AnyType | inspect.NoneType)
