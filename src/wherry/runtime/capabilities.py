"""Linux capabilities by name, and which of them a container keeps. capabilities(7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

from wherry.errors import InvalidArgument
from wherry.linux import capset

NAMES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN "
    "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE "
    "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
DEFAULT_NAMES = (
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL "
    "AUDIT_WRITE"
)
ALL = "ALL"


@cache
def known() -> tuple[str, ...]:
    """All capability names, CAP_ and all; the index is the bit."""
    return tuple(f"CAP_{name}" for name in NAMES.split())


@cache
def defaults() -> tuple[str, ...]:
    """The fourteen that Docker grants, in Docker's order."""
    return tuple(f"CAP_{name}" for name in DEFAULT_NAMES.split())


@cache
def bits() -> dict[str, int]:
    return {name: 1 << bit for bit, name in enumerate(known())}


def mask(names: Iterable[str]) -> int:
    """Names to a bit mask; an unknown name is an InvalidArgument."""
    value = 0
    for name in names:
        bit = bits().get(name)
        if bit is None:
            raise InvalidArgument(f'unknown capability: "{name}"')
        value |= bit
    return value


def names_of(value: int) -> tuple[str, ...]:
    """The names of the bits that are set; bits that this engine does not know have none."""
    return tuple(name for bit, name in enumerate(known()) if value >> bit & 1)


def available() -> tuple[str, ...]:
    """What this process could hand on: its bounding set. More than that no container can be given."""
    return names_of(capset.bounding_set())


def normalize(names: Sequence[str], available: Sequence[str]) -> list[str]:
    """``net_admin`` or ``CAP_NET_ADMIN`` to the latter; ``ALL`` stays. Docker's texts for what is unknown."""
    return [name.upper() if name.upper() == ALL else normalize_one(name.upper(), available) for name in names]


def normalize_one(name: str, available: Sequence[str]) -> str:
    full = name if name.startswith("CAP_") else f"CAP_{name}"
    if full not in bits():
        raise InvalidArgument(f'unknown capability: "{full}"')
    if full not in available:
        reason = "capability not supported by your kernel or not available in the current environment"
        raise InvalidArgument(f'{reason}: "{full}"')
    return full


def granted(
    add: Sequence[str], drop: Sequence[str], *, privileged: bool, available: Sequence[str]
) -> tuple[str, ...]:
    """What a container keeps: defaults, ``--cap-add``, ``--cap-drop``, ``ALL`` in either, ``--privileged``.

    ``available`` is what the daemon itself has: no container can be given more.
    """
    if privileged:
        return tuple(available)
    if not add and not drop:
        return defaults_within(tuple(available))
    added, dropped = normalize(add, available), normalize(drop, available)
    if ALL in added:
        return tuple(name for name in available if name not in dropped)
    if ALL in dropped:
        return tuple(dict.fromkeys(added))
    kept = [name for name in defaults_within(tuple(available)) if name not in dropped]
    return tuple(dict.fromkeys(kept + added))


@cache
def defaults_within(available: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in defaults() if name in available)
