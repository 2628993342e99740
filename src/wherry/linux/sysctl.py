"""Kernel parameters below /proc/sys. Those of ``net`` are of the calling thread's network namespace."""

from __future__ import annotations

import os

ROOT = "/proc/sys/"


def read(key: str) -> str:
    """The value of ``net/ipv4/ip_forward`` (with slashes: interface names may hold dots)."""
    with open(ROOT + key, encoding="ascii") as file:
        return file.read().strip()


def write(key: str, value: str) -> None:
    fd = os.open(ROOT + key, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode("ascii"))
    except OSError as error:
        raise OSError(error.errno, error.strerror, ROOT + key) from None
    finally:
        os.close(fd)


def ensure(key: str, value: str) -> bool:
    """Write only where the value differs (so that a read-only /proc/sys is no trouble); whether it did."""
    if read(key) == value:
        return False
    write(key, value)
    return True
