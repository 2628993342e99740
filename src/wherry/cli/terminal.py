"""The user's terminal: its size, raw mode that is always undone, and the keys that detach."""

from __future__ import annotations

import os
import sys

from wherry.cli.errors import CliError
from wherry.errors import InvalidArgument
from wherry.values.keys import DEFAULT_DETACH_KEYS, parse_keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

NO_SIZE = (0, 0)

# tcgetattr's fields
IFLAG, OFLAG, CFLAG, LFLAG, CC = 0, 1, 2, 3, 6


def size(fd: int = 1) -> tuple[int, int]:
    """(rows, columns) of a terminal; (0, 0) where the descriptor is none."""
    try:
        columns, rows = os.get_terminal_size(fd)
    except OSError:
        return NO_SIZE
    return rows, columns


def check_tty(tty: bool, attach_stdin: bool) -> None:
    """A terminal inside needs one outside, where its keys come from. Raises CliError."""
    if tty and attach_stdin and not os.isatty(0):
        raise CliError("the input device is not a TTY")


class RawMode:
    """While entered, every key of a terminal is passed through unchanged; it is as before afterwards, however this
    ends. Without a descriptor, or where that is no terminal, nothing is done."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd
        self._before: list[Any] | None = None

    def __enter__(self) -> None:
        if self._fd is None:
            return
        import termios

        try:
            self._before = termios.tcgetattr(self._fd)
        except termios.error:
            return
        sys.stdout.flush()
        termios.tcsetattr(self._fd, termios.TCSANOW, _raw(termios.tcgetattr(self._fd)))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._fd is None or self._before is None:
            return
        import termios

        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)


def _raw(mode: list[Any]) -> list[Any]:
    """The mode without echo, line editing, signals and translations. termios(3), cfmakeraw."""
    import termios

    mode[IFLAG] &= ~(
        termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP
        | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON
    )  # fmt: skip
    mode[OFLAG] &= ~termios.OPOST
    mode[LFLAG] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    mode[CFLAG] = (mode[CFLAG] & ~(termios.CSIZE | termios.PARENB)) | termios.CS8
    mode[CC][termios.VMIN], mode[CC][termios.VTIME] = 1, 0
    return mode


def parse_detach_keys(text: str) -> bytes:
    """``ctrl-p,ctrl-q`` or ``a,b`` as the bytes that the keys send. CliError otherwise."""
    try:
        return parse_keys(text or DEFAULT_DETACH_KEYS)
    except InvalidArgument as error:
        raise CliError(f"invalid detach keys: {error}") from None


class DetachFilter:
    """Watches what is typed for the detach keys, and holds back a beginning of them until it is known not to be."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._matched = 0

    def feed(self, typed: bytes) -> tuple[bytes, bool]:
        """What to send on, and whether the user detached."""
        if not self._matched and self._keys[0] not in typed:
            return typed, False
        sent = bytearray()
        for code in typed:
            if code != self._keys[self._matched]:
                sent += self._keys[: self._matched]
                self._matched = 0
            if code == self._keys[self._matched]:
                self._matched += 1
            else:
                sent.append(code)
            if self._matched == len(self._keys):
                return bytes(sent), True
        return bytes(sent), False
