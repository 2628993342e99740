"""The cgroup below which a container's own is made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from wherry.engine.preparation.step import EngineStep, Host, Launch
from wherry.runtime.steps import Heading


@dataclass(frozen=True, slots=True)
class ParentCgroup(EngineStep):
    """Have the cgroup that the container's own is made in; one that is there is fine. It stays: others are in it."""

    name, heading = "parent-cgroup", Heading.LIMITS
    path: str  # the same below every controller

    def describe(self) -> str:
        return f"make sure that the cgroup /{self.path} exists, as the parent of the container's own"

    async def do(self, host: Host, launch: Launch) -> Self:
        host.cgroups.ensure(self.path)
        return self

    def look(self, host: Host) -> bool:
        above, _, name = self.path.strip("/").rpartition("/")
        return name in host.cgroups.names(above)


def have_parents_again(steps: Iterable[EngineStep], host: Host) -> None:
    """Make anew what this daemon believes to have made before."""
    for step in steps:
        if isinstance(step, ParentCgroup):
            host.cgroups.prepare(step.path)
