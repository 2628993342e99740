"""The capabilities that this process has. capabilities(7), proc(5)."""

from __future__ import annotations

import errno

from wherry.linux import kernel_file
from wherry.linux.libc import failure

STATUS = "/proc/self/status"


def bounding_set() -> int:
    """Bit mask of the bounding set: what no child of ours can exceed."""
    return status_field("CapBnd")


def status_field(name: str) -> int:
    for line in kernel_file.read(STATUS).splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1], 16)
    raise failure(errno.ENODATA, STATUS, name)
