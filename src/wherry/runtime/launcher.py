"""Start plans: the daemon's way to the launcher.

``docs/launcher.md`` has the contract, ``monitored.py`` what the launcher becomes. Nothing here blocks the event loop:
a launch is one packet to the spawner.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from errno import ECONNREFUSED, ECONNRESET, ENOENT, ENOTDIR
from pathlib import Path
from weakref import WeakSet

from wherry.errors import LaunchFailed, wanting
from wherry.linux.pidfd import SocketHolders, name_of
from wherry.linux.writing import write_all
from wherry.runtime.exit_status import LOST_EXIT_CODE, ExitStatus, read_exit_file
from wherry.runtime.monitored import PLACES, Attach, Clean, Monitored, nothing
from wherry.runtime.patience import Action, Patience
from wherry.runtime.spawner import Spawner
from wherry.runtime.steps import Fd, Launchable

__all__ = [
    "LOST_EXIT_CODE",
    "Attach",
    "ExitStatus",
    "Launcher",
    "Monitored",
    "Patience",
    "read_exit_file",
]

PAUSES = (0.01, 0.1, 1.0, 3.0)  # seconds, between tries to reach a monitor
NOBODY_THERE = frozenset({ENOENT, ENOTDIR, ECONNREFUSED, ECONNRESET})
END_SECONDS = 60.0  # for what cannot even be killed
SOON_SECONDS = 0.5  # between looks for starts that take that long
HIGH_FD = 64  # above every descriptor that the launcher expects by number
SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def sealed_memfd(name: str, content: bytes) -> int:
    """An unnamed file that nobody can change any more. Returns its descriptor."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        write_all(descriptor, content)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextlib.contextmanager
def short_path(path: Path) -> Iterator[str]:
    """A name for a socket's path within the 107 bytes that an address takes."""
    if len(os.fsencode(path)) < 108:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def listen_at(path: Path) -> socket.socket:
    """A listening socket for later daemons, open to root only."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        path.unlink(missing_ok=True)
        with short_path(path) as name:
            listener.bind(name)
        path.chmod(0o600)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def connect_to(listen_path: Path) -> socket.socket:
    """A connection to the monitor that listens there. OSError where none does."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    try:
        with short_path(listen_path) as name:
            connection.connect(name)
    except OSError:
        connection.close()
        raise
    return connection


async def reach(listen_path: Path) -> socket.socket:
    """The same. What stands in our own way, as that there is no descriptor to spare, says nothing of the monitor: it is
    tried again, since one that cannot be reached is ended."""
    for pause in PAUSES:
        try:
            return connect_to(listen_path)
        except OSError as error:
            if error.errno in NOBODY_THERE:
                raise
        await asyncio.sleep(pause)
    return connect_to(listen_path)


def listener_of(connection: socket.socket) -> int:
    """Who listens at the other end: a monitor does so itself, for this. 0 where it is another's doing.

    unix(7), SO_PEERCRED.
    """
    pid, _, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid if name_of(pid) in PLACES else 0


