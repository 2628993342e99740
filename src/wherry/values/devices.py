"""Rules of ``--device-cgroup-rule``: ``c 13:* rwm``."""

from __future__ import annotations

from wherry.errors import InvalidArgument
from wherry.values.numbers import LONGEST, is_number

KINDS = ("a", "b", "c")
ACCESS = frozenset("rwm")
ANY = -1
HIGHEST = (1 << 32) - 2  # the kernel reads 32 bits, and all of them set as any number


def parse_device_rule(text: str) -> tuple[str, int, int, str]:
    """Kind (all, block, character), major and minor number (-1 for any), access. InvalidArgument in dockerd's words."""
    kind, _, rest = text.partition(" ")
    numbers, _, access = rest.partition(" ")
    major, _, minor = numbers.partition(":")
    if kind not in KINDS or not 1 <= len(access) <= len(ACCESS) or not ACCESS.issuperset(access):
        raise _invalid(text)
    return kind, _number(major, text), _number(minor, text), access


def _number(given: str, text: str) -> int:
    if given == "*":
        return ANY
    if not is_number(given) or len(given) > LONGEST or int(given) > HIGHEST:
        raise _invalid(text)
    return int(given)


def _invalid(text: str) -> InvalidArgument:
    return InvalidArgument(f"invalid device cgroup rule format: '{text}'")
