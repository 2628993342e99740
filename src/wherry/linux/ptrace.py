"""Reading a process's seccomp filter back from the kernel. ptrace(2), PTRACE_SECCOMP_GET_FILTER.

The process is stopped for a moment. That is not wholly unseen: like a stop signal, it makes a few blocking calls
(epoll_wait, sigtimedwait, semop) fail with EINTR; see signal(7). So nothing calls this unless it was asked to.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

SEIZE, INTERRUPT, DETACH, SECCOMP_GET_FILTER = 0x4206, 0x4207, 17, 0x420C
WAIT_ALL = 0x40000000  # __WALL
INSTRUCTION = 8  # bytes of struct sock_filter


def seccomp_filter(pid: int, index: int = 0) -> bytes:
    """A filter of a process as ``struct sock_filter`` array; 0 is the one that was installed first.

    OSError: ENOENT where there is no such filter; EACCES, EPERM where the caller may not.
    """
    with stopped(pid):
        count = request(SECCOMP_GET_FILTER, pid, index, None)
        program = ctypes.create_string_buffer(count * INSTRUCTION)
        request(SECCOMP_GET_FILTER, pid, index, program)
        return program.raw


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process as tracee of the calling thread, stopped."""
    request(SEIZE, pid, 0, None)
    try:
        request(INTERRUPT, pid, 0, None)
        os.waitpid(pid, WAIT_ALL)
        yield
    finally:
        request(DETACH, pid, 0, None)


def request(what: int, pid: int, address: int, data: ctypes.Array[ctypes.c_char] | None) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.restype = ctypes.c_long
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    result: int = libc.ptrace(what, pid, address, data)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), f"/proc/{pid}")
    return result
