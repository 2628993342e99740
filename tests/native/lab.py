"""Real containers for tests: a root of busybox, a launcher, and cgroups below one parent that goes with them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.native.full_container import Bundle, Wanted, container_plan, exec_plan
from wherry.linux import cgroupfs
from wherry.runtime.binary import launcher_path
from wherry.runtime.launcher import Attach, ExitStatus, Launcher, Monitored
from wherry.runtime.monitored import nothing
from wherry.runtime.steps import Fd, Plan

PATIENCE = 20.0  # seconds, for what should take milliseconds


@dataclass(frozen=True)
class Ended:
    status: ExitStatus
    output: bytes
    warnings: list[str]


@dataclass
class Lab:
    bundle: Bundle
    launcher: Launcher
    monitors: list[int] = field(default_factory=list)

    @property
    def socket_path(self) -> Path:
        return self.bundle.base / "monitor.sock"

    async def launch(self, plan: Plan, *attaches: Attach, fds: dict[Fd, int] | None = None) -> Monitored:
        first = Fd.TARGET not in (fds or {})
        return await self.launcher.launch(
            plan,
            fds=fds or {},
            listen_path=self.socket_path if first else None,
            exit_file=self.bundle.base / "c.exit" if first else None,
            clean=self.clean if first else nothing,
            attaches=attaches,
        )

    def clean(self) -> None:
        """What a monitor that is lost would have removed."""
        for path in self.bundle.cgroups():
            cgroupfs.remove(path)

    async def start(self, wanted: Wanted, *attaches: Attach) -> Monitored:
        return await self.launch(container_plan(self.bundle, wanted), *attaches)

    async def finish(self, monitored: Monitored) -> ExitStatus:
        status = await asyncio.wait_for(monitored.exited, PATIENCE)
        await asyncio.wait_for(monitored.cleaned, PATIENCE)
        await asyncio.sleep(0)  # what came with it is heard
        monitored.close()
        return status

    @contextlib.asynccontextmanager
    async def running(self, wanted: Wanted | None = None) -> AsyncIterator[Monitored]:
        """A container that runs meanwhile."""
        monitored = await self.start(wanted or Wanted(argv=("sleep", "1000")))
        try:
            yield monitored
        finally:
            monitored.signal(9)
            await self.finish(monitored)

    async def collect(
        self, plan: Plan, input: bytes, fds: dict[Fd, int] | None = None, **attach: bool
    ) -> Ended:
        """Run a plan to its end with one client, which gives ``input`` and takes all output."""
        client, server = socket.socketpair()
        with client:
            try:
                wanted = Attach(1, server.fileno(), stdin=bool(input), **attach)
                monitored = await self.launch(plan, wanted, fds=fds)
            finally:
                server.close()
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            with contextlib.suppress(OSError):  # it may have ended by now
                await loop.sock_sendall(client, input)
                client.shutdown(socket.SHUT_WR)
            output = await asyncio.wait_for(read_all(client), PATIENCE)
            return Ended(await self.finish(monitored), output, monitored.warnings)

    async def run(self, wanted: Wanted, input: bytes = b"") -> Ended:
        return await self.collect(container_plan(self.bundle, wanted), input)

    async def execute(self, target: Monitored, wanted: Wanted, input: bytes = b"") -> Ended:
        pidfd = os.pidfd_open(target.init_pid)
        try:
            return await self.collect(exec_plan(self.bundle, wanted), input, {Fd.TARGET: pidfd})
        finally:
            os.close(pidfd)

    def shell(self, script: str, **changes: object) -> Ended:
        """Run a shell script in a container of its own."""
        wanted = Wanted(argv=("sh", "-c", script), **changes)  # type: ignore[arg-type]
        return asyncio.run(self.run(wanted))

    def left_cgroups(self) -> list[str]:
        return [path for path in self.bundle.cgroups() if os.path.exists(path)]


async def read_all(client: socket.socket) -> bytes:
    loop, pieces = asyncio.get_running_loop(), []
    while piece := await loop.sock_recv(client, 1 << 18):
        pieces.append(piece)
    return b"".join(pieces)


def frames(stream: bytes) -> list[tuple[int, bytes]]:
    """Docker's multiplexed stream taken apart; fails where it ends inside a frame."""
    found, at = [], 0
    while at < len(stream):
        number, length = stream[at], int.from_bytes(stream[at + 4 : at + 8], "big")
        assert stream[at + 1 : at + 4] == b"\0\0\0" and at + 8 + length <= len(stream)
        found.append((number, stream[at + 8 : at + 8 + length]))
        at += 8 + length
    return found


def joined(stream: bytes, number: int) -> bytes:
    return b"".join(data for kind, data in frames(stream) if kind == number)


@pytest.fixture
def lab() -> Iterator[Lab]:
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="wherry-test-", dir=parent) as base:
        bundle = Bundle.make(Path(base))
        launcher = Launcher(Path(os.environ.get("WHERRY_TEST_LAUNCHER") or launcher_path()))
        try:
            yield Lab(bundle, launcher)
        finally:
            launcher.close()
            bundle.remove()
