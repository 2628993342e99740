"""``/proc/PID/mountinfo``: the mounts of a mount namespace, lowest first. proc_pid_mountinfo(5)."""

from __future__ import annotations

import re
from dataclasses import dataclass

ESCAPE = re.compile(rb"\\([0-7]{3})")
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
        return "ro" in self.options

    @property
    def receives(self) -> bool:
        """Whether mounts made elsewhere may appear below it (shared or slave)."""
        return any(tag.startswith(("shared:", "master:")) for tag in self.tags)

    def option(self, name: str) -> str:
        """The value of a filesystem option such as ``upperdir``; "" where it has none."""
        return next(iter(self.options_of(name)), "")

    def options_of(self, name: str) -> list[str]:
        """All values of one that may be there several times."""
        return [o[len(name) + 1 :] for o in self.filesystem_options if o.startswith(f"{name}=")]


def parse(data: bytes) -> tuple[MountEntry, ...]:
    return tuple(parse_line(line) for line in data.splitlines() if line)


def parse_line(line: bytes) -> MountEntry:
    before, _, after = line.partition(b" - ")
    number, parent, device, root, target, options, *tags = before.split(b" ")
    fstype, source, filesystem_options = after.split(b" ", 2)
    return MountEntry(
        id=int(number),
        parent=int(parent),
        device=device.decode(),
        root=unescape(root),
        target=unescape(target),
        options=tuple(options.decode().split(",")),
        tags=tuple(tag.decode() for tag in tags if tag),
        fstype=unescape(fstype),
        source=unescape(source),
        filesystem_options=tuple(unescape(option) for option in filesystem_options.split(b",")),
    )


def unescape(text: bytes) -> str:
    plain = ESCAPE.sub(lambda match: bytes((int(match[1], 8) & 0xFF,)), text) if b"\\" in text else text
    return plain.decode("utf-8", "replace")
