"""``/proc/PID/mountinfo``: the mounts of a mount namespace, lowest first. proc_pid_mountinfo(5)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
ESCAPE = re.compile(r"\\([0-7]{3})")
SHARED = "shared:"


@dataclass(frozen=True, slots=True)
class MountEntry:
    """One mount. ``root`` is the path in its filesystem that it shows; ``options`` are those of this mount,
    ``filesystem_options`` those of the filesystem behind it."""

    id: int
    parent: int
    device: str  # major:minor
    root: str
    target: str
    options: tuple[str, ...]
    tags: tuple[str, ...]  # shared:N, master:N, …
    fstype: str
    source: str
    filesystem_options: tuple[str, ...]

    @property
    def read_only(self) -> bool:
        """Whether this mount refuses writes, whatever the filesystem behind it does."""
        return "ro" in self.options

    @property
    def shared(self) -> bool:
        """Whether mounts made below it appear elsewhere, and the other way round."""
        return any(tag.startswith(SHARED) for tag in self.tags)

    @property
    def receives(self) -> bool:
        """Whether mounts made elsewhere may appear below it (shared or slave)."""
        return any(tag.startswith((SHARED, "master:")) for tag in self.tags)

    def option(self, name: str) -> str:
        """The value of a filesystem option such as ``upperdir``; "" where it has none."""
        return next(iter(self.options_of(name)), "")

    def options_of(self, name: str) -> list[str]:
        """All values of one that may be there several times."""
        return [o[len(name) + 1 :] for o in self.filesystem_options if o.startswith(f"{name}=")]


def parse(data: bytes) -> tuple[MountEntry, ...]:
    """All mounts of a ``mountinfo`` file."""
    return tuple(parse_line(line) for line in data.split(b"\n") if line)


def mount_of(path: Path) -> MountEntry | None:
    """The mount that shows a path to this process."""
    return showing(path.resolve(), parse(MOUNTS.read_bytes()))


def showing(target: Path, mounts: Sequence[MountEntry]) -> MountEntry | None:
    """The mount that shows a path without links in it: of several at one place the last listed, whatever its id (which
    the kernel gives again once it is free)."""
    above = [mount for mount in reversed(mounts) if target.is_relative_to(mount.target)]
    return max(above, key=lambda mount: len(mount.target), default=None)


def parse_line(line: bytes) -> MountEntry:
    before, _, after = line.decode("utf-8", "replace").partition(" - ")
    number, parent, device, root, target, options, *tags = before.split(" ")
    fstype, source, filesystem_options = after.split(" ", 2)
    plain = unescape if b"\\" in line else str
    return MountEntry(
        id=int(number),
        parent=int(parent),
        device=device,
        root=plain(root),
        target=plain(target),
        options=tuple(options.split(",")),
        tags=tuple(tag for tag in tags if tag),
        fstype=plain(fstype),
        source=plain(source),
        filesystem_options=tuple(map(plain, filesystem_options.split(","))),
    )


def unescape(text: str) -> str:
    """The kernel escapes what would end a field: blanks, line ends, and the backslash itself."""
    return ESCAPE.sub(lambda match: chr(int(match[1], 8)), text)
