"""Lines of an answer that tells how work goes on. Engine API, jsonmessage."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType, field


class ProgressDetail(msgspec.Struct, omit_defaults=True):
    """Bytes done, and in all."""

    current: int = 0
    total: int = 0


class ErrorDetail(msgspec.Struct):
    """What went wrong in the midst of it."""

    message: str


class Message(msgspec.Struct, kw_only=True):
    """A line of an answer. Lines with an ``id`` are redrawn in place."""

    stream: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    progress_detail: ProgressDetail | UnsetType = field(default=UNSET, name="progressDetail")
    progress: str | UnsetType = UNSET
    error_detail: ErrorDetail | UnsetType = field(default=UNSET, name="errorDetail")
    error: str | UnsetType = UNSET
