"""The process that makes a launcher's process for each plan, so that the daemon need not wait for one to begin.

``posix_spawn`` holds its caller until the new program has begun, which is milliseconds where processors are short;
a packet to a process that waits for it holds nobody. ``native/spawner.c`` is the other side. What it makes are its
own children: it, or init, collects them.
"""

from __future__ import annotations

import array
import asyncio
import os
import signal
import socket
from collections.abc import Mapping

from wherry.errors import Internal
from wherry.linux import pidfd
from wherry.runtime.step import Fd

NAME = "wherry-spawner"
END_MILLISECONDS = 1000


class Spawner:
    """Hands plans to a spawner, which it starts with the first of them, and anew if that one is gone."""

    def __init__(self, binary: int) -> None:
        self._binary = binary  # a descriptor; the caller's
        self._socket: socket.socket | None = None
        self._pid = 0
        self._ended: list[int] = []  # not collected yet
        self._turn = asyncio.Lock()  # of who sends: the event loop tells one only that there is room

    def close(self) -> None:
        """End the process; what it has made goes on."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            see_out(self._pid)
            self._ended = [pid for pid in (*self._ended, self._pid) if not collected(pid)]

    def wake(self) -> None:
        """Let it go on, and the process that waits for a plan, if somebody has stopped them."""
        if self._socket is not None:
            for pid in pidfd.family(self._pid):
                pidfd.send(pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it: what waits for it is lost, and the next plan finds another."""
        if self._socket is not None:
            pidfd.send(self._pid, signal.SIGKILL)

    async def spawn(self, given: Mapping[Fd, int]) -> None:
        """A launcher with just these descriptors, which stay the caller's. What it says comes by its control socket."""
        numbers = bytes(int(number) for number in given)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", given.values()))]
        async with self._turn:
            while True:
                connection = self._socket or self._start()
                try:
                    connection.sendmsg([numbers], rights)
                    return
                except BlockingIOError:  # hundreds wait already
                    await writable(connection)
                except (BrokenPipeError, ConnectionResetError):
                    self.close()

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            place = (os.POSIX_SPAWN_DUP2, theirs.fileno(), int(Fd.CONTROL))
            others = ((os.POSIX_SPAWN_CLOSE, int(fd)) for fd in Fd if fd is not Fd.CONTROL)
            try:
                self._pid = os.posix_spawn(
                    f"/proc/self/fd/{self._binary}",
                    [NAME],
                    {},
                    file_actions=[place, *others],
                    setpgroup=0,  # of which the kernel lets go on who is stopped, when the daemon dies: see spawner.c
                )
            except OSError as error:
                ours.close()
                raise Internal(f"the launcher cannot be started: {error}") from error
        ours.setblocking(False)
        self._socket = ours
        return ours


def see_out(pid: int) -> None:
    """It ends by itself when its socket is closed; one that somebody has stopped is killed."""
    descriptor = pidfd.open_pidfd(pid)
    if descriptor >= 0:
        try:
            if not pidfd.readable(descriptor, END_MILLISECONDS):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                pidfd.readable(descriptor, END_MILLISECONDS)
        finally:
            os.close(descriptor)


def collected(pid: int) -> bool:
    """Whether there is no such child any more. One that is being traced cannot be collected yet: waiting for it would
    be waiting for who traces it."""
    try:
        return os.waitpid(pid, os.WNOHANG) != (0, 0)
    except ChildProcessError:
        return True


async def writable(connection: socket.socket) -> None:
    """Wait until more can be sent."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(connection, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(connection)
