"""System calls that are newer than libseccomp, or than the policy, in a few instructions in front of its program.

Without them such a call would fail with EPERM, and a C library that tries the new call first would take that for
the answer instead of falling back to the old one. So: what the policy allows is allowed by number, and what is newer
than all that it names does not exist (ENOSYS), as in runc: who wrote it did not know of it. From 424 on all machines
number their calls alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
URETPROBE = 335  # x86_64 alone, below the common range
X86_64, I386, AARCH64, ARM = 0xC000003E, 0x40000003, 0xC00000B7, 0x40000028
MACHINES = (X86_64, I386, AARCH64, ARM)
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


def prefix(actions: Mapping[str, int], newest_known: int, horizons: Mapping[int, int]) -> bytes:
    """The program that goes in front. ``actions`` are those of calls that the library does not know; ``horizons`` has,
    by machine, the newest call that the policy names, and is empty for a policy that does not refuse by default.

    Empty where nothing needs it.
    """
    new = {NUMBERS[name]: action for name, action in actions.items() if NUMBERS.get(name, 0) > newest_known}
    if not new and not horizons and "uretprobe" not in actions:
        return b""
    return assemble([*dispatch(newest_known, horizons, actions.get("uretprobe")), *newer(new)])


def dispatch(newest_known: int, horizons: Mapping[int, int], uretprobe: int | None) -> Iterator[Line]:
    """By machine: calls above the policy's horizon are ``missing``, those above the library's go to ``new``."""
    yield Line(LOAD, MACHINE)
    for machine in MACHINES:
        yield Line(EQUAL, machine, then=f"machine{machine}")
    yield Line(JUMP, then="main")
    for machine in MACHINES:
        yield Line(LOAD, NUMBER, label=f"machine{machine}")
        if machine == X86_64:
            yield Line(AT_LEAST, X32_BIT, then="main")  # x32's calls are marked by a high bit
            if uretprobe is not None:
                yield Line(EQUAL, URETPROBE, then="uretprobe")
        if machine in horizons:
            yield Line(GREATER, horizons[machine], then="missing")
        yield Line(GREATER, newest_known, then="new", otherwise="main")
    if uretprobe is not None:
        yield Line(RETURN, uretprobe, label="uretprobe")


def newer(actions: Mapping[int, int]) -> Iterator[Line]:
    """The rules for calls by number. One that is not ruled on gets the policy's default."""
    label = "new"
    for number, action in sorted(actions.items()):
        yield Line(EQUAL, number, then=f"act{action}", label=label)
        label = ""
    yield Line(JUMP, then="main", label=label)
    for action in dict.fromkeys(actions.values()):
        yield Line(RETURN, action, label=f"act{action}")
    yield Line(RETURN, ENOSYS_ACTION, label="missing")


def assemble(lines: Sequence[Line]) -> bytes:
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
