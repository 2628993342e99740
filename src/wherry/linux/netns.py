"""Network namespaces, held by descriptors only. Linux network_namespaces(7), setns(2).

A namespace that no descriptor, process or mount refers to is taken down by the kernel, in the background,
with all that is in it. Nothing here makes a mount, so what a dead process held is gone by itself.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from wherry.linux import libc

CLONE_NEWNET = 0x40000000
PAUSES = (0.001, 0.01, 0.1)  # seconds
OWN = "/proc/thread-self/ns/net"

T = TypeVar("T")


def current() -> int:
    """A descriptor of the calling thread's network namespace; the caller closes it."""
    return os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)


def enter(fd: int) -> None:
    """Move the calling thread into a network namespace."""
    libc.call("setns", fd, CLONE_NEWNET, about="setns to a network namespace")


def come_back(fd: int) -> None:
    """Move the calling thread into its own network namespace again.

    It must not go on elsewhere, so that a kernel short of memory is asked more than once. OSError in the end.
    """
    for pause in PAUSES:
        try:
            enter(fd)
        except OSError:
            time.sleep(pause)
        else:
            return
    enter(fd)


def leave_for_new() -> None:
    """Move the calling thread into a new, empty network namespace."""
    libc.call("unshare", CLONE_NEWNET, about="unshare the network namespace")


@contextmanager
def inside(fd: int) -> Iterator[None]:
    """Be in a network namespace for a while. Sockets made there stay there."""
    home = current()
    try:
        enter(fd)
        try:
            yield
        finally:
            come_back(home)
    finally:
        os.close(home)


def create(prepare: Callable[[], T], home: int) -> tuple[int, T]:
    """A new network namespace, and what ``prepare`` made while the thread was in it.

    ``home`` is the namespace to come back to, whatever happens. The caller owns the descriptor.
    """
    leave_for_new()
    try:
        fd = current()
        try:
            return fd, prepare()
        except BaseException:
            os.close(fd)
            raise
    finally:
        come_back(home)


def same(one: int, other: int) -> bool:
    """Whether two descriptors are of the same namespace."""
    a, b = os.fstat(one), os.fstat(other)
    return (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)
