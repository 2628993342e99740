"""What an engine has to itself. One that starts sweeps away what no container of its own owns, so that two with a root
or a parent cgroup in common would kill each other's containers.

The bridge is claimed by its driver (``network/drivers/bridge/claim.py``), a socket by who listens.
"""

from __future__ import annotations

import fcntl
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from wherry.engine.config import EngineConfig
from wherry.errors import Unavailable
from wherry.runtime.cgroups import Cgroups
from wherry.runtime.cgroups.claim import ParentClaim

SHARED = "two engines on one host must differ in --data-root, --exec-root, --cgroup-parent and --bridge"


def lock_roots(config: EngineConfig) -> ExitStack:
    """Lock data root and exec root until the stack is closed or the process ends. Unavailable, with the remedy."""
    with ExitStack() as held:
        held.enter_context(locked(config.data_root, "--data-root"))
        if not config.exec_root.samefile(config.data_root):
            file = held.enter_context(locked(config.exec_root, "--exec-root"))
            check_owner(file, config)
            own(file, config)
        return held.pop_all()


def locked(folder: Path, option: str) -> TextIO:
    """Only one engine at a time in a folder."""
    file = open(folder / "lock", "a+")  # noqa: SIM115  (held for the engine's life)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        what = option.strip("-").replace("-", " ")
        raise Unavailable(
            f"another wherryd uses the {what} {folder}: stop it, or choose another {option}; {SHARED}"
        ) from None
    return file


def check_owner(file: TextIO, config: EngineConfig) -> None:
    """Unavailable where an exec root has containers of an engine that is stopped: they may run still."""
    file.seek(0)
    owner = file.read()
    if owner and is_other(Path(owner), config.data_root) and any(config.runtime_dir.iterdir()):
        raise Unavailable(
            f"the exec root {config.exec_root} has containers of the engine with the data root {owner}: "
            f"choose another --exec-root; {SHARED}"
        )


def is_other(owner: Path, data_root: Path) -> bool:
    """Whether there is such a directory, and it is not the same by another name."""
    return owner.is_dir() and not owner.samefile(data_root)


def own(file: TextIO, config: EngineConfig) -> None:
    """Note in an exec root's lock whose it is."""
    file.seek(0)
    if file.read() != str(config.data_root):
        file.truncate(0)
        file.write(str(config.data_root))
        file.flush()


def parent_claim(cgroups: Cgroups, parent: str) -> ParentClaim:
    """The claim of a parent, to be taken once that is there: by its directory in the hierarchy that comes first."""
    return ParentClaim(parent, min(cgroups.directories(parent)))
