"""Mount options: what those of the OCI specification mean, and which a tmpfs may have.

OCI runtime-spec, config.md "Linux mount options"; tmpfs(5).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from wherry.errors import InvalidArgument
from wherry.runtime.steps import MountFlag

RPRIVATE, RSLAVE, RSHARED = "rprivate", "rslave", "rshared"

PROPAGATION = {
    "private": MountFlag.PRIVATE,
    "rprivate": MountFlag.PRIVATE | MountFlag.REC,
    "slave": MountFlag.SLAVE,
    "rslave": MountFlag.SLAVE | MountFlag.REC,
    "shared": MountFlag.SHARED,
    "rshared": MountFlag.SHARED | MountFlag.REC,
    "unbindable": MountFlag.UNBINDABLE,
    "runbindable": MountFlag.UNBINDABLE | MountFlag.REC,
}

# option: (flags to set, flags to clear)
OPTIONS: dict[str, tuple[MountFlag, MountFlag]] = {
    "ro": (MountFlag.RDONLY, MountFlag(0)),
    "rw": (MountFlag(0), MountFlag.RDONLY),
    "nosuid": (MountFlag.NOSUID, MountFlag(0)),
    "suid": (MountFlag(0), MountFlag.NOSUID),
    "nodev": (MountFlag.NODEV, MountFlag(0)),
    "dev": (MountFlag(0), MountFlag.NODEV),
    "noexec": (MountFlag.NOEXEC, MountFlag(0)),
    "exec": (MountFlag(0), MountFlag.NOEXEC),
    "noatime": (MountFlag.NOATIME, MountFlag(0)),
    "atime": (MountFlag(0), MountFlag.NOATIME),
    "nodiratime": (MountFlag.NODIRATIME, MountFlag(0)),
    "diratime": (MountFlag(0), MountFlag.NODIRATIME),
    "relatime": (MountFlag.RELATIME, MountFlag(0)),
    "norelatime": (MountFlag(0), MountFlag.RELATIME),
    "strictatime": (MountFlag.STRICTATIME, MountFlag(0)),
    "nostrictatime": (MountFlag(0), MountFlag.STRICTATIME),
    "bind": (MountFlag.BIND, MountFlag(0)),
    "rbind": (MountFlag.BIND | MountFlag.REC, MountFlag(0)),
    **dict.fromkeys(("defaults", "async", "nomand"), (MountFlag(0), MountFlag(0))),  # what always is
    "remount": (MountFlag.REMOUNT, MountFlag(0)),
}
EVERYWHERE = {  # also what is mounted below
    "rro": MountFlag.RDONLY,
    "rnosuid": MountFlag.NOSUID,
    "rnodev": MountFlag.NODEV,
    "rnoexec": MountFlag.NOEXEC,
}
AMOUNT, NUMBER, OCTAL = r"(?:0x[0-9a-fA-F]{1,16}|\d{1,19})[kKmMgGtTpPeE]?", r"\d{1,9}", r"[0-7]{1,10}"
TMPFS_DATA = {
    "size": re.compile(AMOUNT + "%?", re.ASCII),
    "mode": re.compile(OCTAL),
    "uid": re.compile(NUMBER, re.ASCII),
    "gid": re.compile(NUMBER, re.ASCII),
    "nr_inodes": re.compile(AMOUNT, re.ASCII),
    "nr_blocks": re.compile(AMOUNT, re.ASCII),
    "mpol": re.compile(r"[a-z0-9:=,-]{1,200}"),
}  # tmpfs(5); a value of another form would only fail when it is mounted
OPPOSITES = {"rw": "ro", "async": "sync"}  # those that do not begin with "no"
OF_FILESYSTEM = frozenset({"sync", "dirsync", "mand"})  # flags that the filesystem itself takes
NOT_OF_TMPFS = frozenset({"bind", "rbind", "remount"})  # with Docker a start with them fails
TMPFS_DEFAULTS = ("noexec", "nosuid", "nodev", RPRIVATE)


@dataclass(frozen=True, slots=True)
class MountOptions:
    """OCI mount options, told apart. ``everywhere`` are flags that what is mounted below gets, too."""

    flags: MountFlag
    propagation: MountFlag
    data: str
    everywhere: MountFlag = MountFlag(0)


def parse_options(options: Sequence[str]) -> MountOptions:
    """Flags, propagation and the filesystem's own data. OCI runtime-spec, config.md "Linux mount options"."""
    return parse_options_cached(tuple(options))


@lru_cache(maxsize=256)
def parse_options_cached(options: tuple[str, ...]) -> MountOptions:
    flags, propagation, everywhere, data = MountFlag(0), MountFlag(0), MountFlag(0), []
    for option in options:
        if option in OPTIONS:
            to_set, to_clear = OPTIONS[option]
            flags = (flags | to_set) & ~to_clear
        elif option in PROPAGATION:
            propagation = PROPAGATION[option]
        elif option in EVERYWHERE:
            everywhere |= EVERYWHERE[option]
        else:
            data.append(option)
    return MountOptions(flags, propagation, ",".join(data), everywhere)


# ---------------------------------------------------------------- of a tmpfs


def tmpfs_options(data: str) -> list[str]:
    """Docker's defaults and the user's options, later ones winning over what they contradict."""
    kept: list[str] = []
    seen: set[str] = set()
    for option in reversed([*TMPFS_DEFAULTS, *(data.split(",") if data else ())]):
        subject = tmpfs_subject(option)
        if subject not in seen:
            seen.add(subject)
            kept.append(option)
    return kept[::-1]


def tmpfs_subject(option: str) -> str:
    """What an option is about, the same for an option and its opposite."""
    key, equals, value = option.partition("=")
    if equals and key in TMPFS_DATA and TMPFS_DATA[key].fullmatch(value):
        return key
    if option in PROPAGATION:
        return "propagation"
    if option in OPPOSITES:
        return OPPOSITES[option]
    if (option in OPTIONS and option not in NOT_OF_TMPFS) or option in OF_FILESYSTEM:
        return option.removeprefix("no")
    raise InvalidArgument(f'invalid tmpfs option "{option if key in TMPFS_DATA else key}"')
