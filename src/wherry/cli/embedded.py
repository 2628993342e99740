"""The embedded default: where no engine listens, start one, which ends by itself when idle."""

from __future__ import annotations

import fcntl
import os
import sys
import time

from wherry.cli.errors import CannotConnect
from wherry.cli.host import DEFAULT_SOCKET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from wherry.cli.bare import Socket
    from wherry.cli.host import Host

IDLE_EXIT = "60s"
PATIENCE = 30.0  # seconds; recovery of many containers can take some
POLL = 0.005


def may_start(host: Host, environment: Mapping[str, str]) -> bool:
    """Root may start an engine on the default socket, and on another one with ``WHERRY_AUTOSTART=1``."""
    wanted = environment.get("WHERRY_AUTOSTART", "")
    if not host.path or os.geteuid() != 0 or wanted in ("0", "no", "false"):
        return False
    return host.path == DEFAULT_SOCKET or bool(wanted)


def start_engine(host: Host, environment: Mapping[str, str]) -> Socket:
    """Start ``wherryd`` on the host's socket and connect to it; of several callers at once only one starts it.

    Raises CannotConnect with the last line of the engine's log where it does not come up.
    """
    os.makedirs(os.path.dirname(host.path), exist_ok=True)
    lock = os.open(f"{host.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return host.connect()
        except OSError:
            log = _log_path(environment)
            return _wait_ready(host, _spawn(_command(host, environment), log), log)
    finally:
        os.close(lock)


def _command(host: Host, environment: Mapping[str, str]) -> list[str]:
    command = [*_program(), "-H", host.url, "--idle-exit", IDLE_EXIT]
    for option, variable in (("--data-root", "WHERRY_DATA_ROOT"), ("--exec-root", "WHERRY_EXEC_ROOT")):
        if environment.get(variable):
            command += [option, environment[variable]]
    return command


def _program() -> list[str]:
    """The ``wherryd`` beside this program, or the module with this interpreter."""
    for folder in (os.path.dirname(os.path.realpath(sys.argv[0])), os.path.dirname(sys.executable)):
        beside = os.path.join(folder, "wherryd")
        if os.access(beside, os.X_OK):
            return [beside]
    return [sys.executable, "-m", "wherry.daemon"]


def _log_path(environment: Mapping[str, str]) -> str:
    folder = environment.get("WHERRY_EXEC_ROOT") or os.path.dirname(DEFAULT_SOCKET)
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, "wherryd.log")


def _spawn(command: list[str], log: str) -> int:
    """Start a process in a session of its own, with ``/`` as its folder and the log as its output."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        os.chdir("/")
        null = os.open(os.devnull, os.O_RDONLY)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for source, target in ((null, 0), (out, 1), (out, 2)):
            os.dup2(source, target)
        os.closerange(3, 256)
        os.execv(command[0], command)
    finally:
        os._exit(127)


def _wait_ready(host: Host, pid: int, log: str) -> Socket:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            return host.connect()
        except OSError:
            if os.waitpid(pid, os.WNOHANG)[0]:
                raise CannotConnect(f"the engine did not start: {_last_line(log)}") from None
        time.sleep(POLL)
    raise CannotConnect(f"the engine does not answer at {host.url} after {PATIENCE:.0f} s: {_last_line(log)}")


def _last_line(log: str) -> str:
    try:
        with open(log, errors="replace") as file:
            lines = [line for line in file.read().splitlines() if line.strip()]
    except OSError as error:
        return str(error)
    return lines[-1] if lines else f"it ended without a message (log: {log})"
