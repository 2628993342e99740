"""What a compiled seccomp filter lets through, found by walking it for every system call. Pure.

Arguments of a call are unknown, so where a test depends on one both ways are walked.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import lru_cache

from wherry.linux.classic_bpf import AND, AT_LEAST, EQUAL, GREATER, JUMP, LINE, LOAD, MACHINE, NUMBER, RETURN
from wherry.values.words import counted

ALLOW, LOG = 0x7FFF, 0x7FFC  # the upper half of SECCOMP_RET_*
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
CALLS = 470  # numbers looked at: all that Linux 6.18 has
UNKNOWN = -1


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
    architecture = MACHINES.get(machine or platform.machine(), 0)
    outcomes = [outcome(lines, architecture, number) for number in range(CALLS)]
    return Passage(outcomes.count({True}), outcomes.count({True, False}), len(lines))


def outcome(lines: list[tuple[int, int, int, int]], architecture: int, number: int) -> set[bool]:
    """Whether a call is let through, on every way that its arguments may lead."""
    found: set[bool] = set()
    pending = [(0, 0)]
    seen: set[tuple[int, int]] = set()
    while pending:
        state = pending.pop()
        if state in seen or state[0] >= len(lines):
            continue
        seen.add(state)
        pending += follow(lines, state, (number, architecture), found)
    return found


def follow(
    lines: list[tuple[int, int, int, int]], state: tuple[int, int], data: tuple[int, int], found: set[bool]
) -> list[tuple[int, int]]:
    """The states behind one instruction: (place, accumulator)."""
    place, value = state
    code, then, otherwise, constant = lines[place]
    if code == LOAD:
        known = {NUMBER: data[0], MACHINE: data[1]}
        return [(place + 1, known.get(constant, UNKNOWN))]
    if code == RETURN:
        found.add(constant >> 16 in (ALLOW, LOG))
        return []
    if code == JUMP:
        return [(place + 1 + constant, value)]
    if code == AND:
        return [(place + 1, UNKNOWN if value == UNKNOWN else value & constant)]
    ways = [then, otherwise] if value == UNKNOWN else [then if holds(code, value, constant) else otherwise]
    return [(place + 1 + way, value) for way in ways]


def holds(code: int, value: int, constant: int) -> bool:
    if code == EQUAL:
        return value == constant
    if code == GREATER:
        return value > constant
    return value >= constant if code == AT_LEAST else bool(value & constant)
