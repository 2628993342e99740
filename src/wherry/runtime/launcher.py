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
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from wherry.errors import LaunchFailed, wanting
from wherry.runtime.monitored import (
    LOST_EXIT_CODE,
    Attach,
    ExitStatus,
    Monitored,
    read_exit_file,
)
from wherry.runtime.spawner import Spawner
from wherry.runtime.steps import Fd, Launchable

__all__ = [
    "LOST_EXIT_CODE",
    "Attach",
    "ExitStatus",
    "Launcher",
    "Monitored",
    "read_exit_file",
    "reconnect",
]

END_SECONDS = 10.0
HIGH_FD = 64  # above every descriptor that the launcher expects by number
SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def sealed_memfd(name: str, content: bytes) -> int:
    """An unnamed file that nobody can change any more. Returns its descriptor."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
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
        listener.listen(8)
    except OSError:
        listener.close()
        raise
    return listener


async def reconnect(listen_path: Path, exit_file: Path | None = None) -> Monitored:
    """Find the monitor of a container that a former daemon started. OSError where none listens."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    try:
        with short_path(listen_path) as name:
            connection.connect(name)
    except OSError:
        connection.close()
        raise
    monitored = Monitored(connection, None, exit_file)
    try:
        await monitored.started
    except LaunchFailed as error:
        raise ConnectionResetError(f"the monitor at {listen_path} has just ended") from error
    return monitored


def nothing() -> None:
    """The default of what is done while the launcher is at work."""


class Launcher:
    """Starts plans. Holds a sealed copy of the binary, so that no container can ever change what is executed."""

    def __init__(self, binary: Path) -> None:
        copy = sealed_memfd("wherry-launcher", binary.read_bytes())
        self._binary = fcntl.fcntl(copy, fcntl.F_DUPFD_CLOEXEC, HIGH_FD)
        os.close(copy)
        self._spawner = Spawner(self._binary)
        self._former: dict[Path, Monitored] = {}

    def close(self) -> None:
        """Running monitors are not touched."""
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
        attaches: Sequence[Attach] = (),
        meanwhile: Callable[[], None] = nothing,
    ) -> Monitored:
        """Carry out a plan; returns when its command runs.

        ``fds`` are the descriptors that the plan names; the caller keeps its own. With ``listen_path`` a later daemon
        finds the monitor there. ``exit_file`` is where the plan has its end noted. ``attaches`` get the first byte.
        LaunchFailed names the step that failed; then nothing is left of the container, and the clients' sockets are
        the caller's again. Internal where it came to no launcher. ``meanwhile`` is called while the launcher is at
        work; what it raises ends the launch. A former monitor with the same ``listen_path`` is waited for until it
        has removed its cgroups.
        """
        if listen_path is not None:
            await self._former_cleaned(listen_path)
        with wanting("start the launcher"):
            monitored = await self._begin(plan, fds, listen_path, exit_file, attaches)
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
            monitored = Monitored(ours, plan, exit_file)
            failed.callback(monitored.close)
            for attach in attaches:
                await monitored.attach(attach)
            await self._spawner.spawn(given)
            failed.pop_all()
        return monitored

    async def take_over(self, listen_path: Path, exit_file: Path) -> Monitored:
        """The monitor of a container that a former daemon started. OSError where none listens."""
        monitored = await reconnect(listen_path, exit_file)
        self._remember(listen_path, monitored)
        return monitored

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
