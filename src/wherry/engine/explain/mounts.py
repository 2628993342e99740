"""The mounts that a plan leads to, and how they stand to those that are there. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from wherry.linux.mountinfo import MountEntry
from wherry.runtime.steps import (
    Bind,
    BindRoot,
    Console,
    Mask,
    Mount,
    MountFlag,
    OverlayRoot,
    OwnDirectory,
    Plan,
    ReadOnlyPath,
    ReadOnlyRoot,
    Step,
)
from wherry.values.paths import cleaned

CONSOLE = "/dev/console"
NULL_DEVICE = "/null"
READ_ONLY_BIT, RECURSIVE_BIT = int(MountFlag.RDONLY), int(MountFlag.REC)  # enum flags are slow to combine
RESTRICTIONS = ((2, "nosuid"), (4, "nodev"), (8, "noexec"))  # MS_* of mount(2)


class How(Enum):
    """Which kind of step a mount comes from."""

    ROOT = "root"
    MOUNT = "mount"
    BIND = "bind"
    MASK = "mask"
    READ_ONLY = "read-only"
    CONSOLE = "console"


OPTIONAL = frozenset({How.MASK, How.READ_ONLY})  # not there where the path is not


@dataclass(frozen=True, slots=True)
class PlannedMount:
    """A mount as the plan has it. ``restrictions`` are among nosuid, nodev, noexec; "" matches any ``fstype``."""

    how: How
    target: str
    cause: str
    fstype: str = ""
    source: str = ""
    upper: str = ""
    lower: str = ""  # names of the layers, as overlayfs shows them
    place: str = ""  # of the root: where on the host it was put together
    read_only: bool = False
    recursive: bool = False
    restrictions: frozenset[str] = frozenset()

    @property
    def optional(self) -> bool:
        return self.how in OPTIONAL

    def describe(self) -> str:
        """In the words that mountinfo would have."""
        what = {How.MASK: "mask", How.READ_ONLY: "read-only", How.CONSOLE: "terminal"}.get(
            self.how, self.fstype
        )
        return f"{what or self.source} {'ro' if self.read_only else 'rw'}".strip()


# ---------------------------------------------------------------- a plan to mounts


def planned_mounts(plan: Plan) -> list[PlannedMount]:
    """What the plan's steps come to, in the order of mounting."""
    mounts: list[PlannedMount] = []
    for step in plan.steps:
        if isinstance(step, ReadOnlyPath):
            mounts = made_read_only(mounts, step)
        elif isinstance(step, ReadOnlyRoot):
            mounts = [
                replace(m, read_only=True, cause=str(step.cause)) if m.how is How.ROOT else m for m in mounts
            ]
        else:
            mounts += planned_mount(step)
    return mounts


def planned_mount(step: Step) -> Iterator[PlannedMount]:
    cause = str(step.cause)
    match step:
        case OverlayRoot():
            yield PlannedMount(
                How.ROOT,
                "/",
                cause,
                "overlay",
                upper=step.upper,
                lower=":".join(step.lower),
                place=step.target,
            )
        case BindRoot():
            yield PlannedMount(How.ROOT, "/", cause, source=step.source, recursive=True)
        case Mount():
            yield PlannedMount(
                How.MOUNT,
                normal(step.target),
                cause,
                step.fstype,
                step.source,
                read_only=bool(int(step.flags) & READ_ONLY_BIT),
                restrictions=restrictions(int(step.flags)),
            )
        case Bind():
            yield PlannedMount(
                How.BIND,
                normal(step.target),
                cause,
                source=step.source,
                read_only=bool((int(step.flags) | int(step.everywhere)) & READ_ONLY_BIT),
                recursive=bool(int(step.flags) & RECURSIVE_BIT),
                restrictions=restrictions(int(step.flags) | int(step.everywhere)),
            )
        case OwnDirectory():
            yield PlannedMount(How.BIND, normal(step.path), cause)
        case Mask():
            yield PlannedMount(How.MASK, normal(step.path), cause)
        case Console(bind=True):
            yield PlannedMount(How.CONSOLE, CONSOLE, cause, "devpts")


