"""Making many files durable at once."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from wherry.linux import libc


def syncfs(paths: Iterable[Path]) -> None:
    """syncfs(2) on the filesystem of each path, once a filesystem. OSError with the path."""
    done: set[int] = set()
    for path in paths:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            device = os.fstat(fd).st_dev
            if device not in done:
                libc.call("syncfs", fd, about=str(path))
            done.add(device)
        finally:
            os.close(fd)


def fsync_directory(path: Path) -> None:
    """Make renames into and out of a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
