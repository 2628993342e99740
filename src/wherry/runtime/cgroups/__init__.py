"""Control groups: both versions of the hierarchy behind one interface."""

from __future__ import annotations

import os

from wherry.errors import Unavailable
from wherry.runtime.cgroups.interface import BlockOperation, CgroupEntry, Cgroups, CgroupSteps, Usage
from wherry.runtime.cgroups.v1 import CgroupsV1, detect_v1
from wherry.runtime.cgroups.v2 import CgroupsV2, detect_v2

__all__ = [
    "BlockOperation",
    "CgroupEntry",
    "CgroupSteps",
    "Cgroups",
    "CgroupsV1",
    "CgroupsV2",
    "Usage",
    "detect",
]


def detect(root: str = "/sys/fs/cgroup") -> Cgroups:
    """The host's hierarchy. Where both versions are mounted, controllers sit in version 1. Unavailable for none."""
    if os.path.exists(f"{root}/cgroup.controllers"):
        return detect_v2(root)
    found = detect_v1(root)
    if not found.controllers:
        raise Unavailable(f"no control groups are mounted on {root}; the host has to mount them")
    return found
