"""Platforms as a person writes them, ``linux/arm64/v8``, and which runs what. Words and rules are containerd's."""

from __future__ import annotations

import os

from wherry.errors import InvalidArgument

LINUX = "linux"

SYSTEMS = frozenset((
    "aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios", "js", "linux", "nacl",
    "netbsd", "openbsd", "plan9", "solaris", "windows", "zos",
))  # fmt: skip
ARCHITECTURES = frozenset((
    "386", "amd64", "amd64p32", "arm", "arm64", "arm64be", "armbe", "loong64", "mips", "mips64", "mips64le",
    "mips64p32", "mips64p32le", "mipsle", "ppc", "ppc64", "ppc64le", "riscv", "riscv64", "s390", "s390x",
    "sparc", "sparc64", "wasm",
))  # fmt: skip
WORD = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_.-")

# What else a processor is called, the kernel's names among them.
SPELLINGS = {
    "i386": ("386", ""),
    "i686": ("386", ""),
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armv7l": ("arm", "v7"),
    "armel": ("arm", "v6"),
}
# The variant that a processor has unless another is named.
USUAL = {"amd64": "v1", "arm": "v7", "arm64": "v8"}
# What a processor runs beside its own: of ARM's old kind, all variants.
BESIDE = {"amd64": "386", "arm64": "arm"}
OWN = 1000.0

Triple = tuple[str, str, str]
"""Operating system, architecture and variant."""


def host_architecture() -> str:
    """This machine's."""
    machine = os.uname().machine
    return SPELLINGS.get(machine, (machine, ""))[0]


def parse_platform(text: str) -> Triple:
    """In one spelling.

    An operating system alone means this machine's architecture, an architecture alone Linux. InvalidArgument
    where it is no platform.
    """
    parts = text.lower().split("/")
    if len(parts) > 3 or not all(part and WORD.issuperset(part) for part in parts):
        raise InvalidArgument(f"{text!r} is not a platform, such as linux/amd64")
    if len(parts) == 1:
        return _alone(parts[0], text)
    return normal((parts[0], parts[1], "".join(parts[2:])))


def _alone(word: str, text: str) -> Triple:
    if word in SYSTEMS:
        return word, host_architecture(), ""
    meant = normal((LINUX, word, ""))
    if meant[1] not in ARCHITECTURES:
        raise InvalidArgument(
            f"{text!r} is neither an operating system nor an architecture, such as linux/amd64"
        )
    return meant


def normal(platform: Triple) -> Triple:
    """In one spelling, without the variant that it has anyway. Without an operating system it is Linux."""
    system, word, variant = (part.lower() for part in platform)
    architecture, meant = SPELLINGS.get(word, (word, ""))
    variant = variant or meant
    if architecture in ("arm", "arm64") and variant.isdigit():
        variant = f"v{variant}"
    return system or LINUX, architecture, "" if variant == USUAL.get(architecture) else variant


def fitness(machine: Triple, offered: Triple) -> float:
    """How well a machine of one platform runs programs for another as its own; 0 where it does not.

    Those of its own processor, up to its own variant, the highest of them best; then those of the older kind beside
    them. What names no variant fits every variant.
    """
    system, own, variant = normal(machine)
    other_system, other, other_variant = normal(offered)
    if other_system != system or other not in (own, BESIDE.get(own)):
        return 0
    level, highest = _level(other, other_variant), _level(own, variant) if other == own else OWN - 1
    if offered[2] and other_variant != variant and not (other in USUAL and level <= highest):
        return 0
    return 1 + level + (OWN if other == own else 0)


def _level(architecture: str, variant: str) -> float:
    """Of a variant among those of its architecture: 8.1 for v8.1; above all where it is no number."""
    number = (variant or USUAL.get(architecture, "v0")).removeprefix("v")
    plain = number.isascii() and number.replace(".", "", 1).isdigit()
    return min(float(number), OWN) if plain else OWN
