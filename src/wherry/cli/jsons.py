"""JSON as it goes over the wire: read, and written without blanks."""

from __future__ import annotations

from wherry.cli.bare import make_scanner, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
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


def dumps(value: Any) -> str:
    """The value without blanks, in ASCII, as ``json.dumps(…, separators=(",", ":"))`` writes it."""
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{quoted(key)}:{dumps(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(dumps, value)) + "]"
    if isinstance(value, int):
        return str(value)
    raise TypeError(f"{value!r} does not go over the wire")
