"""The capabilities that this process has. capabilities(7), proc(5)."""

from __future__ import annotations


def bounding_set() -> int:
    """Bit mask of the bounding set: what no child of ours can exceed."""
    return status_field("CapBnd")


def effective_set() -> int:
    return status_field("CapEff")


def status_field(name: str) -> int:
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith(f"{name}:"):
                return int(line.split()[1], 16)
    raise OSError(0, f"no {name} in the kernel's account of this process", "/proc/self/status")
