"""Names and numbers of signals, as ``docker kill`` and ``--stop-signal`` take them. signal(7), "Standard signals"."""

from __future__ import annotations

from wherry.errors import InvalidArgument
from wherry.values.numbers import LONGEST, is_number

SIGRTMIN, SIGRTMAX = 34, 64
HIGHEST = 64
OF_THREADS = (32, 33)

NAMES = (
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
)  # fmt: skip
"""From 1 on, as Linux numbers them on x86, ARM, POWER, RISC-V and s390."""

NUMBERS = {name: number for number, name in enumerate(NAMES, 1)}
NUMBERS |= {"IOT": NUMBERS["ABRT"], "CLD": NUMBERS["CHLD"], "POLL": NUMBERS["IO"], "UNUSED": NUMBERS["SYS"]}
NUMBERS |= {f"RTMIN+{n}": SIGRTMIN + n for n in range(1, 16)}
NUMBERS |= {f"RTMAX-{n}": SIGRTMAX - n for n in range(1, 15)}
NUMBERS |= {"RTMIN": SIGRTMIN, "RTMAX": SIGRTMAX}


def parse_signal(text: str) -> int:
    """``SIGTERM``, ``term``, ``15`` or ``RTMIN+3`` as a number; InvalidArgument for anything else."""
    plain = text.upper().removeprefix("SIG")
    number = int(text) if is_number(text) and len(text) <= LONGEST else NUMBERS.get(plain, 0)
    if number > HIGHEST:
        raise InvalidArgument(f"the linux daemon does not support signal {number}")
    if number < 1:
        raise InvalidArgument(f"invalid signal: {text}")
    return number


def parse_kill_signal(text: str) -> int:
    """The same, without the two that threads libraries have for themselves. signal(7)."""
    number = parse_signal(text)
    if number in OF_THREADS:
        raise InvalidArgument(f"the linux daemon does not support signal {number}")
    return number


def ending_signal(text: str) -> str:
    """What ends a container that asks for this signal: SIGTERM where an image has written what is none."""
    try:
        parse_signal(text)
    except InvalidArgument:
        return "SIGTERM"
    return text


def signal_name(number: int) -> str:
    """``TERM`` for 15; a real-time signal by its number."""
    return NAMES[number - 1] if number <= len(NAMES) else str(number)
