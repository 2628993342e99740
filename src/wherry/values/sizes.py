"""Amounts of bytes: ``64m`` as it is typed, ``4.26MB`` and ``23.54GiB`` as they are shown."""

from __future__ import annotations

from wherry.errors import InvalidArgument
from wherry.values.numbers import DIGITS, LONGEST, leading_number, scaled

POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}  # of 1024
DECIMAL_NAMES = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
BINARY_NAMES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")


def parse_size(text: str) -> int:
    """Bytes of ``64m``, ``1.5GiB``, ``100``; units are powers of 1024. InvalidArgument, as Docker's options say it."""
    whole, fraction, suffix = leading_number(text)
    suffix = suffix.removeprefix(" ")
    digits = len(whole) + len(fraction)
    if not 0 < digits <= LONGEST or any(letter in DIGITS for letter in suffix):
        raise InvalidArgument(f"invalid size: '{text}'")
    unit = suffix.lower()
    unit = unit.removesuffix("ib") if len(unit) == 3 else unit.removesuffix("b")
    if unit not in POWERS or suffix.lower() == "ib":
        raise InvalidArgument(f"invalid suffix: '{suffix}'")
    return scaled(whole, fraction, 1 << (10 * POWERS[unit]))


def parse_memory_swap(text: str) -> int:
    """Like ``parse_size``; ``-1`` means without a limit."""
    return -1 if text == "-1" else parse_size(text)


def human_size(size: float, digits: int = 3) -> str:
    """``4.26MB``: powers of 1000, as Docker shows images."""
    return _human(size, 1000, DECIMAL_NAMES, digits)


def human_memory(size: float) -> str:
    """``23.54GiB``: powers of 1024, as Docker shows memory."""
    return _human(size, 1024, BINARY_NAMES, 4)


def spaced_memory(size: float) -> str:
    """The same with a space, for sentences: ``23.54 GiB``."""
    number = human_memory(size)
    digits = len(number.rstrip("BKMGTPEZYi"))
    return f"{number[:digits]} {number[digits:]}"


def _human(size: float, base: int, names: tuple[str, ...], digits: int) -> str:
    index = 0
    while size >= base and index < len(names) - 1:
        size /= base
        index += 1
    return f"{size:.{digits}g}{names[index]}"
