"""What a step and a plan are, and how they are written for the launcher.

A step is data: what is to be done, and the *cause* that asked for it. Steps before ``Clone`` are
executed by the launcher itself, on the host, as the container's monitor; those after it by the child
that becomes the container's first process. ``native/plan.h`` has the same codes.

Wire form of a step (all integers little endian): ``u32 code, u32 argc`` and for each argument
``u32 length``, the bytes, one NUL. An integer argument is eight bytes, signed.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum, IntFlag
from typing import ClassVar


class Origin(Enum):
    """Who asked for a step."""

    REQUEST = "request"
    IMAGE = "image"
    DAEMON = "daemon"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a step stands in the plan, in words that a user knows: ``--memory 64m``, ``ENV in the image``."""

    origin: Origin
    text: str

    def __str__(self) -> str:
        return self.text if self.origin is Origin.DEFAULT else f"{self.origin.value}: {self.text}"


DEFAULT = Cause(Origin.DEFAULT, "default")


class Heading(Enum):
    """The headings under which a plan is shown, in the order of showing."""

    LAYERS = "layers"
    NAMESPACES = "namespaces"
    FILESYSTEMS = "filesystems"
    DEVICES = "devices"
    NETWORK = "network"
    LIMITS = "limits"
    RIGHTS = "rights"
    PROCESS = "process"


class Fd(IntEnum):
    """Descriptors that the launcher finds open, by number. Those from NET on only where the plan names them."""

    PLAN = 3
    CONTROL = 4
    LISTEN = 5
    NET = 6
    PID = 7
    IPC = 8
    UTS = 9
    CGROUP = 10
    TARGET = 11  # pidfd of the process whose namespaces an exec enters


class Namespace(IntFlag):
    """CLONE_NEW* of namespaces(7)."""

    TIME = 0x00000080
    MOUNT = 0x00020000
    CGROUP = 0x02000000
    UTS = 0x04000000
    IPC = 0x08000000
    USER = 0x10000000
    PID = 0x20000000
    NET = 0x40000000

    def words(self) -> str:
        return ", ".join(sorted(str(flag.name).lower() for flag in self))


class MountFlag(IntFlag):
    """MS_* of mount(2)."""

    RDONLY = 1
    NOSUID = 2
    NODEV = 4
    NOEXEC = 8
    REMOUNT = 32
    NOATIME = 1024
    BIND = 4096
    REC = 16384
    UNBINDABLE = 1 << 17
    PRIVATE = 1 << 18
    SLAVE = 1 << 19
    SHARED = 1 << 20
    RELATIME = 1 << 21
    STRICTATIME = 1 << 24

    def words(self) -> str:
        return ",".join(str(flag.name).lower() for flag in self) or "rw"


Arg = bytes | str | int


def encode_argument(value: Arg) -> bytes:
    if isinstance(value, bool | int):
        raw = struct.pack("<q", value)
    else:
        raw = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    return struct.pack("<I", len(raw)) + raw + b"\0"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. Subclasses name their arguments; ``args`` gives them in wire order."""

    code: ClassVar[int]
    name: ClassVar[str]
    heading: ClassVar[Heading]

    cause: Cause = field(default=DEFAULT, kw_only=True)

    def args(self) -> Sequence[Arg]:
        raise NotImplementedError

    def describe(self) -> str:
        raise NotImplementedError

    def encode(self) -> bytes:
        arguments = self.args()
        return struct.pack("<II", self.code, len(arguments)) + b"".join(map(encode_argument, arguments))


@dataclass(frozen=True, slots=True)
class Plan:
    """A list of steps, ready to be executed. ``docs/launcher.md`` has the wire format.

    ``preparation`` is what the engine does itself, beforehand; ``steps`` is what the launcher is given.
    """

    steps: tuple[Step, ...]
    preparation: tuple[Step, ...] = ()

    MAGIC: ClassVar[bytes] = b"WHPLAN\0\x01"

    def encode(self) -> bytes:
        body = b"".join(step.encode() for step in self.steps)
        return self.MAGIC + struct.pack("<II", len(self.steps), len(body)) + body
