"""Files by which the kernel is asked and told: in /proc and /sys, in cgroups. Every OSError has the path."""

from __future__ import annotations

import os
import sys

from wherry.linux.libc import failure

CHUNK = 1 << 16


def read_bytes(path: str, *, dir_fd: int | None = None, limit: int = sys.maxsize) -> bytes:
    """A file, whole or up to a limit, by as few calls as it takes."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        chunks = []
        while chunk := os.read(file, min(CHUNK, limit)):
            chunks.append(chunk)
            limit -= len(chunk)
        return b"".join(chunks)
    except OSError as error:
        raise failure(error.errno or 0, path) from None
    finally:
        os.close(file)


def read(path: str, *, dir_fd: int | None = None) -> str:
    """The whole text; what is no UTF-8 in it (names of files are bytes) is replaced."""
    return read_bytes(path, dir_fd=dir_fd).decode("utf-8", "replace")


def write(path: str, value: str, *, dir_fd: int | None = None) -> None:
    """One write(2) of a whole value, as such files want it."""
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        os.write(file, value.encode())
    except OSError as error:
        raise failure(error.errno or 0, path) from None
    finally:
        os.close(file)
