"""inotify(7): to be told that something in a directory has changed."""

from __future__ import annotations

import os

from wherry.linux import libc

MODIFY, MOVED_FROM, MOVED_TO, CREATE, CLOSE_WRITE = 0x2, 0x40, 0x80, 0x100, 0x8
CHANGES = MODIFY | MOVED_FROM | MOVED_TO | CREATE
READ_BYTES = 64 * 1024


def watch_directory(path: str, mask: int = CHANGES) -> int:
    """A descriptor, not blocking, that becomes readable when something in the directory changes. OSError with it."""
    descriptor = libc.call("inotify_init1", os.O_NONBLOCK | os.O_CLOEXEC, about="inotify")
    try:
        libc.call("inotify_add_watch", descriptor, os.fsencode(path), mask, about=path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def drain(descriptor: int) -> None:
    """Take all events, whatever they say."""
    try:
        while os.read(descriptor, READ_BYTES):
            pass
    except BlockingIOError:
        return
