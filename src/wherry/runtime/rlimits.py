"""Resource limits of processes. getrlimit(2)."""

from __future__ import annotations

from functools import cache

from wherry.errors import InvalidArgument
from wherry.messages.container import Ulimit

NAMES = "cpu fsize data stack core rss nproc nofile memlock as locks sigpending msgqueue nice rtprio rttime"
ALIASES_REFUSED = frozenset({"as"})  # Docker knows no --ulimit as=; an OCI spec may have RLIMIT_AS
UNLIMITED = -1


@cache
def numbers() -> dict[str, int]:
    """``nofile`` to RLIMIT_NOFILE and so on."""
    return {name: number for number, name in enumerate(NAMES.split())}


def oci_type(name: str) -> str:
    """``nofile`` as the specification has it: ``RLIMIT_NOFILE``."""
    return f"RLIMIT_{name.upper()}"


def number_of(oci_name: str) -> int:
    """``RLIMIT_NOFILE`` to its number; InvalidArgument where there is none."""
    number = numbers().get(oci_name.removeprefix("RLIMIT_").lower())
    if number is None or not oci_name.startswith("RLIMIT_"):
        raise InvalidArgument(f"invalid rlimit type: {oci_name}")
    return number


def check(limit: Ulimit) -> None:
    """Refuse a ``--ulimit`` that Docker refuses."""
    if limit.name not in numbers() or limit.name in ALIASES_REFUSED:
        raise InvalidArgument(f"invalid ulimit type: {limit.name}")
    text = "ulimit soft limit must be less than or equal to hard limit"
    if limit.hard != UNLIMITED and limit.soft == UNLIMITED:
        raise InvalidArgument(f"{text}: soft: -1 (unlimited), hard: {limit.hard}")
    if limit.hard != UNLIMITED and limit.soft > limit.hard:
        raise InvalidArgument(f"{text}: {limit.soft} > {limit.hard}")


def signed(value: int) -> int:
    """RLIM_INFINITY, however it was written, as -1."""
    return UNLIMITED if value < 0 or value >= 1 << 63 else value
