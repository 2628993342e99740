"""How a container ended: what its monitor says, and the file that it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

LOST_EXIT_CODE = 137


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How a container's first process ended. ``finished_ns`` counts from 1970; ``error``: what is to be said of it;
    ``known``: whether the code is its own, or stands for one that nobody was told."""

    code: int
    oom: bool
    finished_ns: int
    error: str = ""
    known: bool = True


def read_exit_file(path: Path) -> ExitStatus | None:
    """What a monitor left behind, or None where there is nothing (yet)."""
    try:
        code, oom, finished = path.read_text().split()
        return ExitStatus(int(code), oom != "0", int(finished))
    except (FileNotFoundError, ValueError):
        return None
