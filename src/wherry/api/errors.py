"""Errors as HTTP: one status for each class of the error tree, and Docker's error body.

The content type must be exactly ``application/json``, or Go clients print the raw body.
"""

from __future__ import annotations

import msgspec

from wherry.errors import (
    Conflict,
    Denied,
    InvalidArgument,
    LaunchFailed,
    NotFound,
    NotModified,
    Unavailable,
    WherryError,
)
from wherry.messages.error import ErrorBody

STATUS: dict[type[WherryError], int] = {
    InvalidArgument: 400,
    Denied: 403,
    NotFound: 404,
    Conflict: 409,
    NotModified: 304,
    Unavailable: 503,
}
# Where a client learns from the status that the command itself is at fault.
COMMAND_NOT_RUNNABLE = (126, 127)


class HttpError(WherryError):
    """An answer that only HTTP knows: a version or a route that is not there."""

    def __init__(self, status: int, message: str, *, plain: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.plain = plain


class Moved(HttpError):
    """The same thing is found under another target."""

    def __init__(self, location: str) -> None:
        super().__init__(301, f"moved to {location}")
        self.location = location


def status_of(error: WherryError) -> int:
    """The HTTP status of an error; 500 for what no class claims."""
    if isinstance(error, HttpError):
        return error.status
    if isinstance(error, LaunchFailed):
        return 400 if error.asked or error.exit_code in COMMAND_NOT_RUNNABLE else 500
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)


def error_body(message: str) -> bytes:
    """Docker's error document."""
    # A lone surrogate (of a path that is not UTF-8) must not make an error of the error.
    readable = message.encode("utf-8", "replace").decode()
    return msgspec.json.encode(ErrorBody(readable)) + b"\n"
