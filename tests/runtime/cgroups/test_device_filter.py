"""Device rules, and the BPF program that they become: run by a small interpreter, and loaded into the kernel."""

import ctypes
import os
import struct
from itertools import product

import pytest

from wherry.runtime import oci_spec as oci
from wherry.runtime.cgroups.device_filter import BITS, assemble
from wherry.runtime.cgroups.device_rules import DeviceAccess, reduce, with_defaults
from wherry.runtime.devices import docker_rules, parse_rule

KINDS = {"b": 1, "c": 2}


def run(program: bytes, kind: str, major: int, minor: int, access: str) -> bool:
    """Just the instructions that are used. kernel, Documentation/bpf/standardization/instruction-set."""
    context = struct.pack("<III", sum(BITS[c] for c in access) << 16 | KINDS[kind], major, minor)
    code = [struct.unpack_from("<BBhi", program, at) for at in range(0, len(program), 8)]
    registers, at = [0] * 11, 0
    while True:
        opcode, both, offset, value = code[at]
        target, source = both & 15, both >> 4
        at += 1
        if opcode == 0x61:
            assert source == 1
            registers[target] = struct.unpack_from("<I", context, offset)[0]
        elif opcode == 0xBC:
            registers[target] = registers[source]
        elif opcode == 0xB4:
            registers[target] = value & 0xFFFFFFFF
        elif opcode == 0x54:
            registers[target] &= value & 0xFFFFFFFF
        elif opcode == 0x74:
            registers[target] >>= value
        elif opcode == 0x56:
            at += offset if registers[target] != value & 0xFFFFFFFF else 0
        elif opcode == 0x16:
            at += offset if registers[target] == value & 0xFFFFFFFF else 0
        elif opcode == 0x95:
            return bool(registers[0])
        else:
            raise AssertionError(f"opcode {opcode:#x}")


def load(program: bytes) -> int:
    """BPF_PROG_LOAD: the kernel's verifier has the last word. Returns 0 or an errno."""
    buffer, log, license = (
        ctypes.create_string_buffer(program),
        ctypes.create_string_buffer(65536),
        b"Apache\0",
    )
    text = ctypes.create_string_buffer(license)
    attributes = struct.pack(
        "<IIQQIIQ",
        15,
        len(program) // 8,
        ctypes.addressof(buffer),
        ctypes.addressof(text),
        1,
        len(log),
        ctypes.addressof(log),
    ).ljust(128, b"\0")
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.syscall(321, 5, ctypes.create_string_buffer(attributes, 128), 128)
    if descriptor >= 0:
        os.close(descriptor)
        return 0
    error = ctypes.get_errno()
    if error == 22 and log.value:
        raise AssertionError(log.value.decode())
    return error


def test_later_rules_win():
    access = reduce([oci.DeviceRule(allow=False), parse_rule("c 1:3 rw"), parse_rule("c 1:3 m")])
    assert access == DeviceAccess(False, ((("c", 1, 3), "rwm"),))
    taken = reduce(
        [
            oci.DeviceRule(allow=False),
            parse_rule("c 1:3 rwm"),
            oci.DeviceRule(allow=False, type="c", major=1, minor=3, access="w"),
        ]
    )
    assert taken.exceptions == ((("c", 1, 3), "rm"),)
    assert reduce([]).unrestricted
    assert reduce([oci.DeviceRule(allow=False), oci.DeviceRule(allow=True)]).unrestricted


def test_docker_default_program():
    program = assemble(with_defaults(docker_rules()))
    assert run(program, "c", 1, 3, "rw")
    assert run(program, "c", 136, 77, "rwm")
    assert run(program, "b", 8, 0, "m")
    assert not run(program, "b", 8, 0, "r")
    assert not run(program, "b", 8, 0, "rm")
    assert not run(program, "c", 10, 229, "rw")
    assert run(program, "c", 10, 229, "m")
    assert not run(program, "b", 1, 3, "rw")
    assert not run(program, "c", 1, 1, "r")


def test_denied_exceptions():
    access = DeviceAccess(True, ((("c", 5, -1), "w"), (("b", -1, -1), "rwm")))
    program = assemble(access)
    assert run(program, "c", 5, 1, "r")
    assert not run(program, "c", 5, 1, "rw")
    assert not run(program, "b", 9, 9, "r")
    assert run(program, "c", 4, 1, "w")


def test_every_access_is_judged_as_the_rules_say():
    letters = ["r", "w", "m", "rw", "rm", "wm", "rwm"]
    for allow, granted in product((True, False), letters):
        program = assemble(DeviceAccess(allow, ((("c", 7, 8), granted),)))
        for asked in letters:
            fits = set(asked) <= set(granted) if not allow else not set(asked) & set(granted)
            assert run(program, "c", 7, 8, asked) == fits, (allow, granted, asked)


def test_the_kernel_takes_it():
    if not os.path.exists("/sys/fs/bpf") and os.geteuid() != 0:
        pytest.skip("needs root and BPF")
    for access in (
        with_defaults(docker_rules()),
        DeviceAccess(True, ((("c", 5, -1), "w"), (("b", -1, -1), "rwm"))),
        DeviceAccess(False),
    ):
        error = load(assemble(access))
        if error in (1, 38):  # EPERM, ENOSYS
            pytest.skip("this kernel lets nobody load BPF programs")
        assert error == 0
