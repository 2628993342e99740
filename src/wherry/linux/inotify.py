"""inotify(7): to be told that something in a directory has changed."""

from __future__ import annotations

import ctypes
import os
from functools import cache

MODIFY, MOVED_FROM, MOVED_TO, CREATE, CLOSE_WRITE = 0x2, 0x40, 0x80, 0x100, 0x8
CHANGES = MODIFY | MOVED_FROM | MOVED_TO | CREATE
READ_BYTES = 64 * 1024


@cache
def libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def watch_directory(path: str, mask: int = CHANGES) -> int:
    """A descriptor, not blocking, that becomes readable when something in the directory changes."""
    descriptor: int = libc().inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        raise last_error("inotify")
    if libc().inotify_add_watch(descriptor, os.fsencode(path), mask) < 0:
        error = last_error(path)
        os.close(descriptor)
        raise error
    return descriptor


def last_error(path: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), path)


def drain(descriptor: int) -> None:
    """Take all events, whatever they say."""
    try:
        while os.read(descriptor, READ_BYTES):
            pass
    except BlockingIOError:
        return
