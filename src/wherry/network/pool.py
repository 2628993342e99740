"""Ready-made endpoints, so that a container's start takes one instead of building one.

One thread makes them, up to ``target``: when half are gone, or when nobody has taken one for a moment, so that
the work does not run beside every single start. The target doubles when a taker finds the pool empty and returns
to its base when nobody has come for a while. A taker that finds none waits for the next one made.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

from wherry.errors import Unavailable
from wherry.network.endpoint import Endpoint

IDLE_SECONDS = 10.0
QUIET_SECONDS = 0.05
RETRY_SECONDS = 1.0

log = logging.getLogger(__name__)


class Pool:
    """Endpoints of one network; with size 0 none is ready, and each is made for its taker.

    ``make`` and ``discard`` are called in the pool's thread, in the network namespace of ``start``'s caller; ``given``
    with each endpoint that leaves the pool for a taker, before the taker has it.
    """

    def __init__(
        self,
        make: Callable[[], Endpoint],
        discard: Callable[[Endpoint], None],
        given: Callable[[Endpoint], object] = lambda endpoint: None,
        *,
        size: int = 8,
        largest: int = 32,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._make, self._discard, self._given = make, discard, given
        self._base = self._target = size
        self._largest = max(size, largest)
        self._idle_seconds = idle_seconds
        self._ready: deque[Endpoint] = deque()
        self._waiting: deque[Future[Endpoint]] = deque()
        self._wake = threading.Condition()
        self._last_taken = 0.0
        self._filling = True
        self._clockless = False  # the thread sleeps until it is woken
        self._closed = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to fill, in the background."""
        self._thread = threading.Thread(target=self._work, name="network-pool", daemon=True)
        self._thread.start()

    @property
    def ready(self) -> int:
        """How many endpoints wait to be taken."""
        return len(self._ready)

    @property
    def target(self) -> int:
        """How many endpoints the pool keeps ready at the moment."""
        return self._target

    def stock(self) -> tuple[Endpoint, ...]:
        """Those that wait to be taken."""
        with self._wake:
            return tuple(self._ready)

    def put(self, endpoint: Endpoint) -> None:
        """Add one that was made elsewhere to the stock."""
        with self._wake:
            self._ready.append(endpoint)

    def take(self) -> Endpoint | None:
        """A ready endpoint, at once; None where there is none."""
        with self._wake:
            self._last_taken = time.monotonic()
            endpoint = self._ready.popleft() if self._ready else None
            if endpoint is None:
                self._target = min(self._target * 2, self._largest)
        if endpoint is not None:
            self._given(endpoint)
        return endpoint

    def refill(self) -> None:
        """Have what was taken made again, if it is time. Whoever has taken one calls this when nothing waits for it any
        more: the thread that is woken wants the interpreter, and gets it at the taker's next system call."""
        with self._wake:
            if not self._filling and (self._clockless or self._low()):
                self._wake.notify()  # else the thread comes by itself

    def order(self) -> Future[Endpoint]:
        """The next endpoint that is made. Fails with what making it failed with."""
        future: Future[Endpoint] = Future()
        with self._wake:
            if self._closed or self._thread is None:
                raise Unavailable("the network is not up: the engine is starting or stopping")
            self._waiting.append(future)
            self._wake.notify()
        return future

    def close(self) -> None:
        """Discard what is ready, and end the thread."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        if self._thread is not None:
            self._thread.join()
        for future in self._waiting:
            future.cancel()
        while self._ready:
            self._discard(self._ready.popleft())

    # ------------------------------------------------------------ the thread

    def _work(self) -> None:
        while self._wait_for_work():
            if len(self._ready) > self._target:
                self._discard_one()
            else:
                self._make_one()

    def _wait_for_work(self) -> bool:
        """Return when there is something to make or discard; False at the end. Sleeps without a clock when full."""
        with self._wake:
            while not self._closed:
                quiet = time.monotonic() - self._last_taken
                if quiet >= self._idle_seconds:
                    self._target = self._base
                if self._has_work(quiet):
                    return True
                patience = self._patience(quiet)
                self._clockless = patience is None
                self._wake.wait(patience)
                self._clockless = False
            return False

    def _has_work(self, quiet: float) -> bool:
        stock = len(self._ready)
        if stock >= self._target:
            self._filling = False
        elif self._low() or quiet >= QUIET_SECONDS:
            self._filling = True
        return bool(self._waiting) or self._filling or stock > self._target

    def _low(self) -> bool:
        """Whether it is time to make some although takers come one after the other."""
        return len(self._ready) <= self._target // 2

    def _patience(self, quiet: float) -> float | None:
        """How long until the clock alone makes work."""
        if len(self._ready) < self._target:
            return QUIET_SECONDS - quiet
        return self._idle_seconds - quiet if self._target > self._base else None

    def _discard_one(self) -> None:
        with self._wake:
            endpoint = self._ready.pop() if self._ready else None
        if endpoint is not None:
            self._discard(endpoint)

    def _make_one(self) -> None:
        try:
            endpoint = self._make()
        except Exception as error:
            self._failed(error)
            return
        with self._wake:
            for future in self._drain_waiting():
                if future.set_running_or_notify_cancel():
                    self._given(endpoint)
                    future.set_result(endpoint)
                    return
            self._ready.append(endpoint)

    def _drain_waiting(self) -> list[Future[Endpoint]]:
        """The first taker that still waits, if any, with those before it who gave up."""
        drained = []
        while self._waiting:
            future = self._waiting.popleft()
            drained.append(future)
            if not future.cancelled():
                break
        return drained

    def _failed(self, error: Exception) -> None:
        """Tell who waits; otherwise try again later."""
        with self._wake:
            waiting, self._waiting = self._waiting, deque()
            if not waiting and not self._closed:
                log.warning("cannot make a network namespace in advance: %s", error)
                self._wake.wait(RETRY_SECONDS)
        for future in waiting:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