def normal(path: str) -> str:
    return cleaned(f"/{path}")


def restrictions(flags: int) -> frozenset[str]:
    """Those of nosuid, nodev and noexec that the flags of mount(2) set."""
    return frozenset(word for bit, word in RESTRICTIONS if flags & bit)


def made_read_only(mounts: list[PlannedMount], step: ReadOnlyPath) -> list[PlannedMount]:
    """A path that is a mount point is changed in place, with all below it; any other is bound on itself."""
    path = normal(step.path)
    changed = [replace(m, read_only=True) if within(m.target, path) else m for m in mounts]
    if any(mount.target == path for mount in mounts):
        return changed
    return [*changed, PlannedMount(How.READ_ONLY, path, str(step.cause), read_only=True, recursive=True)]


def within(path: str, folder: str) -> bool:
    return path == folder or path.startswith("/" if folder == "/" else f"{folder}/")


# ---------------------------------------------------------------- what is there


@dataclass(frozen=True, slots=True)
class MountTable:
    """What was observed. ``resolved`` are planned targets that lead through links, ``present`` optional paths that
    exist; ``host`` is the mount table of the engine's own namespace."""

    entries: tuple[MountEntry, ...]
    resolved: Mapping[str, str]
    present: Collection[str]
    host: tuple[MountEntry, ...]


@dataclass(frozen=True, slots=True)
class Matched:
    """A mount that is there, with the planned one it is; ``planned`` None: nothing planned it; ``below`` the
    recursive bind that brought it along."""

    entry: MountEntry
    planned: PlannedMount | None = None
    below: PlannedMount | None = None


@dataclass(frozen=True, slots=True)
class MountMatch:
    """``missing`` are planned mounts that are not there."""

    matched: list[Matched]
    missing: list[PlannedMount]


def match_mounts(planned: Sequence[PlannedMount], table: MountTable) -> MountMatch:
    """Pair mounts by target; several on one target in their order."""
    waiting: dict[str, list[PlannedMount]] = defaultdict(list)
    for mount in planned:
        waiting[table.resolved.get(mount.target, mount.target)].append(mount)
    matched = []
    for entry in table.entries:
        candidates = waiting.get(entry.target)
        if candidates:
            matched.append(Matched(entry, candidates.pop(0)))
        else:
            matched.append(Matched(entry, below=brought_by(entry, planned, table)))
    left = [mount for mounts in waiting.values() for mount in mounts]
    return MountMatch(matched, [m for m in left if not m.optional or m.target in table.present])


def brought_by(entry: MountEntry, planned: Sequence[PlannedMount], table: MountTable) -> PlannedMount | None:
    """The recursive bind that a mount came with: there is its like on the host, or its events reach in here."""
    for mount in planned:
        target = table.resolved.get(mount.target, mount.target)
        if mount.recursive and entry.target != target and within(entry.target, target):
            here = [e for e in table.entries if e.target == target]
            if any(e.receives for e in here) or copied(entry, mount, target, planned, table):
                return mount
    return None


def copied(
    entry: MountEntry, mount: PlannedMount, target: str, planned: Sequence[PlannedMount], table: MountTable
) -> bool:
    """Whether it is a copy of a mount on the host, or of this container's own root while that was put together."""
    suffix = entry.target[len(target.rstrip("/")) :]
    origin = normal(f"{mount.source or mount.target}{suffix}")
    if any(root.place and within(origin, root.place) for root in planned):
        return True
    others = table.host if mount.source else (e for e in table.entries if e is not entry)
    return any(e.target == origin and e.device == entry.device for e in others)


def host_read_only(path: str, host: Iterable[MountEntry]) -> bool:
    """Whether a path of the host lies on a mount that is read-only: a bind of it takes that over."""
    on = [entry for entry in host if within(path, entry.target)]
    return bool(on) and max(on, key=lambda entry: (len(entry.target), entry.id)).read_only
