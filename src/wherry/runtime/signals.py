"""Names and numbers of signals, as ``docker kill`` and ``--stop-signal`` take them."""

from __future__ import annotations

import signal
from functools import cache

from wherry.errors import InvalidArgument

SIGRTMIN, SIGRTMAX = 34, 64
HIGHEST = 64


@cache
def signal_numbers() -> dict[str, int]:
    """Every name without its SIG, with Docker's names of real-time signals (RTMIN+0 is RTMIN)."""
    numbers = {s.name.removeprefix("SIG"): int(s) for s in signal.Signals if s < SIGRTMIN}
    numbers |= {
        "CLD": signal.SIGCHLD,
        "IOT": signal.SIGABRT,
        "POLL": signal.SIGIO,
        "STKFLT": 16,
        "UNUSED": 31,
    }
    numbers |= {f"RTMIN+{n}": SIGRTMIN + n for n in range(1, 16)}
    numbers |= {f"RTMAX-{n}": SIGRTMAX - n for n in range(1, 15)}
    return numbers | {"RTMIN": SIGRTMIN, "RTMAX": SIGRTMAX}


def parse_signal(text: str) -> int:
    """``SIGTERM``, ``term``, ``15`` or ``RTMIN+3`` as a number; InvalidArgument for anything else."""
    number = int(text) if text.isascii() and text.isdigit() else signal_numbers().get(plain_name(text), 0)
    if not 1 <= number <= HIGHEST:
        raise InvalidArgument(f"invalid signal: {text}")
    return number


def plain_name(text: str) -> str:
    return text.upper().removeprefix("SIG")
