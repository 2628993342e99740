"""Shell patterns as Go's ``path.Match`` reads them."""

from __future__ import annotations

import re
from functools import cache

from wherry.errors import InvalidArgument


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text fits: ``*`` and ``?`` stop at slashes; classes may be negated with ``^``; a backslash
    quotes. InvalidArgument for what is no pattern."""
    return _compiled(pattern).fullmatch(text) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    tokens = re.findall(r"\\.|\[\^?(?:\\.|[^\]\\])+\]|.", pattern, flags=re.DOTALL)
    try:
        return re.compile("".join(map(_token, tokens)), flags=re.DOTALL)
    except re.error as error:
        raise InvalidArgument(f"syntax error in pattern {pattern!r}") from error


def _token(token: str) -> str:
    if token == "*":
        return "[^/]*"
    if token == "?":
        return "[^/]"
    if len(token) > 2 and token.startswith("["):
        return token.replace("[", r"\[").replace(r"\[", "[", 1)
    if token in ("[", "\\"):
        raise InvalidArgument("syntax error in pattern")
    return re.escape(token[-1])
