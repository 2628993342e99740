"""Holds processes stopped, as a debugger does: SIGCONT does not let them go on, SIGKILL ends them. ptrace(2).

    python hold.py PID…

Says ``held`` when all are, and holds them until the end of its standard input.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SEIZE, INTERRUPT, WAIT_ALL = 0x4206, 0x4207, 0x40000000


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


def main() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for pid in map(int, sys.argv[1:]):
        for request in (SEIZE, INTERRUPT):
            if libc.ptrace(request, pid, None, None) != 0:
                sys.exit(f"cannot hold {pid}: {os.strerror(ctypes.get_errno())}")
        os.waitpid(pid, WAIT_ALL)
    print("held", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
