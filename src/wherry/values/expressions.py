"""Regular expressions that clients send: Go's syntax, in time that grows with the text and no faster.

Python's own matcher goes back and tries again, for years where somebody wants it to. RE2 never does. But it makes a
program of an expression first, and a few characters (``\\pL{999}``) can ask for one of a million steps; and each of
them may be taken for each character that is looked at. So the steps are bounded, and whoever has many texts looks at
them in a thread.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from wherry.errors import InvalidArgument

LONGEST = 1000  # characters; what is longer takes longer to be compiled than any name is worth
# ``\pL`` and its kind: each takes the time of a hundred other characters, and names are ASCII
MOST_CLASSES = 8
MEMORY = 128 << 10  # for one expression; ``\pL`` takes 22 KiB, ``.{1,255}`` 36
MOST = 100  # expressions of one request
MOST_STEPS = 8192  # of all of them together; ``^/?web-[0-9]+$`` has 20
UNICODE_CLASS = re.compile(r"\\[pP]")
PLAIN = re.compile(r"[\w/ ,:=@-]*", re.ASCII)  # means itself
TOO_LARGE = b"pattern too large"  # RE2's words; all others are of what is no expression


class Expression:
    """One regular expression, ready to be searched for. InvalidArgument for one that would cost too much.

    ``steps`` times the length of a text is what looking at it may cost, in some five nanoseconds.
    """

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self.steps: int = compiled.programsize

    @classmethod
    def parse(cls, pattern: str) -> Expression | None:
        """None for what is not a regular expression."""
        import re2  # type: ignore[import-untyped]  # late, 2.4 MB: few send a pattern

        check_length(pattern)
        options = re2.Options()
        options.log_errors = False
        options.max_mem = MEMORY
        try:
            return cls(re2.compile(pattern, options))
        except UnicodeError:
            return None
        except re2.error as error:
            if TOO_LARGE in error.args[0]:
                raise InvalidArgument(f"the pattern {pattern!r} is too large: repeat less in it") from None
            return None

    def is_in(self, text: str) -> bool:
        """Whether it is found in the text."""
        return self._compiled.search(text) is not None


class Patterns:
    """The patterns of one filter, of which one is to be found. One that is not a regular expression is only text.

    InvalidArgument for more, or for longer ones, than a request may bring.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._wanted = frozenset(patterns)
        self._plain = [pattern for pattern in self._wanted if PLAIN.fullmatch(pattern)]
        self._others = sorted(self._wanted.difference(self._plain))
        self._compiled: list[Expression] | None = None
        if len(self._others) > MOST:
            raise InvalidArgument(f"{len(self._others)} regular expressions are more than {MOST}")
        for pattern in self._others:
            check_length(pattern)

    @property
    def take_time(self) -> bool:
        """Whether there is something to be compiled."""
        return bool(self._others)

    def found_in(self, *texts: str) -> bool:
        """Whether one is a text, or is found in one; also where there is none. InvalidArgument for too large ones."""
        if not self._wanted:
            return True
        return any(
            text in self._wanted
            or any(pattern in text for pattern in self._plain)
            or any(expression.is_in(text) for expression in self._expressions())
            for text in texts
        )

    def _expressions(self) -> list[Expression]:
        if self._compiled is None:
            self._compiled = list(compiled(self._others))
        return self._compiled


def compiled(patterns: Iterable[str]) -> Iterable[Expression]:
    """Those that are regular expressions. InvalidArgument where they are too large together."""
    left = MOST_STEPS
    for pattern in patterns:
        expression = Expression.parse(pattern)
        if expression is not None:
            left -= expression.steps
            if left < 0:
                raise InvalidArgument("the regular expressions are too large together: repeat less in them")
            yield expression


def check_length(pattern: str) -> None:
    """InvalidArgument for what would take too long to be read."""
    if len(pattern) > LONGEST:
        raise InvalidArgument(f"a pattern of {len(pattern)} characters is longer than {LONGEST}")
    if len(UNICODE_CLASS.findall(pattern)) > MOST_CLASSES:
        raise InvalidArgument(f"the pattern {pattern!r} has more than {MOST_CLASSES} Unicode classes")
