"""Shell patterns as Go's ``path.Match`` reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from wherry.errors import InvalidArgument

_Fits = Callable[[str], bool]


class _Chunk(NamedTuple):
    """What stands between two stars: a test for each character, in order."""

    after_star: bool
    tests: tuple[_Fits, ...]

    def fits(self, text: str, at: int) -> bool:
        return len(self.tests) <= len(text) - at and all(
            fits(text[at + offset]) for offset, fits in enumerate(self.tests)
        )


class Glob:
    """A pattern, read once: ``*`` and ``?`` stop at slashes; classes may be negated with ``^``; a backslash quotes.

    InvalidArgument for what is no pattern.
    """

    def __init__(self, pattern: str) -> None:
        self._chunks = list(_chunks(iter(pattern)))
        self._least = sum(len(chunk.tests) for chunk in self._chunks)

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
            at = found + len(chunk.tests)
        return at == len(text)

    def _find(self, chunk: _Chunk, text: str, at: int) -> int | None:
        """Where a chunk fits. The last one has to fit at the end of the text."""
        last = chunk is self._chunks[-1]
        while True:
            if chunk.fits(text, at) and (not last or at + len(chunk.tests) == len(text)):
                return at
            if not chunk.after_star or at >= len(text) or text[at] == "/":
                return None
            at += 1


def _chunks(rest: Iterator[str]) -> Iterator[_Chunk]:
    star, tests = False, list[_Fits]()
    for character in rest:
        if character != "*":
            tests.append(_test(character, rest))
            continue
        if tests:
            yield _Chunk(star, tuple(tests))
        star, tests = True, []
    if star or tests:
        yield _Chunk(star, tuple(tests))


def _test(character: str, rest: Iterator[str]) -> _Fits:
    if character == "?":
        return lambda other: other != "/"
    if character == "[":
        return _class(rest)
    return (_next(rest) if character == "\\" else character).__eq__


def _class(rest: Iterator[str]) -> _Fits:
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
    return lambda other: negated != any(low <= other <= high for low, high in ranges)


def _member(character: str, rest: Iterator[str]) -> str:
    if character in "-]":
        raise InvalidArgument("syntax error in pattern")
    return _next(rest) if character == "\\" else character


def _next(rest: Iterator[str]) -> str:
    character = next(rest, "")
    if not character:
        raise InvalidArgument("syntax error in pattern")
    return character
