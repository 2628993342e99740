"""inotify(7): to be told that something in a directory has changed."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

from wherry.linux import libc

MODIFY, MOVED_FROM, MOVED_TO, CREATE = 0x2, 0x40, 0x80, 0x100
CHANGES = MODIFY | MOVED_FROM | MOVED_TO | CREATE
READ_BYTES = 64 * 1024
EVENT = struct.Struct("iIII")  # watch, mask, cookie, bytes of the name behind it
OVERFLOW = -1  # in place of a watch: events were lost


def instance() -> int:
    """A descriptor, not blocking, that becomes readable when something has changed in what it watches. OSError."""
    return libc.call("inotify_init1", os.O_NONBLOCK | os.O_CLOEXEC, about="inotify")


def add(descriptor: int, directory: str) -> int:
    """Watch a directory; the watch, which is the same for the same directory. OSError with its path."""
    return libc.call("inotify_add_watch", descriptor, os.fsencode(directory), CHANGES, about=directory)


def remove(descriptor: int, watch: int) -> None:
    """Watch it no more. OSError where the kernel has taken the watch away, with its directory."""
    libc.call("inotify_rm_watch", descriptor, watch, about="inotify")


def changed(descriptor: int) -> set[int]:
    """The watches in which something has changed since the last call, or OVERFLOW among them."""
    found = set[int]()
    try:
        while data := os.read(descriptor, READ_BYTES):
            found.update(watches_of(data))
    except BlockingIOError:
        return found
    return found


def watches_of(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        watch, _, _, length = EVENT.unpack_from(data, at)
        yield watch
        at += EVENT.size + length
