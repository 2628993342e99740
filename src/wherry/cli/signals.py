"""Signals as readable events, so that one loop handles them beside its streams."""

from __future__ import annotations

import os
import select
import time

from wherry.cli.bare import set_signal, set_wakeup_fd
from wherry.cli.errors import CliError, Exit
from wherry.values.signals import NUMBERS, signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType

    Forward = Callable[[str], None]
    Handler = Callable[[int, FrameType | None], object] | int | None

FORWARDED = ("HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "ALRM", "CONT", "TSTP")
ENDING = ("HUP", "INT", "QUIT", "TERM")
IMPATIENT = 3  # interrupts that a container may ignore before its client gives up


class Signals:
    """While entered, signals are collected: ``forward`` gets the name of each (to send it to the container); without
    it, one that would end this process raises Exit, so that the terminal is restored first. ``resized`` is called at
    SIGWINCH."""

    def __init__(self, forward: Forward | None, resized: Callable[[], None] | None = None) -> None:
        self._forward = forward
        self._resized = resized
        self._interrupts = 0
        self._handlers: dict[int, Handler] = {}
        self._wakeup = -1
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def __enter__(self) -> Signals:
        names = [*(FORWARDED if self._forward else ENDING), *(["WINCH"] if self._resized else [])]
        self._wakeup = set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for name in names:
            number = NUMBERS[name]
            self._handlers[number] = set_signal(number, _nothing)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            set_signal(number, handler)
        set_wakeup_fd(self._wakeup)
        os.close(self._read)
        os.close(self._write)

    def fileno(self) -> int:
        """Readable when a signal has come, for select(2)."""
        return self._read

    def handle(self) -> None:
        """Act on the signals that came in."""
        try:
            numbers = os.read(self._read, 256)
        except BlockingIOError:
            return
        for number in dict.fromkeys(numbers):
            if number == NUMBERS["WINCH"]:
                if self._resized:
                    self._resized()
            elif self._forward is None:
                raise Exit(128 + number)
            else:
                self._count(number)
                self._forward(signal_name(number))

    def _count(self, number: int) -> None:
        self._interrupts += number in (NUMBERS["INT"], NUMBERS["TERM"])
        if self._interrupts >= IMPATIENT:
            raise CliError(f"got {IMPATIENT} SIGTERM/SIGINTs, forcefully exiting")

    def wait_readable(self, fd: int, seconds: float | None = None) -> bool:
        """Wait until the descriptor can be read, handling signals meanwhile; False after so many seconds."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready = select.select([fd, self._read], [], [], left)[0]
            if self._read in ready:
                self.handle()
            if fd in ready:
                return True
            if not ready:
                return False


def _nothing(number: int, frame: FrameType | None) -> None:
    pass
