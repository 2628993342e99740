"""What a compiled seccomp filter lets through, in numbers. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from wherry.linux.classic_bpf import LINE, MACHINE, NUMBER
from wherry.runtime.seccomp_answers import outcome, this_machine
from wherry.values.words import counted

CALLS = 470  # numbers looked at: all that Linux 6.18 has


@dataclass(frozen=True, slots=True)
class Passage:
    """How many calls a filter allows whatever their arguments, and how many depending on them."""

    always: int
    sometimes: int
    instructions: int

    def describe(self) -> str:
        extra = f", and {self.sometimes} more depending on their arguments" if self.sometimes else ""
        return f"{counted(self.always, 'system call')}{extra}"


@lru_cache(maxsize=64)
def passage(program: bytes, machine: str = "") -> Passage:
    """Count the calls of this machine's own numbering that a program (``struct sock_filter`` array) lets through."""
    lines = list(LINE.iter_unpack(program))
    architecture = this_machine(machine)
    outcomes = [outcome(lines, {NUMBER: number, MACHINE: architecture}) for number in range(CALLS)]
    return Passage(outcomes.count({True}), outcomes.count({True, False}), len(lines))
