"""What a compiled seccomp filter answers to a call, found by walking it. Pure.

Where a test depends on a word of the call that is not known, both ways are walked. seccomp(2), struct seccomp_data.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import lru_cache

from wherry.linux import libseccomp
from wherry.linux.classic_bpf import AND, AT_LEAST, EQUAL, GREATER, JUMP, LINE, LOAD, MACHINE, NUMBER, RETURN

ALLOW, LOG = 0x7FFF, 0x7FFC  # the upper half of SECCOMP_RET_*
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ARGUMENTS = 16  # offset of the first; each has a lower and an upper word
UNKNOWN = -1

Lines = list[tuple[int, int, int, int]]


def this_machine(machine: str = "") -> int:
    """AUDIT_ARCH_* of a machine's own calls; 0 for one that is not known."""
    return MACHINES.get(machine or platform.machine(), 0)


@lru_cache(maxsize=64)
def lets_through(program: bytes, *calls: tuple[str, *tuple[int, ...]]) -> bool:
    """Whether a filter allows all of some calls on this machine: each is a name, and the first of its arguments."""
    lines, machine = list(LINE.iter_unpack(program)), this_machine()
    return all(
        outcome(lines, words(machine, libseccomp.number(name), arguments)) == {True}
        for name, *arguments in calls
    )


def words(machine: int, number: int, arguments: list[int]) -> dict[int, int]:
    """``struct seccomp_data`` as far as it is known: offset to word."""
    known = {NUMBER: number, MACHINE: machine}
    for place, value in enumerate(arguments):
        known[ARGUMENTS + 8 * place], known[ARGUMENTS + 8 * place + 4] = value & 0xFFFFFFFF, value >> 32
    return known


def outcome(lines: Lines, known: Mapping[int, int]) -> set[bool]:
    """Whether a call is let through, on every way that its unknown words may lead."""
    found: set[bool] = set()
    pending = [(0, 0)]
    seen: set[tuple[int, int]] = set()
    while pending:
        state = pending.pop()
        if state in seen or state[0] >= len(lines):
            continue
        seen.add(state)
        pending += follow(lines, state, known, found)
    return found


def follow(
    lines: Lines, state: tuple[int, int], known: Mapping[int, int], found: set[bool]
) -> list[tuple[int, int]]:
    """The states behind one instruction: (place, accumulator)."""
    place, value = state
    code, then, otherwise, constant = lines[place]
    if code == LOAD:
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
