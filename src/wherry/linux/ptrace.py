"""Reading a process's seccomp filter back from the kernel. ptrace(2), PTRACE_SECCOMP_GET_FILTER.

The process is stopped for a moment. That is not wholly unseen: like a stop signal, it makes a few blocking calls
(epoll_wait, sigtimedwait, semop) fail with EINTR; see signal(7). So nothing calls this unless it was asked to.

Each reading has a thread of its own. When that ends the kernel lets go of what it traced, whatever state that is in:
one that cannot be stopped (frozen, or waiting for a disk) must not be found stopped by us later on.
"""

from __future__ import annotations

import ctypes
import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor

from wherry.linux import libc

SEIZE, INTERRUPT, DETACH, SECCOMP_GET_FILTER = 0x4206, 0x4207, 17, 0x420C
WAIT_ALL = 0x40000000  # __WALL
INSTRUCTION = 8  # bytes of struct sock_filter
STOP_SECONDS, LOOK_SECONDS = 0.2, 0.0005


def seccomp_filter(pid: int, index: int = 0) -> bytes:
    """A filter of a process as ``struct sock_filter`` array; 0 is the one that was installed first.

    OSError: ENOENT where there is no such filter; EACCES, EPERM where the caller may not; ETIMEDOUT where the
    process cannot be stopped.
    """
    with ThreadPoolExecutor(1, "ptrace") as own:
        return own.submit(read_filter, pid, index).result()


def read_filter(pid: int, index: int) -> bytes:
    """What ``seccomp_filter`` does, in a thread that ends with it."""
    request(SEIZE, pid, 0, None)
    request(INTERRUPT, pid, 0, None)
    wait_for_stop(pid)
    try:
        count = request(SECCOMP_GET_FILTER, pid, index, None)
        program = ctypes.create_string_buffer(count * INSTRUCTION)
        request(SECCOMP_GET_FILTER, pid, index, program)
        return program.raw
    finally:
        request(DETACH, pid, 0, None)


def wait_for_stop(pid: int) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    while os.waitpid(pid, WAIT_ALL | os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            raise libc.failure(errno.ETIMEDOUT, f"/proc/{pid}")
        time.sleep(LOOK_SECONDS)


def request(what: int, pid: int, address: int, data: ctypes.Array[ctypes.c_char] | None) -> int:
    """ptrace(2). OSError with the process's directory."""
    return libc.call("ptrace", what, pid, address, data, about=f"/proc/{pid}")
