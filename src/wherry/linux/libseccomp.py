"""libseccomp, as far as compiling a filter to BPF needs it. seccomp_init(3) and its kin."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Sequence
from ctypes import POINTER, Structure, c_char_p, c_int, c_uint, c_uint32, c_uint64, c_void_p
from functools import cache
from types import TracebackType

from wherry.linux import libc

OPTIMIZE = 8  # SCMP_FLTATR_CTL_OPTIMIZE
BINARY_TREE = 2
UNKNOWN = -1
FIRST_COMMON, LAST_LOOKED_AT = 424, 600  # from 424 on, numbers are the same on every machine


class Comparison(Structure):
    """``struct scmp_arg_cmp``."""

    _fields_ = [("index", c_uint), ("operator", c_int), ("value", c_uint64), ("value_two", c_uint64)]
    index: int
    operator: int
    value: int
    value_two: int


@cache
def library() -> ctypes.CDLL:
    """The shared library, with its signatures. OSError where it is not installed."""
    lib = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    signatures: dict[str, tuple[object, Sequence[object]]] = {
        "seccomp_init": (c_void_p, [c_uint32]),
        "seccomp_release": (None, [c_void_p]),
        "seccomp_attr_set": (c_int, [c_void_p, c_int, c_uint32]),
        "seccomp_arch_add": (c_int, [c_void_p, c_uint32]),
        "seccomp_arch_native": (c_uint32, []),
        "seccomp_arch_resolve_name": (c_uint32, [c_char_p]),
        "seccomp_syscall_resolve_name": (c_int, [c_char_p]),
        "seccomp_syscall_resolve_name_arch": (c_int, [c_uint32, c_char_p]),
        "seccomp_syscall_resolve_num_arch": (c_void_p, [c_uint32, c_int]),
        "seccomp_rule_add_array": (c_int, [c_void_p, c_uint32, c_int, c_uint, POINTER(Comparison)]),
        "seccomp_export_bpf": (c_int, [c_void_p, c_int]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


@cache
def newest() -> int:
    """The highest system call number that the library knows for this machine."""
    lib = library()
    native, free = lib.seccomp_arch_native(), libc.library().free
    known = FIRST_COMMON
    for number in range(FIRST_COMMON, LAST_LOOKED_AT):
        name = lib.seccomp_syscall_resolve_num_arch(native, number)
        if name:
            known = number
            free(name)
    return known


def number(name: str, machine: int = 0) -> int:
    """A call's number on this machine, or on that of an AUDIT_ARCH_*, as the library has it; UNKNOWN for a name that it
    does not know, and other negative ones for a call that the machine does not have."""
    lib = library()
    found: int = (
        lib.seccomp_syscall_resolve_name_arch(machine, name.encode())
        if machine
        else lib.seccomp_syscall_resolve_name(name.encode())
    )
    return found


class Filter:
    """A filter under construction. A context manager; the library's errors become OSError."""

    def __init__(self, default_action: int) -> None:
        self._lib = library()
        self._context = self._lib.seccomp_init(default_action)
        if not self._context:
            raise libc.failure(errno.EINVAL, "libseccomp", "the default action")
        self._check(self._lib.seccomp_attr_set(self._context, OPTIMIZE, BINARY_TREE), "optimize")

    def __enter__(self) -> Filter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lib.seccomp_release(self._context)

    def add_architecture(self, name: str) -> bool:
        """``x86_64``, ``x86``, ``aarch64`` …; False for a name that the library does not know."""
        token = self._lib.seccomp_arch_resolve_name(name.encode())
        if token == 0:
            return False
        self._check(self._lib.seccomp_arch_add(self._context, token), name, ignore=errno.EEXIST)
        return True

    def resolve(self, name: str) -> int | None:
        """A call's number in the library's own numbering (negative for calls of other machines), or None."""
        found = number(name)
        return None if found == UNKNOWN else found

    def add_rule(self, action: int, number: int, comparisons: Sequence[Comparison] = ()) -> None:
        """What to do with a call whose arguments compare so; one that is there already is fine."""
        array = (Comparison * len(comparisons))(*comparisons)
        result = self._lib.seccomp_rule_add_array(self._context, action, number, len(comparisons), array)
        self._check(result, f"rule for call {number}", ignore=errno.EEXIST)

    def export(self) -> bytes:
        """The program, as an array of ``struct sock_filter``."""
        file = os.memfd_create("seccomp", os.MFD_CLOEXEC)
        try:
            self._check(self._lib.seccomp_export_bpf(self._context, file), "export")
            return os.pread(file, os.fstat(file).st_size, 0)
        finally:
            os.close(file)

    def _check(self, result: int, what: str, ignore: int = 0) -> None:
        if result < 0 and -result != ignore:
            raise libc.failure(-result, "libseccomp", what)
