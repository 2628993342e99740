"""What a container does without."""

from __future__ import annotations

from dataclasses import dataclass

from wherry.engine.preparation.step import EngineStep
from wherry.runtime.steps import Heading

# The protections, as steps and journals name them.
FILTER = "the system call filter"
MASKS = "the masks over /proc and /sys"
READ_ONLY_PATHS = "read-only paths in /proc"
CGROUPS = "the read-only mount of cgroups"


@dataclass(frozen=True, slots=True)
class LeftOut(EngineStep):
    """Something that a container usually has and this one does not, such as a protection: nothing is done, which is
    worth saying."""

    name, heading = "left-out", Heading.RIGHTS
    identity = "what"
    compared = True
    what: str

    def describe(self) -> str:
        return f"leave out {self.what}"
