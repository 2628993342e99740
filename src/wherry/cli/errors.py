"""What can go wrong for the command line, and the exit code that each kind has.

CliError                 one line on stderr, exit code 1 unless it says another
├── UsageError           wrong flags or arguments; a hint to --help follows
├── CannotConnect        no engine answers at the host
├── ApiError             the engine answered with an error status
└── Exit                 end now with this code, saying nothing
"""

from __future__ import annotations

ENGINE_FAILED = 125
NOT_EXECUTABLE = 126
NOT_FOUND = 127
INTERRUPTED = 130
PIPE_CLOSED = 141


class CliError(Exception):
    """``hint`` is what follows the line, such as where help is."""

    def __init__(self, message: str, code: int = 1, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


class UsageError(CliError):
    pass


class CannotConnect(CliError):
    pass


class Exit(CliError):
    def __init__(self, code: int) -> None:
        super().__init__("", code)


class ApiError(CliError):
    """``message`` is the engine's own sentence, ``status`` its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"Error response from daemon: {message}")
        self.status = status
        self.message = message


def start_code(message: str) -> int:
    """The exit code for a start that failed: 127 no such command, 126 not executable, 125 the engine."""
    if any(
        text in message
        for text in ("executable file not found", "no such file or directory", "system cannot")
    ):
        return NOT_FOUND
    if any(text in message for text in ("permission denied", "is a directory", "exec format error")):
        return NOT_EXECUTABLE
    return ENGINE_FAILED
