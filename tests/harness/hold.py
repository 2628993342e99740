"""Holds processes stopped, as a debugger does: SIGCONT does not let them go on, SIGKILL ends them. ptrace(2).

    python hold.py PID…
    python hold.py --child PID

Says ``held`` when all are, and holds them until the end of its standard input. With ``--child`` it says so at once,
stops the next child of a process before it does anything, as by SIGSTOP, says its number, and lets go.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SEIZE, INTERRUPT, DETACH, WAIT_ALL = 0x4206, 0x4207, 17, 0x40000000
TRACE_FORK = 2  # an option, and an event


@contextmanager
def held(*pids: int) -> Iterator[None]:
    """Somebody holds these processes meanwhile. ProcessLookupError where one has gone already."""
    command = [sys.executable, __file__, *map(str, pids)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None and holder.stdout is not None
        if holder.stdout.readline() != "held\n":
            raise ProcessLookupError(f"one of {pids} has gone")
        try:
            yield
        finally:
            holder.stdin.close()


@contextmanager
def child_stopped(pid: int) -> Iterator[Callable[[], int]]:
    """The next child of a process is stopped at its birth; what is given waits for it."""
    command = [sys.executable, __file__, "--child", str(pid)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        if holder.stdout.readline() != "held\n":
            raise ProcessLookupError(f"{pid} has gone")
        try:
            yield lambda: int(holder.stdout.readline())  # type: ignore[union-attr]
        finally:
            holder.kill()


def main() -> None:
    if sys.argv[1] == "--child":
        stop_child(int(sys.argv[2]))
        return
    for pid in map(int, sys.argv[1:]):
        for request in (SEIZE, INTERRUPT):
            trace(request, pid)
        os.waitpid(pid, WAIT_ALL)
    print("held", flush=True)
    sys.stdin.read()


def trace(request: int, pid: int, data: int = 0) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(request, pid, None, ctypes.c_void_p(data)) != 0:
        sys.exit(f"cannot hold {pid}: {os.strerror(ctypes.get_errno())}")


def stop_child(parent: int) -> None:
    """Both stop: the child, which is traced too, and the parent, to tell of it."""
    trace(SEIZE, parent, TRACE_FORK)
    print("held", flush=True)
    stopped: set[int] = set()
    while len(stopped) < 2:
        stopped.add(os.waitpid(-1, WAIT_ALL)[0])
    (child,) = stopped - {parent}
    os.kill(child, signal.SIGSTOP)
    for pid in stopped:
        trace(DETACH, pid)
    print(child, flush=True)


if __name__ == "__main__":
    main()
