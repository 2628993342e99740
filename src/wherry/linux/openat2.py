"""openat2(2), which Python does not have: a whole path opened at once, with rules for every step of the way."""

from __future__ import annotations

import ctypes
import os
import struct

from wherry.linux import libc

NUMBER = 437  # on every architecture
NO_OTHER_MOUNTS, NO_MAGIC_LINKS, NO_SYMLINKS, BENEATH, IN_ROOT = 0x01, 0x02, 0x04, 0x08, 0x10


def openat2(directory: int, path: bytes, flags: int, resolve: int) -> int:
    """A descriptor. OSError; ELOOP and EXDEV are what the rules in ``resolve`` refuse."""
    how = ctypes.create_string_buffer(struct.pack("QQQ", flags, 0, resolve))
    arguments = (NUMBER, directory, path, ctypes.addressof(how), struct.calcsize("QQQ"), None)
    return libc.call("syscall", *arguments, about=os.fsdecode(path))
