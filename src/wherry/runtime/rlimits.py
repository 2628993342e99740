"""Resource limits of processes. getrlimit(2)."""

from __future__ import annotations

import resource
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from wherry.errors import InvalidArgument
from wherry.messages.container import Ulimit

NAMES = "cpu fsize data stack core rss nproc nofile memlock as locks sigpending msgqueue nice rtprio rttime"
ALIASES_REFUSED = frozenset({"as"})  # Docker knows no --ulimit as=; an OCI spec may have RLIMIT_AS
UNLIMITED = -1
FEWEST_FILES = 6  # what the launcher itself has open when it looks the user up
MAY_RAISE = "CAP_SYS_RESOURCE"
MOST_FILES = Path("/proc/sys/fs/nr_open")


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
    if min(limit.soft, limit.hard) < UNLIMITED:
        raise InvalidArgument(f"invalid ulimit {limit.name}={limit.soft}:{limit.hard}: only -1 is unlimited")
    text = "ulimit soft limit must be less than or equal to hard limit"
    if limit.hard != UNLIMITED and limit.soft == UNLIMITED:
        raise InvalidArgument(f"{text}: soft: -1 (unlimited), hard: {limit.hard}")
    if limit.hard != UNLIMITED and limit.soft > limit.hard:
        raise InvalidArgument(f"{text}: {limit.soft} > {limit.hard}")
    if limit.name == "nofile" and 0 <= limit.soft < FEWEST_FILES:
        raise InvalidArgument(
            f"invalid ulimit nofile={limit.soft}:{limit.hard}: no start gets by with fewer than {FEWEST_FILES}"
        )


def signed(value: int) -> int:
    """RLIM_INFINITY, however it was written, as -1."""
    return UNLIMITED if value < 0 or value >= 1 << 63 else value


def not_to_be_had(limits: Iterable[Ulimit], available: Sequence[str]) -> list[str]:
    """Warnings of limits that the kernel will not raise, so that they stay as the daemon's own. Looks at the host.

    ``available`` are the daemon's capabilities. setrlimit(2).
    """
    told = []
    for limit in limits:
        own = signed(resource.getrlimit(numbers()[limit.name])[1])
        most = ceiling(limit.name) if MAY_RAISE in available else own
        if most != UNLIMITED and not 0 <= limit.hard <= most:
            asked = f"{limit.name}={limit.soft}:{limit.hard}"
            told.append(f"ulimit {asked} cannot be set on this host: the hard limit stays at {own}")
    return told


def ceiling(name: str) -> int:
    """What nobody may exceed."""
    return int(MOST_FILES.read_text()) if name == "nofile" else UNLIMITED
