"""Query parameters: from text to what a route's signature names. The rules are dockerd's."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NewType, get_args, get_origin
from urllib.parse import parse_qsl

from wherry.engine.fate import Fate
from wherry.engine.filters import Filters, parse_filters
from wherry.errors import InvalidArgument
from wherry.values.numbers import is_number
from wherry.values.times import parse_stamp

FALSE = frozenset({"", "0", "no", "false", "none"})

Nanoseconds = NewType("Nanoseconds", int)
"""A time in nanoseconds since 1970, sent as ``seconds[.fraction]``."""

Query = Mapping[str, list[str]]

# Defaults of parameters: shared, as nobody changes them.
NO_FILTERS = Filters()
NO_TIME = Nanoseconds(0)


@dataclass(frozen=True, slots=True)
class Named:
    """``Annotated[int, Named("h")]``: a parameter whose name on the wire is not its own in camel case."""

    name: str


def parse_query(text: str) -> dict[str, list[str]]:
    """Every value of every name, percent-decoded."""
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, errors="surrogateescape"):
        values.setdefault(name, []).append(value)
    return values


def parse_bool(text: str) -> bool:
    """False are "", 0, no, false, none; everything else is true."""
    return text.strip().lower() not in FALSE


def parse_int(text: str) -> int:
    """InvalidArgument for what is no whole number of at most 18 digits."""
    if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
        raise InvalidArgument(f"{text!r} is not a whole number")
    return int(text)


def parse_dimension(text: str, what: str) -> int:
    """A terminal's height or width: 32 bits, and never left out. InvalidArgument in dockerd's words."""
    if not is_number(text.removeprefix("-")):
        raise InvalidArgument(f'invalid resize {what} "{text[:40]}": invalid syntax')
    if text.startswith("-") or len(text) > 10 or int(text) >= 1 << 32:
        raise InvalidArgument(f'invalid resize {what} "{text[:40]}": value out of range')
    return int(text)


def parse_nanoseconds(text: str) -> Nanoseconds:
    """``1732460330.695158424`` to the last digit, which a float would lose. Empty is no time, 0."""
    return Nanoseconds(parse_stamp(text) if text else 0)


PARSERS: dict[Any, Callable[[str], Any]] = {
    str: str,
    bool: parse_bool,
    int: parse_int,
    Filters: parse_filters,
    Nanoseconds: parse_nanoseconds,
}


def wire_name(name: str) -> str:
    """``detach_keys`` is ``detachKeys`` on the wire."""
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


@dataclass(frozen=True, slots=True)
class QueryParameter:
    """One parameter of a route, read from the query."""

    name: str
    parse: Callable[[str], Any]
    default: Any
    many: bool = False
    fate: Fate | None = None

    def read(self, query: Query) -> Any:
        """The value, or the default where the query has none; InvalidArgument names the parameter."""
        given = query.get(self.name)
        if given is None:
            return self.default
        if any("\0" in text for text in given):
            raise InvalidArgument(f"invalid parameter {self.name}: a NUL byte")
        try:
            value = [self.parse(text) for text in given] if self.many else self.parse(given[0])
        except InvalidArgument as error:
            raise InvalidArgument(f"invalid parameter {self.name}: {error.message}") from None
        if self.fate is not None:
            self.fate.refuse(value)
        return value


def query_parameter(name: str, annotation: Any, default: Any, fate: Fate | None = None) -> QueryParameter:
    """A parameter of a signature, as it is read from the wire. A number that is empty counts as not given.

    Values that its fate refuses raise InvalidArgument.
    """
    kind, alias = unwrap(annotation)
    many = get_origin(kind) is list
    item = get_args(kind)[0] if many else kind
    parse = PARSERS[item]
    if item is int:
        parse = lambda text: parse_int(text) if text else default  # noqa: E731
    return QueryParameter(alias or wire_name(name), parse, default, many, fate)


def unwrap(annotation: Any) -> tuple[Any, str]:
    """The plain type, without ``Annotated`` and ``| None``, and the name on the wire if it is given."""
    alias = ""
    if get_origin(annotation) is typing.Annotated:
        annotation, *extras = get_args(annotation)
        alias = next((extra.name for extra in extras if isinstance(extra, Named)), "")
    if get_origin(annotation) in (types.UnionType, typing.Union):
        annotation = next(kind for kind in get_args(annotation) if kind is not type(None))
    return annotation, alias
