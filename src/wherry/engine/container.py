"""One container, as the running daemon holds it: what was wished, what is the case, its process, who waits for it."""

from __future__ import annotations

import asyncio
import os
import select
from dataclasses import dataclass, field

from wherry.engine.executor import Run
from wherry.engine.record import ContainerRecord, ContainerState, ContainerView, Phase
from wherry.errors import InvalidArgument
from wherry.network.endpoint import Attachment
from wherry.runtime.launcher import Attach

CONDITIONS = ("not-running", "next-exit", "removed")


@dataclass(frozen=True, slots=True)
class WaitResult:
    """Answer of ``wait``: the exit code, and what went wrong in removing it, if anything."""

    status_code: int
    error: str | None = None


def over() -> asyncio.Event:
    """An event that has happened."""
    event = asyncio.Event()
    event.set()
    return event


@dataclass(slots=True)
class Container:
    """A container's record and state, and what the daemon holds for it while it lives.

    ``lock`` is held by whoever moves it from phase to phase, never while waiting for its process. ``ended`` is of the
    present run, or of none, and then set.
    """

    record: ContainerRecord
    state: ContainerState = field(default_factory=ContainerState)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    run: Run | None = None
    ended: asyncio.Event = field(default_factory=over)
    started_monotonic: float = 0.0
    attaching: list[Attach] = field(default_factory=list)  # clients that came before the start
    waiters: list[tuple[str, asyncio.Future[WaitResult]]] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def phase(self) -> Phase:
        return self.state.phase

    @property
    def running(self) -> bool:
        """Whether it has a process."""
        return self.run is not None

    @property
    def attachments(self) -> dict[str, Attachment]:
        """Its places on networks, by name; none while it does not run."""
        return self.run.attachments if self.run is not None else {}

    @property
    def view(self) -> ContainerView:
        """The container for who looks at it; it goes on changing. See ``ContainerView.copied``."""
        return ContainerView(self.record, self.state, self.attachments)

    # ------------------------------------------------------------ who waits

    def waiter(self, condition: str) -> asyncio.Future[WaitResult]:
        """A future for ``not-running``, ``next-exit`` or ``removed``. Registered before this returns."""
        if condition not in CONDITIONS:
            raise InvalidArgument(f'invalid condition: "{condition}"')
        future: asyncio.Future[WaitResult] = asyncio.get_running_loop().create_future()
        if condition == "not-running" and not self.running:
            future.set_result(WaitResult(self.state.exit_code))
        else:
            waiting = [(its, who) for its, who in self.waiters if not who.done()]  # some clients have gone
            self.waiters = [*waiting, (condition, future)]
        return future

    def settle(self, *conditions: str, error: str | None = None) -> None:
        """Answer everybody who waits for one of the conditions; with ``error``, that it will not come, and why."""
        result = WaitResult(self.state.exit_code, error)
        still: list[tuple[str, asyncio.Future[WaitResult]]] = []
        for condition, future in self.waiters:
            if future.done():
                continue
            if condition in conditions:
                future.set_result(result)
            else:
                still.append((condition, future))
        self.waiters = still

    def keep_attaching(self, attach: Attach) -> None:
        """A client that waits for a start; its descriptor is the container's. Those that have gone are let go."""
        gone = [waiting for waiting in self.attaching if has_gone(waiting.sock_fd)]
        self.attaching = [*(waiting for waiting in self.attaching if waiting not in gone), attach]
        close_all(gone)

    def take_attaching(self) -> list[Attach]:
        """The clients that wait for a start; they are the caller's from now on."""
        attaching, self.attaching = self.attaching, []
        return attaching


def has_gone(sock_fd: int) -> bool:
    """Whether a client has closed its connection, not only the sending side. poll(2)."""
    poll = select.poll()
    poll.register(sock_fd, 0)  # POLLHUP and POLLERR come unasked
    return bool(poll.poll(0))


def close_all(attaches: list[Attach]) -> None:
    """Close the connections of clients: the monitor has copies, or there will be none."""
    for attach in attaches:
        os.close(attach.sock_fd)
