"""Words: true and false as Go reads them, texts cut short, numbers in sentences."""

from __future__ import annotations

from wherry.values.quoting import quoted

TRUE = ("1", "t", "T", "true", "TRUE", "True")
FALSE = ("0", "f", "F", "false", "FALSE", "False")


def boolean(text: str) -> bool:
    """What Go's ParseBool makes of it. ValueError, in Go's words."""
    if text in TRUE or text in FALSE:
        return text in TRUE
    raise ValueError(f"strconv.ParseBool: parsing {quoted(text)}: invalid syntax")


def shortened(text: str, most: int) -> str:
    """The text, cut to ``most`` characters with the last of them an ellipsis."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def counted(count: int, noun: str, plural: str = "") -> str:
    """``1 layer``, ``2 layers``."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def raised(soft: int, hard: int | None) -> str:
    """What to say behind a soft limit that can be raised; None is no limit."""
    if soft == hard:
        return ""
    return ", which can be raised without limit" if hard is None else f", which can be raised to {hard}"
