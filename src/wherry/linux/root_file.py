"""Files in the root of another process, which may have made of them what it likes."""

from __future__ import annotations

import errno
import os
import stat

from wherry.linux.openat2 import IN_ROOT, NO_MAGIC_LINKS, NO_OTHER_MOUNTS, openat2

REFUSED = frozenset({errno.EXDEV, errno.ELOOP, errno.EAGAIN})
NONE_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENXIO})
FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


def read_in_root(pid: int, path: str, limit: int) -> bytes | None:
    """A file as a process sees it; empty where there is none, where it is no file, or has ``limit`` bytes and more.
    None for one that is of another mount.

    Links lead nowhere out of its root, and no filesystem is asked that the process may have mounted and may not
    answer. OSError where there is no such process, or where the host cannot read.
    """
    root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        file = open_in(root, path)
    except OSError as error:
        if error.errno in NONE_THERE:
            return b""
        raise
    finally:
        os.close(root)
    if file is None:
        return None
    try:
        found = os.fstat(file)
        fits = stat.S_ISREG(found.st_mode) and found.st_size < limit
        return os.read(file, limit) if fits else b""
    finally:
        os.close(file)


def open_in(root: int, path: str) -> int | None:
    """A descriptor; None where the way leads over a mount or a magic link."""
    try:
        return openat2(root, os.fsencode(path), FLAGS, NO_OTHER_MOUNTS | NO_MAGIC_LINKS | IN_ROOT)
    except OSError as error:
        if error.errno in REFUSED:
            return None
        raise
