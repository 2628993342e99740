"""What can be made to fail, in the kinds that stand or fall together."""

from __future__ import annotations

import fcntl
import socket
from collections.abc import Callable

from tests.faults.inject import DAEMON, LAUNCHER, Call, Kind

DUPLICATE = (fcntl.F_DUPFD, fcntl.F_DUPFD_CLOEXEC)
ADD_SEALS = 1033


def is_store(call: Call) -> bool:
    """A write of SQLite's. (A lock that cannot be let go of is no fault that a machine has.)"""
    return "wherry.db" in call.subject


def is_netlink(call: Call) -> bool:
    if call.name == "socket":
        return call.args[0] == socket.AF_NETLINK
    found = call.socket()
    if found is None:
        return False
    with found:
        return found.family == socket.AF_NETLINK


def is_ours(call: Call) -> bool:
    """A file of the engine's own, or of the kernel's that the engine writes to; not Python's, not the store's."""
    if call.name == "write" and call.file.startswith(("socket:", "anon_inode:", "pipe:")):
        return False
    subject = call.subject
    return subject.startswith(("/tmp/wherry-", "/sys/", "/proc/")) and "wherry.db" not in subject


def is_launch(call: Call) -> bool:
    """What the daemon needs to have a launcher, and to talk with it."""
    if call.name == "fcntl":
        return call.args[1] in (*DUPLICATE, ADD_SEALS)
    if call.name in ("sendmsg", "bind", "listen"):
        found = call.socket()
        if found is None:
            return False
        with found:
            return found.family == socket.AF_UNIX and found.type == socket.SOCK_SEQPACKET
    if call.name == "socket":
        return call.args[0] == socket.AF_UNIX and call.args[1] & 0xFF == socket.SOCK_SEQPACKET
    return True


def is_launchers(call: Call) -> bool:
    """Of a launcher everything that can fail, but reads of what it only asks about."""
    return call.name != "fcntl" or call.args[1] in DUPLICATE


def kind(name: str, who: str, calls: str, accepts: Callable[[Call], bool]) -> Kind:
    return Kind(name, who, frozenset(calls.split()), accepts)


STORE = kind("store", DAEMON, "pwrite64 write fdatasync fsync ftruncate", is_store)
NETLINK = kind("netlink", DAEMON, "socket sendto sendmsg recvfrom recvmsg", is_netlink)
NAMESPACE = kind("namespace", DAEMON, "unshare setns", lambda call: True)
FILES = kind(
    "files",
    DAEMON,
    "openat write mkdir mkdirat rename unlink unlinkat rmdir chmod fchmod chown fchown flock",
    is_ours,
)
MOUNTS = kind("mounts", DAEMON, "mount umount2 mkdir rmdir", lambda call: True)
LAUNCH = kind(
    "launch",
    DAEMON,
    "memfd_create socketpair socket bind listen sendmsg fcntl pidfd_open vfork execve",
    is_launch,
)
LAUNCHERS = kind(
    "launcher",
    LAUNCHER,
    "open openat openat2 dup2 dup3 pipe2 fcntl socket socketpair epoll_create1 signalfd4 fsopen write mkdir mkdirat "
    "symlinkat mknodat rename ftruncate epoll_ctl read fdatasync rmdir ioctl getdents64 fstat newfstatat fstatfs "
    "recvmsg clone clone3 fork unshare setns mount fsconfig fsmount move_mount open_tree mount_setattr pivot_root "
    "umount2 execve chdir fchdir mmap capset capget prctl seccomp bpf sethostname setdomainname setgroups setresuid "
    "setresgid prlimit64 keyctl close_range poll sendto sendmsg fchown getcwd",
    is_launchers,
)
