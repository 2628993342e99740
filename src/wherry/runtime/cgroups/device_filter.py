"""Device rules as a BPF program of type CGROUP_DEVICE, for version 2 cgroups. kernel, uapi/linux/bpf.h.

The kernel passes ``struct bpf_cgroup_dev_ctx``: access type (low half: 1 block, 2 character; high half: 1 mknod,
2 read, 4 write), major, minor. The program answers 1 to allow.
"""

from __future__ import annotations

import struct

from wherry.runtime.cgroups.device_rules import EVERYTHING, DeviceAccess, Key
from wherry.values.devices import ANY

# opcodes: class | size or operation | source
LOAD_WORD = 0x61  # LDX MEM W
MOVE_REGISTER, MOVE_VALUE = 0xBC, 0xB4  # ALU (32 bit)
AND_VALUE, SHIFT_RIGHT = 0x54, 0x74
JUMP_NOT_EQUAL = 0x56  # JMP32 JNE K
EXIT = 0x95

ACCESS, MAJOR, MINOR, KIND, SCRATCH = 3, 4, 5, 2, 1  # registers; 1 is the context until all is loaded
RESULT = 0
BLOCK, CHARACTER = 1, 2
BITS = {"m": 1, "r": 2, "w": 4}


def assemble(access: DeviceAccess) -> bytes:
    """The whole program, eight bytes an instruction."""
    blocks = (exception(key, letters, allow=not access.allow) for key, letters in access.exceptions)
    return prologue() + b"".join(blocks) + answer(access.allow)


def instruction(code: int, target: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    return struct.pack("<BBhi", code, source << 4 | target, offset, value)


def prologue() -> bytes:
    return b"".join(
        (
            instruction(LOAD_WORD, KIND, 1, 0),
            instruction(MOVE_REGISTER, ACCESS, KIND),
            instruction(AND_VALUE, KIND, value=0xFFFF),
            instruction(SHIFT_RIGHT, ACCESS, value=16),
            instruction(LOAD_WORD, MAJOR, 1, 4),
            instruction(LOAD_WORD, MINOR, 1, 8),
        )
    )


def answer(allow: bool) -> bytes:
    return instruction(MOVE_VALUE, RESULT, value=int(allow)) + instruction(EXIT)


def exception(key: Key, letters: str, *, allow: bool) -> bytes:
    """Answer where a device and the access fit; else fall through to what follows.

    To be allowed, all that is asked must be listed; to be denied, any of it is enough.
    """
    kind, major, minor = key
    tests = [(KIND, BLOCK if kind == "b" else CHARACTER)]
    tests += [(register, value) for register, value in ((MAJOR, major), (MINOR, minor)) if value != ANY]
    checks = [] if letters == EVERYTHING else access_test(letters, allow)
    length = len(tests) + len(checks) + 2
    jumps = [
        instruction(JUMP_NOT_EQUAL, register, 0, length - i - 1, value)
        for i, (register, value) in enumerate(tests)
    ]
    return b"".join((*jumps, *checks, answer(allow)))


def access_test(letters: str, allow: bool) -> list[bytes]:
    """Two before the jump, which goes over the answer (two instructions)."""
    listed = sum(BITS[letter] for letter in letters)
    if allow:  # what is asked beyond the list must be nothing
        jump = instruction(JUMP_NOT_EQUAL, SCRATCH, 0, 2, 0)
        mask = ~listed & 0x7
    else:
        jump = instruction(0x16, SCRATCH, 0, 2, 0)  # JMP32 JEQ K: nothing of what is asked is listed
        mask = listed
    return [instruction(MOVE_REGISTER, SCRATCH, ACCESS), instruction(AND_VALUE, SCRATCH, value=mask), jump]
