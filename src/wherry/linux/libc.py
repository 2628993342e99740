"""The C library, for the few calls that Python does not have; and the one way from an errno to an error.

Whatever fails in this package is an ``OSError`` with its errno, whose ``filename`` is the path, or says in words what
the call was about.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import c_char_p, c_int, c_long, c_uint32, c_ulong, c_void_p
from functools import cache

SIGNATURES = {
    "free": (None, (c_void_p,)),
    "inotify_add_watch": (c_int, (c_int, c_char_p, c_uint32)),
    "inotify_init1": (c_int, (c_int,)),
    "inotify_rm_watch": (c_int, (c_int, c_int)),
    "mount": (c_int, (c_char_p, c_char_p, c_char_p, c_ulong, c_char_p)),
    "ptrace": (c_long, (c_long, c_long, c_void_p, c_void_p)),
    "setns": (c_int, (c_int, c_int)),
    "syncfs": (c_int, (c_int,)),
    "syscall": (c_long, (c_long, *[c_void_p] * 5)),
    "umount2": (c_int, (c_char_p, c_int)),
    "unshare": (c_int, (c_int,)),
}


@cache
def library() -> ctypes.CDLL:
    """The library that this process is linked with: one handle, with the signatures of what is called."""
    lib = ctypes.CDLL(None, use_errno=True)
    for name, (result, arguments) in SIGNATURES.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


def call(name: str, *arguments: object, about: str) -> int:
    """Call a function; its result, or the OSError where that is negative."""
    result: int = getattr(library(), name)(*arguments)
    if result < 0:
        raise failure(ctypes.get_errno(), about)
    return result


def failure(number: int, about: str, said: str = "") -> OSError:
    """The error of an errno: with a path or words, and with what the kernel or a library ``said`` beside it."""
    reason = os.strerror(number)
    return OSError(number, f"{reason} ({said})" if said else reason, about)
