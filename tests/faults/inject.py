"""Let the Nth system call of a kind fail, in a daemon and the launchers that it starts.

A seccomp filter puts the calls before a thread of ours, which lets them pass, or answers with an error in the kernel's
stead (seccomp_unotify(2)). Unlike a tracer it costs little where nothing is to fail, counts over all threads and
children together, and takes its orders while the daemon runs.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

RECEIVE, ANSWER = 0xC0502100, 0xC0182101
REQUEST = struct.Struct("=QII iI Q 6Q")  # id, pid, flags; number, architecture, instruction, arguments
REPLY = struct.Struct("=QqiI")
GO_ON = 1
PIDFD_GETFD = 438
TEXT = 4096

libc = ctypes.CDLL(None, use_errno=True)
resolve = ctypes.CDLL("libseccomp.so.2").seccomp_syscall_resolve_name

# How each call fails here: as the kernel would let it on a full or broken machine.
FAILING = {
    errno.EMFILE: "open openat openat2 dup2 dup3 pipe2 fcntl socket socketpair epoll_create1 signalfd4 accept4 "
    "memfd_create pidfd_open fsopen",
    errno.ENOSPC: "write pwrite64 mkdir mkdirat symlinkat mknodat rename ftruncate fallocate epoll_ctl bind",
    errno.EIO: "read pread64 fdatasync fsync rmdir unlink unlinkat chmod fchmod chown fchown ioctl getdents64 fstat "
    "newfstatat fstatfs flock recvmsg recvfrom getcwd",
    errno.ENOMEM: "clone clone3 fork vfork unshare setns mount fsconfig fsmount move_mount open_tree mount_setattr "
    "pivot_root umount2 execve chdir fchdir mmap capset capget prctl seccomp bpf sethostname setdomainname setgroups "
    "setresuid setresgid prlimit64 keyctl close_range poll listen sendto sendmsg",
}
ERRORS: Mapping[str, int] = {name: number for number, names in FAILING.items() for name in names.split()}
NAMES = {number: name for name in ERRORS if (number := resolve(name.encode())) >= 0}

DAEMON, LAUNCHER = "wherryd", "launcher"
# Which argument says what a call is about: a path, or a descriptor in the first place.
PATHS = {
    0: "open mkdir rename rmdir unlink chmod chown chdir fsopen execve",
    1: "openat openat2 mkdirat unlinkat mknodat open_tree newfstatat mount",
    2: "symlinkat fsconfig",
    3: "move_mount",
}
PATH_AT = {name: place for place, names in PATHS.items() for name in names.split()}
DESCRIPTORS = (
    "write pwrite64 read pread64 fdatasync fsync ftruncate fallocate fcntl sendto sendmsg recvmsg recvfrom ioctl "
    "fchmod fchown fstat bind listen getdents64 flock"
)
DESCRIPTOR_AT = frozenset(DESCRIPTORS.split())


@dataclass(frozen=True)
class Call:
    """A system call that is about to be made."""

    pid: int
    name: str
    args: tuple[int, ...]

    @property
    def subject(self) -> str:
        """The path that it names, or the file that it works on; "" where there is none."""
        try:
            if self.name in PATH_AT:
                return self.text(self.args[PATH_AT[self.name]])
            return self.file if self.name in DESCRIPTOR_AT else ""
        except OSError:
            return ""

    @property
    def file(self) -> str:
        """What its first argument, a descriptor, is open on."""
        return os.readlink(f"/proc/{self.pid}/fd/{self.args[0] & 0x7FFFFFFF}")

    def text(self, address: int) -> str:
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            memory.seek(address)
            raw = memory.read(min(TEXT, 4096 - address % 4096)) or b""
            if b"\0" not in raw:
                raw += memory.read(TEXT) or b""
        return raw.partition(b"\0")[0].decode(errors="replace")

    def socket(self) -> socket.socket | None:
        """A copy of the socket that its first argument is, or None where that is something else."""
        try:
            pidfd = os.pidfd_open(tgid(self.pid))
        except OSError:
            return None
        try:
            copy = libc.syscall(PIDFD_GETFD, pidfd, ctypes.c_int(self.args[0] & 0x7FFFFFFF), 0)
        finally:
            os.close(pidfd)
        if copy < 0:
            return None
        try:
            return socket.socket(fileno=copy)
        except OSError:
            os.close(copy)
            return None

    def __str__(self) -> str:
        return f"{self.name}({self.subject}) = {errno.errorcode[ERRORS[self.name]]}"


def tgid(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("Tgid:"):
            return int(line.split()[1])
    raise ProcessLookupError(pid)


@dataclass(frozen=True)
class Kind:
    """Calls that are counted together: whose, which, and only those that ``accepts`` says yes to."""

    name: str
    who: str
    calls: frozenset[str]
    accepts: Callable[[Call], bool] = lambda call: True

    def __str__(self) -> str:
        return self.name


class Injector:
    """The supervisor of one daemon: ``arm``, let it work, ``disarm``."""

    def __init__(self, pid: int, kind: Kind | None = None, nth: int = 0, seconds: float = 10) -> None:
        """``kind`` and ``nth`` as for ``arm``."""
        self._pid = pid
        self._listener = take_listener(pid, seconds)
        self._lock = threading.Lock()
        self._kind = kind
        self._nth, self._times, self.count = nth, 1, 0
        self.hit: Call | None = None
        self._words = ""
        self._thread = threading.Thread(target=self._serve, name="injector", daemon=True)
        self._thread.start()

    def arm(self, kind: Kind, nth: int, times: int = 1) -> None:
        """From now on the ``nth`` call of a kind, counted from 1, fails, and as many as ``times`` from there on; 0 only
        counts."""
        with self._lock:
            self._times = times
            self._kind, self._nth, self.count, self.hit, self._words = kind, nth, 0, None, ""

    def disarm(self) -> str:
        """Let everything pass; the call that was made to fail, in words, or "" if it never came so far."""
        with self._lock:
            self._kind = None
            return self._words

    def _serve(self) -> None:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        request = bytearray(REQUEST.size)
        while True:
            if any(events & ~select.POLLIN for _, events in poll.poll()):
                os.close(self._listener)  # nobody is under the filter any more
                return
            request[:] = bytes(REQUEST.size)
            try:
                fcntl.ioctl(self._listener, RECEIVE, request)
            except OSError:
                continue  # it was interrupted, or died
            id, pid, _, number, _, _, *args = REQUEST.unpack(request)
            reply = REPLY.pack(id, 0, -self._judge(pid, number, args), 0)
            if reply[16:20] == b"\0\0\0\0":
                reply = REPLY.pack(id, 0, 0, GO_ON)
            try:
                fcntl.ioctl(self._listener, ANSWER, reply)
            except OSError:
                continue

    def _judge(self, pid: int, number: int, args: list[int]) -> int:
        """The error that the call is to have; 0 lets it pass."""
        kind = self._kind
        if kind is None or (name := NAMES.get(number)) not in kind.calls or self._who(pid) != kind.who:
            return 0
        call = Call(pid, name, tuple(args))
        if not kind.accepts(call):
            return 0
        with self._lock:
            if self._kind is not kind:
                return 0
            self.count += 1
            if not self._nth or not self._nth <= self.count < self._nth + self._times:
                return 0
            self.hit, self._words = call, str(call)
            return ERRORS[name]

    def _who(self, pid: int) -> str:
        if os.path.exists(f"/proc/{self._pid}/task/{pid}"):
            return DAEMON
        try:
            return LAUNCHER if "wherry-launcher" in os.readlink(f"/proc/{pid}/exe") else ""
        except OSError:
            return ""


def take_listener(pid: int, seconds: float) -> int:
    """A copy of the descriptor on which a process's calls are told; the process waits for it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        folder = f"/proc/{pid}/fd"
        try:
            for name in os.listdir(folder):
                if "seccomp notify" in os.readlink(f"{folder}/{name}"):
                    return copied(pid, int(name))
        except FileNotFoundError:
            pass
        time.sleep(0.002)
    raise TimeoutError("the daemon did not put itself under the supervisor")


def copied(pid: int, descriptor: int) -> int:
    pidfd = os.pidfd_open(pid)
    try:
        copy = libc.syscall(PIDFD_GETFD, pidfd, descriptor, 0)
    finally:
        os.close(pidfd)
    if copy < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return int(copy)
