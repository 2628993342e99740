"""A filter made smaller gives the same answers: both are run on calls of all kinds."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wherry.linux import libseccomp
from wherry.linux.classic_bpf import AND, AT_LEAST, EQUAL, GREATER, JUMP, LINE, LOAD, MACHINE, NUMBER, RETURN
from wherry.runtime import capabilities
from wherry.runtime.seccomp import build
from wherry.runtime.seccomp_compact import compact
from wherry.runtime.seccomp_policy import default_policy, this_machine

X86_64, I386, AARCH64, OTHER = 0xC000003E, 0x40000003, 0xC00000B7, 5
X32 = 0x40000000
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050001, 0x80000000
ARGUMENTS = [0, 1, 2, 8, 16, 38, 40, 0x20000000, 0x7E020000, 0xFFFFFFFF, 1 << 32, (1 << 64) - 1]


def answer(program: bytes, machine: int, number: int, arguments: Iterable[int]) -> int:
    """What the kernel would do with the program. Documentation/networking/filter.rst."""
    data = struct.pack("<IIQ6Q", number, machine, 0, *arguments)
    lines = list(LINE.iter_unpack(program))
    at = word = 0
    while True:
        code, then, otherwise, value = lines[at]
        at += 1
        if code == LOAD:
            (word,) = struct.unpack_from("<I", data, value)
        elif code == RETURN:
            return int(value)
        elif code == JUMP:
            at += value
        elif code == AND:
            word &= value
        else:
            tests = {EQUAL: word == value, GREATER: word > value, AT_LEAST: word >= value}
            at += then if tests.get(code, bool(word & value)) else otherwise


def numbers(*programs: bytes) -> list[int]:
    """Every value that the programs compare with, and its neighbours, and a few beyond."""
    values = {line[3] for program in programs for line in LINE.iter_unpack(program)}
    near = {(value + step) & 0xFFFFFFFF for value in values for step in (-1, 0, 1)}
    return sorted(near | set(range(0, 600, 7)) | {X32, X32 + 1, 0x7FFFFFFF, 0xFFFFFFFF})


def assert_same(program: bytes, made: bytes, tries: int, seed: int = 0) -> None:
    chance = random.Random(seed)
    for machine in (X86_64, I386, AARCH64, OTHER):
        for number in numbers(program, made):
            for _ in range(tries):
                arguments = [chance.choice(ARGUMENTS) for _ in range(6)]
                wanted = answer(program, machine, number, arguments)
                assert answer(made, machine, number, arguments) == wanted, (machine, number, arguments)


@pytest.mark.parametrize(
    "names", [capabilities.defaults(), capabilities.known(), ()], ids=["default", "all", "none"]
)
def test_the_default_policy(names: Iterable[str]) -> None:
    _, program = build(default_policy(frozenset(names), this_machine()))
    made = compact(program)
    assert len(made) < len(program) / 2
    assert_same(program, made, tries=3)


comparisons = st.builds(
    libseccomp.Comparison,
    st.integers(0, 5),
    st.integers(1, 7),
    st.sampled_from(ARGUMENTS),
    st.sampled_from(ARGUMENTS),
)
rules = st.tuples(
    st.sampled_from([ALLOW, 0x00050026, KILL, 0x7FFC0000]),
    st.sampled_from(["read", "write", "socket", "clone", "personality", "ipc", "futex", "clone3", "shmat"]),
    st.lists(comparisons, max_size=3, unique_by=lambda entry: entry.index),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(rules, max_size=12),
    st.sampled_from([["x86_64"], ["x86_64", "x86", "x32"], ["x86_64", "aarch64"]]),
)
def test_any_profile(wanted: list[tuple[int, str, list[libseccomp.Comparison]]], machines: list[str]) -> None:
    with libseccomp.Filter(REFUSE) as filter:
        for machine in machines:
            filter.add_architecture(machine)
        for action, name, entries in wanted:
            number = filter.resolve(name)
            assert number is not None
            try:
                filter.add_rule(action, number, entries)
            except OSError:
                continue  # it contradicts one before it
        program = filter.export()
    made = compact(program)
    assert len(made) <= len(program)
    assert_same(program, made, tries=2, seed=len(wanted))


def test_a_program_of_another_kind_is_left_alone() -> None:
    def program(*lines: tuple[int, int, int, int]) -> bytes:
        return b"".join(LINE.pack(*line) for line in lines)

    by_bit = program((LOAD, 0, 0, NUMBER), (0x45, 0, 1, 4), (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, KILL))
    masked = program((LOAD, 0, 0, NUMBER), (AND, 0, 0, 3), (EQUAL, 0, 0, 1), (RETURN, 0, 0, ALLOW))
    ranged = program((LOAD, 0, 0, MACHINE), (GREATER, 0, 0, 1), (RETURN, 0, 0, ALLOW))
    unknown = program((0x28, 0, 0, 0), (RETURN, 0, 0, ALLOW))
    for odd in (by_bit, masked, ranged, unknown):
        assert compact(odd) == odd


def test_far_answers_are_reached() -> None:
    """Several hundred ranges with tests of their own: farther apart than one comparison can jump."""
    lines: list[tuple[int, int, int, int]] = []
    for number in range(0, 1200, 3):
        lines += [
            (LOAD, 0, 0, NUMBER), (EQUAL, 0, 3, number),
            (LOAD, 0, 0, 16), (EQUAL, 1, 0, number), (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, 0x00050000 + number),
        ]  # fmt: skip
    lines = [(*line[:2], 4 if line[:3] == (EQUAL, 0, 3) else line[2], line[3]) for line in lines]
    program = b"".join(LINE.pack(*line) for line in [*lines, (RETURN, 0, 0, REFUSE)])
    made = compact(program)
    for number in range(1300):
        for argument in (number, number + 1):
            arguments = [argument, 0, 0, 0, 0, 0]
            assert answer(made, X86_64, number, arguments) == answer(program, X86_64, number, arguments)
