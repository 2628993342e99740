"""System calls that are newer than libseccomp, in a few instructions in front of its program.

Without them such a call would fail with EPERM, and a C library that tries the new call first would take that for
the answer instead of falling back to the old one. So: what the policy allows is allowed by number, and what nobody
knows yet does not exist (ENOSYS), as in runc. From 424 on all machines number their calls alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wherry.linux.classic_bpf import AT_LEAST, EQUAL, GREATER, JUMP, LINE, LOAD, MACHINE, NUMBER, RETURN

NUMBERS = {
    "set_mempolicy_home_node": 450,
    "cachestat": 451,
    "fchmodat2": 452,
    "map_shadow_stack": 453,
    "futex_wake": 454,
    "futex_wait": 455,
    "futex_requeue": 456,
    "statmount": 457,
    "listmount": 458,
    "lsm_get_self_attr": 459,
    "lsm_set_self_attr": 460,
    "lsm_list_modules": 461,
    "mseal": 462,
    "setxattrat": 463,
    "getxattrat": 464,
    "listxattrat": 465,
    "removexattrat": 466,
    "open_tree_attr": 467,
    "file_getattr": 468,
    "file_setattr": 469,
}
NEWEST = max(NUMBERS.values())
URETPROBE = 335  # x86_64 alone, below the common range
X86_64, I386, AARCH64, ARM = 0xC000003E, 0x40000003, 0xC00000B7, 0x40000028
X32_BIT = 0x40000000
ENOSYS_ACTION = 0x00050026


@dataclass(frozen=True, slots=True)
class Line:
    """An instruction whose jumps are labels; "" is the next line."""

    code: int
    value: int = 0
    then: str = ""
    otherwise: str = ""
    label: str = ""


def prefix(actions: Mapping[str, int], newest_known: int, *, strict: bool) -> bytes:
    """The program that goes in front. ``actions`` are those of calls that the library does not know.

    Empty where nothing needs it: no such rules, and a policy that does not refuse by default.
    """
    new = {NUMBERS[name]: action for name, action in actions.items() if name in NUMBERS}
    if not new and not strict and "uretprobe" not in actions:
        return b""
    return assemble([*dispatch(newest_known, actions.get("uretprobe")), *newer(new, newest_known, strict)])


def dispatch(newest_known: int, uretprobe: int | None) -> list[Line]:
    """Send calls above the library's horizon to ``new``, by machine; x32 calls are marked by a high bit."""
    special = [Line(EQUAL, URETPROBE, then="uretprobe")] if uretprobe is not None else []
    answer = [Line(RETURN, uretprobe, label="uretprobe")] if uretprobe is not None else []
    return [
        Line(LOAD, MACHINE),
        Line(EQUAL, X86_64, then="x86_64"),
        *(Line(EQUAL, machine, then="other") for machine in (I386, AARCH64, ARM)),
        Line(JUMP, then="main"),
        Line(LOAD, NUMBER, label="other"),
        Line(GREATER, newest_known, then="new", otherwise="main"),
        Line(LOAD, NUMBER, label="x86_64"),
        Line(AT_LEAST, X32_BIT, then="main"),
        *special,
        Line(GREATER, newest_known, then="new", otherwise="main"),
        *answer,
    ]


def newer(actions: Mapping[int, int], newest_known: int, strict: bool) -> list[Line]:
    """The rules for calls by number. One that is known to us but not ruled on gets the policy's default."""
    wanted = {number: action for number, action in sorted(actions.items()) if number > newest_known}
    tests = [Line(EQUAL, number, then=f"act{action}") for number, action in wanted.items()]
    horizon = max(NEWEST, newest_known)
    beyond = (
        [Line(GREATER, horizon, then="missing", otherwise="main")] if strict else [Line(JUMP, then="main")]
    )
    first, *rest = [*tests, *beyond]
    lines = [Line(first.code, first.value, first.then, first.otherwise, "new"), *rest]
    answers = [Line(RETURN, action, label=f"act{action}") for action in dict.fromkeys(wanted.values())]
    return [*lines, *answers, Line(RETURN, ENOSYS_ACTION, label="missing")]


def assemble(lines: list[Line]) -> bytes:
    """``struct sock_filter`` array; the label ``main`` is what follows the program."""
    places = {line.label: index for index, line in enumerate(lines) if line.label} | {"main": len(lines)}

    def distance(index: int, label: str) -> int:
        return places[label] - index - 1 if label else 0

    def encode(index: int, line: Line) -> bytes:
        if line.code == JUMP:
            return LINE.pack(JUMP, 0, 0, distance(index, line.then))
        then, otherwise = distance(index, line.then), distance(index, line.otherwise)
        return LINE.pack(line.code, then, otherwise, line.value)

    return b"".join(encode(index, line) for index, line in enumerate(lines))
