"""The heap of the C library, from which Python has whatever is larger than 512 bytes. mallopt(3), malloc_trim(3).

glibc gives every thread a heap of its own and keeps what was used once: a megabyte where the seccomp policy was
compiled, another where an image was loaded. Other libraries have no such habit, and none of these calls.
"""

from __future__ import annotations

from wherry.linux import libc

ARENA_MAX = -8


def use_one() -> None:
    """One heap for all threads; before there is a second one. Threads of Python rarely ask for memory at once."""
    if hasattr(libc.library(), "mallopt"):
        libc.library().mallopt(ARENA_MAX, 1)


def give_back() -> None:
    """Let the kernel have what is free. Costs 0.1 ms: for after a burst of work."""
    if hasattr(libc.library(), "malloc_trim"):
        libc.library().malloc_trim(0)
