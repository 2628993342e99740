"""Numbers in sentences."""

from __future__ import annotations


def shortened(text: str, most: int) -> str:
    """The text, or its beginning with a mark where it is longer than ``most`` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def counted(count: int, noun: str, plural: str = "") -> str:
    """``1 layer``, ``2 layers``."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"
