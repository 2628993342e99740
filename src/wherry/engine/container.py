"""One container, as the running daemon holds it: its record, its monitor, and who waits for it."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field

from wherry.engine.record import ContainerRecord, Status
from wherry.errors import InvalidArgument
from wherry.messages.container import State
from wherry.network.endpoint import Endpoint
from wherry.runtime.launcher import Attach, ExitStatus, Monitored
from wherry.values.times import now, rfc3339

CONDITIONS = ("not-running", "next-exit", "removed")


@dataclass(frozen=True, slots=True)
class WaitResult:
    """Answer of ``wait``: the exit code, and what went wrong in removing it, if anything."""

    status_code: int
    error: str | None = None


@dataclass(frozen=True, slots=True)
class AttachRequest:
    """What a client of ``attach`` wants. ``framed``: with Docker's 8-byte headers (no terminal)."""

    stream: bool = True
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    logs: bool = False
    detach_keys: str = ""
    framed: bool = True


@dataclass(slots=True)
class Container:
    """A container's record and what the daemon holds for it while it lives."""

    record: ContainerRecord
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    monitor: Monitored | None = None
    pidfd: int = -1
    endpoint: Endpoint | None = None
    removing: bool = False
    restarting: bool = False  # its next exit is no reason to remove it
    started_monotonic: float = 0.0
    ended: asyncio.Event = field(default_factory=asyncio.Event)  # set while it does not run
    attaching: list[Attach] = field(default_factory=list)  # clients that came before the start
    waiters: list[tuple[str, asyncio.Future[WaitResult]]] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def state(self) -> State:
        return self.record.state

    @property
    def running(self) -> bool:
        return self.record.state.running

    def waiter(self, condition: str) -> asyncio.Future[WaitResult]:
        """A future for ``not-running``, ``next-exit`` or ``removed``. Registered before this returns."""
        if condition not in CONDITIONS:
            raise InvalidArgument(f'invalid condition: "{condition}"')
        future: asyncio.Future[WaitResult] = asyncio.get_running_loop().create_future()
        if condition == "not-running" and not self.running:
            future.set_result(WaitResult(self.state.exit_code))
        else:
            self.waiters.append((condition, future))
        return future

    def settle(self, *conditions: str) -> None:
        """Answer everybody who waits for one of the conditions."""
        result = WaitResult(self.state.exit_code)
        still: list[tuple[str, asyncio.Future[WaitResult]]] = []
        for condition, future in self.waiters:
            if future.done():
                continue
            if condition in conditions:
                future.set_result(result)
            else:
                still.append((condition, future))
        self.waiters = still

    def mark_running(self, pid: int) -> None:
        state = self.state
        state.status, state.running, state.pid = Status.RUNNING, True, pid
        state.exit_code, state.error, state.oom_killed, state.dead = 0, "", False, False
        state.started_at = now()
        self.ended.clear()

    def mark_exited(self, status: ExitStatus) -> None:
        state = self.state
        state.status, state.running, state.paused, state.pid = Status.EXITED, False, False, 0
        state.exit_code, state.oom_killed = status.code, status.oom
        state.finished_at = rfc3339(status.finished_ns)
        if status.lost:
            state.error = "the monitor ended without leaving an exit status"
        self.ended.set()

    def mark_failed(self, error: str, exit_code: int) -> None:
        """A start that failed: the container is as it was before, with the reason."""
        state = self.state
        state.error, state.exit_code = error, exit_code
        state.running, state.pid = False, 0
        self.ended.set()

    def drop_handles(self) -> None:
        """Let go of descriptors; what they held ends with their last holder."""
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1
        self.monitor = None

    def drop_attaching(self) -> None:
        """Close the connections of clients that attached before a start that never came."""
        for attach in self.attaching:
            os.close(attach.sock_fd)
        self.attaching.clear()
