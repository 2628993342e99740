"""Writing to descriptors that may take less than they are given: files, unnamed or not. write(2)."""

from __future__ import annotations

import os


def write_all(descriptor: int, content: bytes) -> None:
    """Write the whole content, however few bytes the kernel takes at once."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
