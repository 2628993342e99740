"""Kernel parameters, by the namespace that they belong to: only those of its own may a container have."""

from __future__ import annotations

IPC = frozenset(
    f"kernel.{name}"
    for name in ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced")
)


def is_of_ipc(name: str) -> bool:
    """Whether each IPC namespace has its own value. Linux, ipc_namespaces(7)."""
    return name in IPC or name.startswith("fs.mqueue.")


def is_of_network(name: str) -> bool:
    """Whether each network namespace has its own value. Linux, network_namespaces(7)."""
    return name.startswith("net.")
