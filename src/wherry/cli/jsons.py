"""JSON as it goes over the wire: read, and written without blanks."""

from __future__ import annotations

from wherry.cli.bare import make_scanner, quoted
from wherry.cli.bare import quoted_unicode as quoted_raw

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

BLANKS = " \t\n\r"
CONSTANTS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": -float("inf")}


class Decoder:
    """What ``json.JSONDecoder`` is where it is given no options, as far as its scanner asks."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int, parse_constant = float, int, CONSTANTS.__getitem__


def loads(document: bytes | str) -> Any:
    """The value of a document. ValueError where it is not JSON."""
    text = (document if isinstance(document, str) else document.decode("utf-8", "surrogatepass")).strip(
        BLANKS
    )
    try:
        value, end = make_scanner(Decoder)(text, 0)
    except StopIteration:
        end = -1
    if end != len(text):
        raise ValueError(f"not JSON: {text[:80]!r}")
    return value


def quoted_unicode(text: str) -> str:
    """A string as JSON, with escapes for what does not print."""
    raw = quoted_raw(text)
    return raw if raw.isprintable() else "".join(c if c.isprintable() else quoted(c)[1:-1] for c in raw)


def dumps(value: Any, ascii: bool = True) -> str:
    """The value without blanks, as ``json.dumps(…, separators=(",", ":"))`` writes it, in ASCII or not."""
    quote = quoted if ascii else quoted_unicode
    if isinstance(value, dict):
        return "{" + ",".join(f"{quote(key)}:{dumps(item, ascii)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(dumps(item, ascii) for item in value) + "]"
    return _scalar(value, quote)


def pretty(value: Any, indent: int, depth: int = 0) -> str:
    """The value over several lines, as ``json.dumps(…, indent=…, ensure_ascii=False)`` writes it."""
    if not value or not isinstance(value, (dict, list)):
        return dumps(value, ascii=False)
    outer, inner = "\n" + " " * (indent * depth), "\n" + " " * (indent * (depth + 1))
    if isinstance(value, list):
        items = [pretty(item, indent, depth + 1) for item in value]
        return f"[{inner}{f',{inner}'.join(items)}{outer}]"
    items = [f"{quoted_unicode(key)}: {pretty(item, indent, depth + 1)}" for key, item in value.items()]
    return f"{{{inner}{f',{inner}'.join(items)}{outer}}}"


def _scalar(value: Any, quote: Callable[[str], str]) -> str:
    if isinstance(value, str):
        return quote(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    raise TypeError(f"{value!r} is not a JSON value")
