"""``--cpus``: how many processors."""

from __future__ import annotations

from wherry.values.numbers import leading_number

DIGITS = 9  # of the fraction
SCALE = 1_000_000_000


def parse_cpus(text: str) -> int:
    """Billionths of a processor: ``1.5`` is 1_500_000_000. ValueError in Docker's words."""
    signed = text[:1] in ("+", "-")
    whole, fraction, rest = leading_number(text[signed:])
    if rest or not (whole or fraction):
        raise ValueError(f"failed to parse {text} as a rational number")
    fraction = fraction.rstrip("0")
    if len(fraction) > DIGITS:
        raise ValueError("value is too precise")
    nano = int(whole or 0) * SCALE + int(fraction.ljust(DIGITS, "0"))
    return -nano if text.startswith("-") else nano
