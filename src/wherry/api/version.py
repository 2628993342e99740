"""The versions of the Engine API that are spoken."""

from __future__ import annotations

Version = tuple[int, int]

MIN_VERSION: Version = (1, 24)
MAX_VERSION: Version = (1, 51)


def show_version(version: Version) -> str:
    """``(1, 44)`` as ``1.44``."""
    return f"{version[0]}.{version[1]}"
