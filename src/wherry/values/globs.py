"""Shell patterns as Go's ``path.Match`` reads them.

What stands between two stars has a fixed length, and is looked for by ``re``, which never goes back in such a thing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from wherry.errors import InvalidArgument

TOGETHER = 8192  # characters of one request's patterns, but for those that mean themselves
SPECIAL = re.compile(r"[*?\[\\]")
ANYTHING, NOTHING = r"[\s\S]", r"[^\s\S]"


class _Chunk(NamedTuple):
    """What stands between two stars: so many characters, as a regular expression."""

    after_star: bool
    length: int
    expression: re.Pattern[str]


class Glob:
    """A pattern, read once: ``*`` and ``?`` stop at slashes; classes may be negated with ``^``; a backslash quotes.

    InvalidArgument for what is no pattern.
    """

    def __init__(self, pattern: str) -> None:
        self._chunks = list(_chunks(iter(pattern)))
        self._least = sum(chunk.length for chunk in self._chunks)

    def matches(self, text: str) -> bool:
        """Whether the whole text fits. Each star takes as little as it can and is never tried again, so that the
        time is at most that of the text's length, squared."""
        if len(text) < self._least:
            return False
        at = 0
        for chunk in self._chunks:
            found = self._find(chunk, text, at)
            if found is None:
                return False
            at = found.end()
        return at == len(text)

    def _find(self, chunk: _Chunk, text: str, at: int) -> re.Match[str] | None:
        """Where a chunk fits: behind a star up to the next slash, otherwise here. The last one has to end it."""
        if not chunk.after_star:
            return chunk.expression.match(text, at)
        slash = text.find("/", at)
        furthest = len(text) if slash < 0 else slash
        if chunk is self._chunks[-1]:
            start = len(text) - chunk.length
            return chunk.expression.match(text, start) if at <= start <= furthest else None
        return chunk.expression.search(text, at, furthest + chunk.length)


def parse(patterns: Iterable[str]) -> list[Glob]:
    """All patterns of a request. InvalidArgument, also where it would take too long to look for them."""
    patterns = tuple(patterns)
    length = sum(len(pattern) for pattern in patterns if SPECIAL.search(pattern))
    if length > TOGETHER:
        raise InvalidArgument(f"patterns of {length} characters together are more than {TOGETHER}")
    return list(map(Glob, patterns))


def _chunks(rest: Iterator[str]) -> Iterator[_Chunk]:
    star, parts = False, list[str]()
    for character in rest:
        if character != "*":
            parts.append(_part(character, rest))
            continue
        if parts:
            yield _chunk(star, parts)
        star, parts = True, []
    if star or parts:
        yield _chunk(star, parts)


def _chunk(star: bool, parts: list[str]) -> _Chunk:
    return _Chunk(star, len(parts), re.compile("".join(parts)))


def _part(character: str, rest: Iterator[str]) -> str:
    """One character, or what stands for one, as a regular expression."""
    if character == "?":
        return "[^/]"
    if character == "[":
        return _class(rest)
    return re.escape(_next(rest) if character == "\\" else character)


def _class(rest: Iterator[str]) -> str:
    """The rest of ``[a-z]`` or ``[^a-z]``."""
    ranges: list[tuple[str, str]] = []
    character = _next(rest)
    negated = character == "^"
    if negated:
        character = _next(rest)
    while character != "]" or not ranges:
        low = high = _member(character, rest)
        character = _next(rest)
        if character == "-":
            high = _member(_next(rest), rest)
            character = _next(rest)
        ranges.append((low, high))
    members = "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in ranges if low <= high)
    if not members:
        return ANYTHING if negated else NOTHING
    return f"[{'^' if negated else ''}{members}]"


def _member(character: str, rest: Iterator[str]) -> str:
    if character in "-]":
        raise InvalidArgument("syntax error in pattern")
    return _next(rest) if character == "\\" else character


def _next(rest: Iterator[str]) -> str:
    character = next(rest, "")
    if not character:
        raise InvalidArgument("syntax error in pattern")
    return character
