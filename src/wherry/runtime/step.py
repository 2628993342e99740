"""What a step and a plan are, and how they are written for the launcher.

A step is data: what is to be done, and the *cause* that asked for it. Steps before ``Clone`` are
executed by the launcher itself, on the host, as the container's monitor; those after it by the child
that becomes the container's first process.

A class says all that there is to say of a kind of step: its code, its name, where it may stand, what it takes (its
fields, in the order of the wire) and its words for a reader. What the launcher must know of it, ``native/steps.h``, and
the table in ``docs/launcher.md`` are written from the classes by ``make docs``; so a new kind of step is a class here
and a function ``step_…`` there.

Wire form of a step (all integers little endian): ``u32 code, u32 argc`` and for each argument
``u32 length``, the bytes, one NUL. An integer argument is eight bytes, signed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import Enum, Flag, IntEnum, IntFlag
from functools import cache, lru_cache
from operator import attrgetter
from typing import Annotated, Any, ClassVar, Protocol, get_args, get_type_hints


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


def asked(text: str) -> Cause:
    """The cause of what the request asks for: the flag that says so."""
    return Cause(Origin.REQUEST, text)


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
        """``ipc, mount``."""
        return ", ".join(sorted(str(flag.name).lower() for flag in self))


class MountFlag(IntFlag):
    """MS_* of mount(2)."""

    RDONLY = 1
    NOSUID = 2
    NODEV = 4
    NOEXEC = 8
    REMOUNT = 32
    NOATIME = 1024
    NODIRATIME = 2048
    BIND = 4096
    REC = 16384
    UNBINDABLE = 1 << 17
    PRIVATE = 1 << 18
    SLAVE = 1 << 19
    SHARED = 1 << 20
    RELATIME = 1 << 21
    STRICTATIME = 1 << 24

    def words(self) -> str:
        """``ro,nosuid``; ``rw`` for none. As mount(8) calls them, and ``recursive``."""
        return ",".join(FLAG_WORDS.get(flag, str(flag.name).lower()) for flag in self) or "rw"


FLAG_WORDS = {MountFlag.RDONLY: "ro", MountFlag.REC: "recursive"}

# What the fields of a step may be. The letter is the launcher's for such an argument; see ``native/plan.h``.
Text = Annotated[str, "t"]  # no NUL in it
AbsolutePath = Annotated[str, "p"]
Texts = Annotated[tuple[str, ...], "t*"]  # any number of them; last on the wire, wherever the field stands
Note = Annotated[str, ""]  # for readers; the launcher does not get it

REPEATED = "t*"
Arg = bytes | str | int

HEAD, LENGTH, INTEGER = struct.Struct("<II"), struct.Struct("<I"), struct.Struct("<Iqx")
INTEGER_BYTES = 8


def encode_argument(value: Arg) -> bytes:
    """One argument with its length in front and a NUL behind."""
    if isinstance(value, int):
        return INTEGER.pack(INTEGER_BYTES, value)
    return encode_text(value) if isinstance(value, str) else encode_bytes(value)


def encode_bytes(raw: bytes) -> bytes:
    return b"%b%b\0" % (LENGTH.pack(len(raw)), raw)


@lru_cache(maxsize=512)
def encode_text(value: str) -> bytes:
    """Most texts of a plan are the same in every plan."""
    return encode_bytes(value.encode("utf-8", "surrogateescape"))


class Side(Flag):
    """Where a step may stand in a plan, and so who executes it."""

    ENGINE = 0  # never among the launcher's
    HOST = 1  # before the clone
    CHILD = 2  # behind it


KINDS: dict[str, type[Step]] = {}  # every kind of step by its name; filled as the classes are made


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. The fields of a subclass are its arguments; ``args`` gives them in the order of the wire."""

    code: ClassVar[int]
    name: ClassVar[str]
    heading: ClassVar[Heading]
    side: ClassVar[Side]
    identity: ClassVar[str] = ""  # the field that tells the steps of this kind in one plan apart

    cause: Cause = field(default=DEFAULT, kw_only=True)

    def __init_subclass__(cls) -> None:
        if "name" in vars(cls):
            KINDS[cls.name] = cls

    @classmethod
    def takes(cls) -> tuple[tuple[str, str], ...]:
        """The arguments that this kind has, in the order of the wire: name and letter."""
        return fields_on_wire(cls.name)

    def args(self) -> Sequence[Arg]:
        """The arguments as they go over the wire."""
        values, repeated = reader_of(self.name)
        found = values(self)
        return [*found[:-1], *found[-1]] if repeated else [*found]

    def describe(self) -> str:
        """What the step does, in words for a reader."""
        raise NotImplementedError

    @classmethod
    def identify(cls, arguments: Mapping[str, Any]) -> str:
        """What makes a step with these arguments the same one in two plans, beside its name."""
        return str(arguments[cls.identity]) if cls.identity else ""

    def encode(self) -> bytes:
        """The step as the launcher reads it."""
        arguments = self.args()
        return b"".join((HEAD.pack(self.code, len(arguments)), *map(encode_argument, arguments)))


@dataclass(frozen=True, slots=True)
class HostStep(Step):
    """A step of the monitor's, on the host."""

    side = Side.HOST


@dataclass(frozen=True, slots=True)
class ChildStep(Step):
    """A step of the child's, which becomes the container's first process."""

    side = Side.CHILD


@cache
def fields_on_wire(name: str) -> tuple[tuple[str, str], ...]:
    kind = KINDS[name]
    hints = get_type_hints(kind, include_extras=True)
    letters = [(f.name, letter_of(hints[f.name])) for f in fields(kind) if f.name != "cause"]
    return tuple(sorted((pair for pair in letters if pair[1]), key=lambda pair: pair[1] == REPEATED))


@cache
def reader_of(name: str) -> tuple[Callable[[Step], tuple[Any, ...]], bool]:
    """What reads all arguments of a kind of step at once, and whether the last of them is a repeated one."""
    wire = fields_on_wire(name)
    if len(wire) > 1:
        return attrgetter(*(field for field, _ in wire)), wire[-1][1] == REPEATED
    single = attrgetter(wire[0][0]) if wire else None
    return lambda step: (single(step),) if single else (), bool(wire) and wire[0][1] == REPEATED


def letter_of(hint: Any) -> str:
    if hint is bytes:
        return "b"
    if isinstance(hint, type) and issubclass(hint, int):
        return "i"
    for letter in get_args(hint)[1:]:
        return str(letter)
    raise TypeError(f"a field of a step is an integer, bytes, or one of the kinds of text, not {hint}")


class Launchable(Protocol):
    """A plan in whatever form, as far as the launcher's side needs it."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """The launcher's steps: which is it that failed?"""

    def encode(self) -> bytes:
        """The same, as the launcher reads them."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A list of steps, ready to be executed. ``docs/launcher.md`` has the wire format.

    ``preparation`` is what the engine does itself, beforehand; ``steps`` is what the launcher is given.
    """

    steps: tuple[Step, ...]
    preparation: tuple[Step, ...] = ()

    def encode(self) -> bytes:
        """The launcher's steps, as it reads them."""
        return on_wire(len(self.steps), b"".join(step.encode() for step in self.steps))


MAGIC = b"WHPLAN\0\x01"


def on_wire(count: int, body: bytes) -> bytes:
    """So many encoded steps, as the launcher takes them. ``docs/launcher.md``."""
    return b"%b%b%b" % (MAGIC, HEAD.pack(count, len(body)), body)
