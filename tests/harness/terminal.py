"""A command in a real pseudo terminal, as a person at a keyboard has it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType


class Terminal:
    """Runs a command on a pty: type with ``send``, look with ``expect``, and ``wait`` for its exit code."""

    def __init__(
        self, argv: Sequence[str], environment: Mapping[str, str], rows: int = 30, columns: int = 100
    ) -> None:
        self.seen = ""
        self._unread = ""
        self._code: int | None = None
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
                os.execvpe(argv[0], list(argv), {**environment, "TERM": "xterm"})
            finally:
                os._exit(127)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def send(self, text: str) -> None:
        """Type."""
        os.write(self._fd, text.encode())

    def expect(self, pattern: str, seconds: float = 10) -> re.Match[str]:
        """Wait until the pattern appears in what was not looked at yet, and go past it."""
        deadline = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self._unread)
            if found:
                self._unread = self._unread[found.end() :]
                return found
            if not self._read(deadline - time.monotonic()):
                raise AssertionError(
                    f"{pattern!r} did not appear in {seconds} s; on the screen:\n{self.seen}"
                )

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._fd], [], [], max(0.0, seconds))
        if not ready:
            return False
        try:
            got = os.read(self._fd, 65536).decode(errors="replace")
        except OSError:  # EIO: the other end is closed
            return False
        self.seen += got
        self._unread += got
        return bool(got)

    def resize(self, rows: int, columns: int) -> None:
        """Change the window, as dragging its corner does."""
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.kill(self.pid, signal.SIGWINCH)

    def wait(self, seconds: float = 15) -> int:
        """The command's exit code; what it still says goes to ``seen``."""
        deadline = time.monotonic() + seconds
        while self._code is None:
            self._read(0.02)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                while self._read(0.05):
                    pass
                self._code = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > deadline:
                raise AssertionError(f"no end after {seconds} s; on the screen:\n{self.seen}")
        return self._code

    def close(self) -> None:
        if self._code is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self._code = -signal.SIGKILL
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
