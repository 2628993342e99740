"""What this package was built from, and when; ``buildsystem/stamp.py`` writes it down."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec


class Build(msgspec.Struct, frozen=True):
    """The commit, and seconds since 1970; "" and 0 where nobody has written them down."""

    commit: str = ""
    time: int = 0


@cache
def build() -> Build:
    """Of the package that runs here."""
    try:
        return msgspec.json.decode((Path(__file__).parent / "_bin" / "build.json").read_bytes(), type=Build)
    except (OSError, msgspec.DecodeError):
        return Build()
