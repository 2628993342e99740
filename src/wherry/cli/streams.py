"""A hijacked connection and the user's three descriptors: one loop, no thread.

Engine API, "Attach to a container", stream format: without a terminal the output comes in frames of an 8-byte header
(stream 1 or 2, three zero bytes, length big-endian) and its payload; input is always raw.
"""

from __future__ import annotations

import os
import select

from wherry.cli.bare import MSG_NOSIGNAL, SHUT_WR
from wherry.cli.errors import CliError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from wherry.cli.client import Connection
    from wherry.cli.signals import Signals
    from wherry.cli.terminal import DetachFilter

RECEIVE = 1 << 18
TYPED = 1 << 16
HEADER = 8
STDIN, STDOUT, STDERR, SYSTEM_ERROR = range(4)
MOST_PARTS = 512  # less than IOV_MAX


def write_all(fd: int, data: bytes | memoryview) -> None:
    """All of it, also to a terminal or pipe that was left non-blocking."""
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            select.select([], [fd], [])


class Demultiplexer:
    """Takes framed output in any pieces and writes each payload to its descriptor."""

    def __init__(self) -> None:
        self._header = b""
        self._left = 0
        self._fd = STDOUT

    def feed(self, data: bytes) -> None:
        """Raises CliError for what is no frame, and for the engine's own error frame."""
        view, position = memoryview(data), 0
        parts: list[memoryview] = []
        while position < len(data):
            if not self._left:
                position = self._read_header(data, position, parts)
                continue
            part = view[position : position + self._left]
            position += len(part)
            self._left -= len(part)
            if self._fd == SYSTEM_ERROR:
                raise CliError(bytes(part).decode(errors="replace").strip())
            parts.append(part)
            if len(parts) >= MOST_PARTS:
                self._flush(parts)
        self._flush(parts)

    def _read_header(self, data: bytes, position: int, parts: list[memoryview]) -> int:
        wanted = HEADER - len(self._header)
        self._header += data[position : position + wanted]
        if len(self._header) == HEADER:
            kind, self._left = self._header[0], int.from_bytes(self._header[4:], "big")
            if kind > SYSTEM_ERROR:
                raise CliError(f"Unrecognized input header: {kind}")
            self._header = b""
            fd = kind or STDOUT
            if fd != self._fd:
                self._flush(parts)
                self._fd = fd
        return min(position + wanted, len(data))

    def _flush(self, parts: list[memoryview]) -> None:
        """Write what was gathered for the current descriptor."""
        if len(parts) == 1:
            write_all(self._fd, parts[0])
        elif parts:
            write_parts(self._fd, parts)
        parts.clear()


def write_parts(fd: int, parts: Sequence[memoryview]) -> None:
    try:
        done = os.writev(fd, parts)
    except BlockingIOError:
        done = 0
    for part in parts:
        if done < len(part):
            write_all(fd, part[done:])
        done = max(0, done - len(part))


class Session:
    """One attached stream. ``run`` returns when the engine ends it (False) or the user detaches (True)."""

    def __init__(
        self, connection: Connection, tty: bool, stdin: bool, signals: Signals, detach: DetachFilter | None
    ) -> None:
        self._connection = connection
        self._sock = connection.sock
        self._demultiplexer = None if tty else Demultiplexer()
        self._stdin_open = stdin
        self._signals = signals
        self._detach = detach
        self._outgoing = b""

    def run(self) -> bool:
        """Carry bytes both ways to the end of the output; True where the user has detached first."""
        self._sock.setblocking(False)
        pending, self._connection.pending = self._connection.pending, b""
        self._show(pending)
        while True:
            ready = self._wait()
            if self._signals.fileno() in ready:
                self._signals.handle()
            if STDIN in ready and self._read_stdin():
                self._send()
                return True
            if self._outgoing:
                self._send()
            if self._sock.fileno() in ready and not self._receive():
                return False

    def _wait(self) -> set[int]:
        poll = select.poll()
        poll.register(self._sock, select.POLLIN | (select.POLLOUT if self._outgoing else 0))
        poll.register(self._signals, select.POLLIN)
        if self._stdin_open and not self._outgoing:
            poll.register(STDIN, select.POLLIN)
        return {fd for fd, _ in poll.poll()}

    def _receive(self) -> bool:
        """Read once; False at the end of the stream."""
        try:
            data = self._sock.recv(RECEIVE)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        self._show(data)
        return bool(data)

    def _show(self, data: bytes) -> None:
        if self._demultiplexer:
            self._demultiplexer.feed(data)
        else:
            write_all(STDOUT, data)

    def _read_stdin(self) -> bool:
        """Take what was typed; True when it was the detach keys."""
        try:
            typed = os.read(STDIN, TYPED)
        except BlockingIOError:
            return False
        except OSError:  # a terminal that hung up
            typed = b""
        if not typed:
            self._stdin_open = False
            self._half_close()
            return False
        if self._detach is None:
            self._outgoing = typed
            return False
        self._outgoing, detached = self._detach.feed(typed)
        return detached

    def _send(self) -> None:
        try:
            sent = self._sock.send(self._outgoing, MSG_NOSIGNAL) if self._outgoing else 0
        except BlockingIOError:
            return
        except OSError:  # nobody reads input any more; output may still come
            self._outgoing, self._stdin_open = b"", False
            return
        self._outgoing = self._outgoing[sent:]

    def _half_close(self) -> None:
        try:
            self._sock.shutdown(SHUT_WR)
        except OSError:
            pass
