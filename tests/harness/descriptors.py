"""The descriptors that this process has open."""

from __future__ import annotations

import gc
import os


def open_now() -> set[str]:
    """Their numbers."""
    return set(os.listdir("/proc/self/fd"))


def open_before() -> set[str]:
    """The same, without what earlier tests have left, which would be closed at any moment."""
    gc.collect()
    return open_now()
