"""Run a command with chosen system calls put before a supervisor. seccomp_unotify(2).

    python under.py CALL,CALL,… COMMAND…

The supervisor finds the listening descriptor among this process's own, takes a copy, and answers: the ``execve`` at
the end waits for it already. What the command starts is under the same supervisor.
"""

from __future__ import annotations

import ctypes
import os
import sys

ALLOW, NOTIFY = 0x7FFF0000, 0x7FC00000
NO_NEW_PRIVILEGES = 3  # an attribute of a filter: whether loading it sets that too

lib = ctypes.CDLL("libseccomp.so.2", use_errno=True)
lib.seccomp_init.restype = ctypes.c_void_p


def main() -> None:
    calls, command = sys.argv[1].split(","), sys.argv[2:]
    context = ctypes.c_void_p(lib.seccomp_init(ALLOW))
    lib.seccomp_attr_set(context, NO_NEW_PRIVILEGES, 0)
    for name in (*calls, "execve"):
        number = lib.seccomp_syscall_resolve_name(name.encode())
        if number >= 0 and lib.seccomp_rule_add(context, NOTIFY, number, 0) not in (0, -17):
            sys.exit(f"cannot supervise {name}")
    if lib.seccomp_load(context) != 0:
        sys.exit("cannot load the filter")
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
