"""A fate: what becomes of one thing that a client may say. ``fates.py`` has them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from wherry.errors import InvalidArgument

NOT_HERE = "not supported by this version of wherry"
NOTHING: tuple[object, ...] = (None, "", 0, False, [], {}, ())  # a field's zero value asks for nothing


class Kind(Enum):
    """What becomes of it, as the table says it."""

    DONE = "done"
    REFUSED = "refused"
    ECHOED = "echoed"


# What is wrong with a field's value: things to be named, none if it is fine. It sees the whole message, too.
Wrong = Callable[[Any, Any], Iterable[object]]


@dataclass(frozen=True, slots=True)
class Fate:
    """``words`` are for readers of the table; ``option`` names to the user what is refused, with ``{}`` for a value."""

    kind: Kind
    words: str = ""
    option: str = ""
    wrong: Wrong | None = None

    def refuse(self, value: Any) -> None:
        """InvalidArgument for a value, of a parameter, that would be left undone."""
        for option in self.refusals(value, None):
            raise InvalidArgument(f"{option} is {NOT_HERE}")

    def refusals(self, value: Any, message: Any) -> Iterator[str]:
        """What of this value is refused, as an option is named."""
        for thing in self.wrong(value, message) if self.wrong is not None else ():
            yield self.option.format(thing)


def done(words: str = "", *, refused: str = "", wrong: Wrong | None = None) -> Fate:
    """It has effect; values that ``wrong`` finds are refused nevertheless."""
    return Fate(Kind.DONE, words, refused, wrong)


def refused(option: str, words: str = "", *, but: Iterable[object] = ()) -> Fate:
    """``but`` are values that ask for nothing that is not done anyway."""
    return Fate(Kind.REFUSED, words, option, unless(*but))


def echoed(words: str) -> Fate:
    """Kept and shown; ``words`` say why that is enough."""
    return Fate(Kind.ECHOED, words)


def unless(*accepted: object) -> Wrong:
    """Every value is wrong but these, and none at all."""
    return lambda value, message: () if value in NOTHING or value in accepted else (value,)
