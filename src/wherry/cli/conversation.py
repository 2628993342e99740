"""What ``run``, ``start -a``, ``attach`` and ``exec`` share: a container's streams joined to the user's terminal."""

from __future__ import annotations

import os
import sys
import time

from wherry.cli.client import version_tuple
from wherry.cli.errors import ENGINE_FAILED, ApiError, CliError
from wherry.cli.signals import Signals
from wherry.cli.streams import Session
from wherry.cli.terminal import NO_SIZE, DetachFilter, RawMode, parse_detach_keys, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wherry.cli.client import Client, Connection, Response

RESIZE_TRIES = 10
CONSOLE_SIZE_API = (1, 42)
RESIZE_PAUSE = 0.01  # seconds; the process may not exist yet


class Attached:
    """A stream to join: ``path`` is the container's or exec's in the API."""

    def __init__(self, path: str, connection: Connection, tty: bool, stdin: bool, detach_keys: str) -> None:
        self.path, self.connection = path, connection
        self.tty, self.stdin, self.detach_keys = tty, stdin, detach_keys


def attach(
    client: Client, container: str, stdin: bool, stdout: bool, stderr: bool, detach_keys: str
) -> Connection:
    """``POST /containers/{id}/attach``."""
    query = {
        "stream": True,
        "stdin": stdin,
        "stdout": stdout,
        "stderr": stderr,
        "detachKeys": detach_keys or None,
    }
    return client.hijack(f"/containers/{container}/attach", query)


def begin_wait(client: Client, container: str, condition: str | None) -> Response:
    """``POST /containers/{id}/wait``: its header is here, its body comes when the container has ended."""
    return client.request("POST", f"/containers/{container}/wait", {"condition": condition})


def exit_code(waiting: Response, signals: Signals | None = None) -> int:
    """The container's own exit code, once it has one."""
    if signals and not waiting.connection.pending:
        signals.wait_readable(waiting.connection.sock.fileno())
    answer = waiting.json() or {}
    if (answer.get("Error") or {}).get("Message"):
        raise CliError(f"Error waiting for container: {answer['Error']['Message']}", ENGINE_FAILED)
    return int(answer.get("StatusCode", 0))


def forwarder(client: Client, container: str) -> Callable[[str], None]:
    """Sends a signal on to the container; one that cannot be delivered is the container's end and no error."""

    def forward(name: str) -> None:
        try:
            client.call("POST", f"/containers/{container}/kill", {"signal": name})
        except ApiError:
            pass

    return forward


class Resizer:
    """Tells the engine the size of the user's terminal."""

    def __init__(self, client: Client, path: str) -> None:
        self._client = client
        self._path = path

    def send(self, rows: int, columns: int) -> bool:
        """Set the terminal's size; False where the process does not run, or not yet."""
        try:
            self._client.call("POST", f"{self._path}/resize", {"h": rows, "w": columns})
        except ApiError:
            return False
        return True

    def now(self) -> None:
        """Send the size of the user's terminal, if there is one."""
        current = size()
        if current != NO_SIZE:
            self.send(*current)

    def first(self) -> None:
        """Once where the engine was told the size with the request (API 1.42); else until the process is there."""
        current = size()
        tries = 1 if version_tuple(self._client.api_version) >= CONSOLE_SIZE_API else RESIZE_TRIES
        for left in reversed(range(tries if current != NO_SIZE else 0)):
            if self.send(*current) or not left:
                return
            time.sleep(RESIZE_PAUSE)


def converse(
    client: Client, attached: Attached, signals: Signals, begin: Callable[[], None], resizer: Resizer | None
) -> bool:
    """Join the streams, with ``begin`` called once they are ready. True when the user detached."""
    keyboard = attached.tty and attached.stdin and os.isatty(0)
    detach = DetachFilter(parse_detach_keys(attached.detach_keys)) if keyboard else None
    sys.stdout.flush()
    with RawMode(0 if keyboard else None):
        begin()
        if resizer:
            resizer.first()
        try:
            return Session(attached.connection, attached.tty, attached.stdin, signals, detach).run()
        finally:
            attached.connection.close()


def signals_for(client: Client, attached: Attached, container: str | None) -> tuple[Signals, Resizer | None]:
    """Signals go to the container where one is named; a terminal's size changes go to the engine."""
    resizer = Resizer(client, attached.path) if attached.tty and size() != NO_SIZE else None
    forward = forwarder(client, container) if container else None
    return Signals(forward, resizer.now if resizer else None), resizer
