"""Platforms as a person writes them: ``linux/arm64/v8``. The words and their spellings are containerd's."""

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
USUAL = {("amd64", "v1"), ("arm64", "v8"), ("arm64", "8"), ("arm", "v7"), ("arm", "7")}


def host_architecture() -> str:
    """This machine's."""
    machine = os.uname().machine
    return SPELLINGS.get(machine, (machine, ""))[0]


def parse_platform(text: str) -> tuple[str, str, str]:
    """Operating system, architecture and variant, in one spelling.

    An operating system alone means this machine's architecture, an architecture alone Linux. InvalidArgument
    where it is no platform.
    """
    parts = text.lower().split("/")
    if len(parts) > 3 or not all(part and WORD.issuperset(part) for part in parts):
        raise InvalidArgument(f"{text!r} is not a platform, such as linux/amd64")
    if len(parts) == 1:
        return _alone(parts[0], text)
    architecture, variant = _processor(parts[1], "".join(parts[2:]))
    return parts[0], architecture, variant


def _alone(word: str, text: str) -> tuple[str, str, str]:
    if word in SYSTEMS:
        return word, host_architecture(), ""
    architecture, variant = _processor(word, "")
    if architecture not in ARCHITECTURES:
        raise InvalidArgument(
            f"{text!r} is neither an operating system nor an architecture, such as linux/amd64"
        )
    return LINUX, architecture, variant


def _processor(word: str, variant: str) -> tuple[str, str]:
    architecture, meant = SPELLINGS.get(word, (word, ""))
    variant = variant or meant
    return architecture, "" if (architecture, variant) in USUAL else variant


def runs(host: str, architecture: str) -> bool:
    """Whether a processor runs programs for another one as its own."""
    return architecture == host or (host, architecture) in {("amd64", "386"), ("arm64", "arm")}
