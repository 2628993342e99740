"""Regular expressions that clients send: Go's syntax, in time that grows with the text and no faster.

Python's own matcher goes back and tries again, for years where somebody wants it to. RE2 never does.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from wherry.errors import InvalidArgument

LONGEST = 1000  # characters; what is longer takes longer to be compiled than any name is worth


def searches(pattern: str, text: str) -> bool:
    """Whether the pattern is found in the text. One that is no regular expression is found nowhere.

    InvalidArgument for one that is too long.
    """
    compiled = _compiled(pattern)
    return compiled is not None and compiled.search(text) is not None


def check_expression(pattern: str, what: str) -> None:
    """InvalidArgument, which begins with ``what``, for what is no regular expression."""
    if _compiled(pattern) is None:
        raise InvalidArgument(f"invalid {what}: {pattern!r} is no regular expression")


@lru_cache(256)
def _compiled(pattern: str) -> Any:
    """None for what is no regular expression."""
    import re2  # type: ignore[import-untyped]  # late, 2.4 MB: few send a pattern

    if len(pattern) > LONGEST:
        raise InvalidArgument(f"a pattern of {len(pattern)} characters is longer than {LONGEST}")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeError):
        return None
