"""Paths with placeholders: which of them a path is, and which of two that both fit is meant. Pure.

    /containers/{ref}/attach/ws
    /v2/{name}/manifests/{reference}

The first placeholder takes one segment or more, as many as it can: names of images have slashes. Every further one
takes exactly one. So ``/v2/a/b/manifests/latest`` is the second pattern, with ``a/b`` and ``latest``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HOLE = "{}"  # a placeholder, where segments are compared; no segment has braces
PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A path cut at its first placeholder. ``spans`` tells whether there is one."""

    text: str
    head: tuple[str, ...]  # literal segments before it
    tail: tuple[str, ...]  # segments behind it, HOLE for a placeholder
    names: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """ValueError for what is no path, or a name that stands there twice."""
        segments = [HOLE if PLACEHOLDER.fullmatch(part) else part for part in text[1:].split("/")]
        names = tuple(PLACEHOLDER.findall(text))
        literal = [part for part in segments if part != HOLE]
        odd = any(brace in part for part in literal for brace in "{}") or segments.count(HOLE) != len(names)
        if odd or not text.startswith("/") or segments[0] == HOLE:
            raise ValueError(f"{text!r} is no pattern of a path that begins with a word")
        if len(set(names)) < len(names):
            raise ValueError(f"{text!r} has two placeholders of one name")
        cut = segments.index(HOLE) if names else len(segments)
        return cls(text, tuple(segments[:cut]), tuple(segments[cut + 1 :]), names)

    @property
    def spans(self) -> bool:
        """Is there a placeholder?"""
        return bool(self.names)

    @property
    def key(self) -> tuple[str, str]:
        """First and last segment, HOLE where the last one is a placeholder: what a path is looked up by."""
        return self.head[0], self.tail[-1] if self.tail else HOLE

    def expression(self) -> re.Pattern[str]:
        """What the path must be, with a group for each placeholder."""
        tail = "".join("/([^/]+)" if part == HOLE else f"/{re.escape(part)}" for part in self.tail)
        return re.compile(
            "/" + re.escape("/".join(self.head)) + ("/(.+)" + tail if self.spans else ""), re.DOTALL
        )

    def within(self, other: Pattern) -> bool:
        """Is every path of this pattern one of the other too?"""
        if not other.spans:
            return self == other
        if not self.spans:
            enough = len(self.head) > len(other.head) + len(other.tail)
            return enough and starts_alike(self.head, other.head) and covers(other.tail, self.head)
        longer = len(self.head) >= len(other.head) and len(self.tail) >= len(other.tail)
        return longer and starts_alike(self.head, other.head) and covers(other.tail, self.tail)

    def meets(self, other: Pattern) -> bool:
        """Is there a path that is of both patterns?"""
        if not (self.spans and other.spans):
            return self.within(other) or other.within(self)
        ends = zip(reversed(self.tail), reversed(other.tail), strict=False)
        alike = all(ours == theirs or HOLE in (ours, theirs) for ours, theirs in ends)
        return alike and starts_alike(self.head, other.head)


def starts_alike(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return all(a == b for a, b in zip(one, other, strict=False))


def covers(tail: tuple[str, ...], ends: tuple[str, ...]) -> bool:
    """Is whatever ends with ``ends`` something that ends with ``tail``?"""
    return all(wide in (HOLE, narrow) for wide, narrow in zip(reversed(tail), reversed(ends), strict=False))


def check_distinct(patterns: list[Pattern]) -> None:
    """ValueError unless it is clear, for every path, which pattern is meant: of two that meet, the narrower one."""
    for index, one in enumerate(patterns):
        for other in patterns[:index]:
            if one.meets(other) and one.within(other) == other.within(one):
                how = "declared twice" if one.within(other) else "not told apart: there are paths of both"
                raise ValueError(f"{other.text} and {one.text} are {how}")


def narrowest_first(patterns: list[Pattern]) -> list[Pattern]:
    """In an order in which the first that fits is the one meant."""
    return sorted(patterns, key=lambda p: (-len(p.head), -sum(part != HOLE for part in p.tail), -len(p.tail)))
