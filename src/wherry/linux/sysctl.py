"""Kernel parameters below /proc/sys. Those of ``net`` are of the calling thread's network namespace."""

from __future__ import annotations

from wherry.linux import kernel_file

ROOT = "/proc/sys/"


def read(key: str) -> str:
    """The value of ``net/ipv4/ip_forward`` (with slashes: interface names may hold dots)."""
    return kernel_file.read(ROOT + key).strip()


def write(key: str, value: str) -> None:
    """Set a value. OSError with the path."""
    kernel_file.write(ROOT + key, value)


def ensure(key: str, value: str) -> bool:
    """Write only where the value differs (so that a read-only /proc/sys is no trouble); whether it did."""
    if read(key) == value:
        return False
    write(key, value)
    return True
