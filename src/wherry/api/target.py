"""The target of a request: its path in the shortest form, and its query. RFC 9112, "Request Target". Pure."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import unquote

from wherry.api.errors import HttpError, Moved

ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?]*")
BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})[^&=/]{0,2}")


def split_target(target: str) -> tuple[str, str]:
    """Path and query, without the origin that may stand before them.

    Moved where the path is not in its shortest form: Docker sends the client there. HttpError for a path that escapes
    something wrongly.
    """
    if not target.startswith("/"):
        target = ORIGIN.sub("", target, count=1) or "/"
    path, mark, query = target.partition("?")
    if "%" in path:
        check_escapes(path)
    check_shortest(path, mark + query)
    return path, query


def unescaped(path: str, query: str) -> str:
    """For a path that means nothing as it is: as Go reads it, with escaped slashes dividing, too. What is still escaped
    in it is what would otherwise be taken for an escape of the client's. Moved, as above."""
    plain = unquote(path, errors="surrogateescape").replace("%", "%25").replace("?", "%3F")
    check_shortest(plain, f"?{query}" if query else "")
    return plain


def check_shortest(path: str, behind: str) -> None:
    if ("//" in path or "/." in path) and path != (short := shortest(path)):
        raise Moved(short + behind)


def shortest(path: str) -> str:
    """Without empty segments and dots; a slash at the end stays."""
    short = "/" + posixpath.normpath(path).lstrip("/")
    return short + "/" if path.endswith("/") and short != "/" else short


def check_query(query: str) -> None:
    """HttpError, in Go's words, for what a query may not have."""
    if ";" in query:
        raise HttpError(400, "invalid semicolon separator in query")
    if "%" in query:
        check_escapes(query)


def check_escapes(text: str) -> None:
    wrong = BAD_ESCAPE.search(text)
    if wrong is not None:
        raise HttpError(400, f'invalid URL escape "{wrong[0]}"')
