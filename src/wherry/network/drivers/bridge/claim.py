"""Who has a bridge: one engine at a time, by an abstract socket's name, which ends with the process.

Containers in the host's network namespace can take such a name too. So a name that is taken says nothing yet: an
engine listens, and the kernel tells whose process that is. Only one in our own mount namespace counts, which no
container is in.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import struct

from wherry.errors import Unavailable

CREDENTIALS = struct.Struct("iII")  # struct ucred: pid, uid, gid

log = logging.getLogger(__name__)


def claim_bridge(name: str) -> socket.socket:
    """Claim a bridge of this network namespace until the socket is closed. Unavailable if an engine has it."""
    guard, address = unix_socket(), f"\0wherry/bridge/{name}"
    try:
        guard.bind(address)
        guard.listen()
    except OSError as error:
        if error.errno == errno.EADDRINUSE and not held_by_engine(address):
            log.warning("a process that is no engine has the name %s; going on without it", address[1:])
            return guard
        guard.close()
        taken = error.errno == errno.EADDRINUSE
        reason = "another engine uses it" if taken else os.strerror(error.errno or 0)
        raise Unavailable(f"cannot use bridge {name}: {reason}; give --bridge another name") from None
    return guard


def unix_socket() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)


def held_by_engine(address: str) -> bool:
    """Whether the one who listens there is a process of this host's own file tree."""
    with unix_socket() as probe:
        try:
            probe.connect(address)
            pid, _, _ = CREDENTIALS.unpack(
                probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
            )
            return os.stat(f"/proc/{pid}/ns/mnt").st_ino == os.stat("/proc/self/ns/mnt").st_ino
        except OSError:
            return False
