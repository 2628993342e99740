"""Decimal numbers as they stand at the head of a size, a duration or a time."""

from __future__ import annotations

DIGITS = "0123456789"
LONGEST = 40  # digits; nothing that is counted here has more, and int() takes ever longer with them


def leading_digits(text: str) -> tuple[str, str]:
    """The digits that the text begins with, and the rest of it."""
    rest = text.lstrip(DIGITS)
    return text[: len(text) - len(rest)], rest


def leading_number(text: str) -> tuple[str, str, str]:
    """``1.5GiB`` as ``1``, ``5`` and ``GiB``; without a number at its head the first two are empty."""
    whole, rest = leading_digits(text)
    if not rest.startswith("."):
        return whole, "", rest
    fraction, rest = leading_digits(rest[1:])
    return whole, fraction, rest


def is_number(text: str) -> bool:
    """Whether these are digits, and no others than ASCII's (``isdigit`` alone takes ``²`` and ``٣``)."""
    return text.isascii() and text.isdigit()


def scaled(whole: str, fraction: str, scale: int) -> int:
    """``whole.fraction`` times the scale, exactly, rounded down."""
    return int(f"{whole}{fraction}" or 0) * scale // int("1" + "0" * len(fraction))