class Launcher:
    """Starts plans. Holds a sealed copy of the binary, so that no container can ever change what is executed."""

    def __init__(self, binary: Path, patience: Patience | None = None) -> None:
        copy = sealed_memfd("wherry-launcher", binary.read_bytes())
        self._binary = fcntl.fcntl(copy, fcntl.F_DUPFD_CLOEXEC, HIGH_FD)
        os.close(copy)
        self._spawner = Spawner(self._binary)
        self._patience = patience or Patience()
        self._former: dict[Path, Monitored] = {}
        self._all: WeakSet[Monitored] = WeakSet()
        self._next_look: asyncio.TimerHandle | None = None

    def let_go(self) -> None:
        """Running monitors are not touched, and nothing more is heard of them: who would hear it is about to end."""
        if self._next_look is not None:
            self._next_look.cancel()
        for monitored in list(self._all):
            monitored.close()

    def close(self) -> None:
        """What has not started ends with the spawner."""
        self._spawner.close()
        if self._binary >= 0:
            os.close(self._binary)
        self._binary = -1

    async def launch(
        self,
        plan: Launchable,
        *,
        fds: Mapping[Fd, int],
        listen_path: Path | None,
        exit_file: Path | None = None,
        clean: Clean = nothing,
        attaches: Sequence[Attach] = (),
        meanwhile: Callable[[], None] = nothing,
    ) -> Monitored:
        """Carry out a plan; returns when its command runs.

        ``fds`` are the descriptors that the plan names; the caller keeps its own. With ``listen_path`` a later daemon
        finds the monitor there. ``exit_file`` is where the plan has its end noted. ``clean`` removes
        the plan's cgroups where the monitor is lost. ``attaches`` get the first byte.
        LaunchFailed names the step that failed; then nothing is left of the container, and the clients' sockets are
        the caller's again. Internal where it came to no launcher. ``meanwhile`` is called while the launcher is at
        work; what it raises ends the launch. A former monitor with the same ``listen_path`` is waited for until it
        has removed its cgroups.
        """
        if listen_path is not None:
            await self._former_cleaned(listen_path)
        with wanting("start the launcher"):
            monitored = await self._begin(plan, fds, listen_path, exit_file, clean, attaches)
        try:
            await started(monitored, meanwhile)
        except BaseException:
            if listen_path is not None:
                listen_path.unlink(missing_ok=True)
            raise
        if listen_path is not None:
            self._remember(listen_path, monitored)
        return monitored

    async def _begin(
        self,
        plan: Launchable,
        fds: Mapping[Fd, int],
        listen_path: Path | None,
        exit_file: Path | None,
        clean: Clean,
        attaches: Sequence[Attach],
    ) -> Monitored:
        """The launcher, with all that it is given."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        with contextlib.ExitStack() as stack, contextlib.ExitStack() as failed:
            failed.callback(ours.close)
            stack.callback(theirs.close)
            theirs.setblocking(True)
            given = {Fd.CONTROL: theirs.fileno(), **fds}
            given[Fd.PLAN] = sealed_memfd("wherry-plan", plan.encode())
            stack.callback(os.close, given[Fd.PLAN])
            if listen_path is not None:
                failed.callback(listen_path.unlink, missing_ok=True)
                given[Fd.LISTEN] = stack.enter_context(listen_at(listen_path)).fileno()
            inode = os.fstat(theirs.fileno()).st_ino
            monitored = Monitored(ours, plan, exit_file, clean=clean, patience=self._patience, inode=inode)
            failed.callback(monitored.close)
            self._all.add(monitored)
            for attach in attaches:
                await monitored.attach(attach)
            await self._spawner.spawn(given)
            failed.pop_all()
        self._look_soon()
        return monitored

    async def take_over(self, listen_path: Path, exit_file: Path | None, clean: Clean = nothing) -> Monitored:
        """The monitor of a container that a former daemon started. OSError where none listens, or the one that does
        says nothing; of that one, nothing is left."""
        connection = await reach(listen_path)
        monitored = Monitored(
            connection, None, exit_file, clean=clean, patience=self._patience, pid=listener_of(connection)
        )
        self._all.add(monitored)
        self._look_soon()
        try:
            await monitored.started
        except LaunchFailed as error:
            raise ConnectionResetError(f"the monitor at {listen_path}: {error}") from error
        self._remember(listen_path, monitored)
        return monitored

    def look_after(self) -> None:
        """To be called every few seconds: no monitor keeps anybody waiting for ever, whoever has stopped it."""
        self._press(self._all)

    def _look_soon(self) -> None:
        """A start is under way: what joins other processes may be stopped by them at each step that it takes."""
        if self._next_look is None:
            self._next_look = asyncio.get_running_loop().call_later(SOON_SECONDS, self._look_at_starts)

    def _look_at_starts(self) -> None:
        self._next_look = None
        starting = [monitored for monitored in self._all if monitored.starting]
        if starting:
            self._press(starting)
            self._look_soon()

    def _press(self, some: Iterable[Monitored]) -> None:
        now, holders = time.monotonic(), SocketHolders(PLACES)
        actions = [monitored.press(now, holders) for monitored in some]
        if Action.KILL in actions:
            self._spawner.kill()
        elif Action.WAKE in actions:
            self._spawner.wake()

    def _remember(self, listen_path: Path, monitored: Monitored) -> None:
        """Until its cgroups are gone; a later launch may have taken its place by then."""
        self._former[listen_path] = monitored

        def forget(_: asyncio.Future[None]) -> None:
            if self._former.get(listen_path) is monitored:
                del self._former[listen_path]

        monitored.cleaned.add_done_callback(forget)

    async def _former_cleaned(self, listen_path: Path) -> None:
        former = self._former.get(listen_path)
        if former is not None and former.exited.done():
            await asyncio.shield(former.cleaned)


async def started(monitored: Monitored, meanwhile: Callable[[], None]) -> None:
    """Wait for the launcher's word. What a caller has given up is ended when it has come so far.

    What ``meanwhile`` raises is raised when nothing is left of the container.
    """
    try:
        meanwhile()
    except BaseException:
        monitored.abandon()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(monitored.cleaned, END_SECONDS)
        raise
    try:
        await monitored.started
    except LaunchFailed:
        monitored.close()
        raise
    except BaseException:
        monitored.abandon()
        raise
