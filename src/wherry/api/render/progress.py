"""Progress of long work, in the messages that clients draw bars from: one JSON object a line."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType, field

from wherry.values.sizes import human_size

BAR = 50
SIZE_DIGITS = 4


class ProgressDetail(msgspec.Struct, omit_defaults=True):
    current: int = 0
    total: int = 0


class ErrorDetail(msgspec.Struct):
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


def encode_message(message: Message) -> bytes:
    return msgspec.json.encode(message) + b"\r\n"


def error_message(text: str) -> Message:
    """How an error is told once the answer has begun."""
    return Message(error_detail=ErrorDetail(text), error=text)


def bar_message(status: str, id: str, current: int, total: int) -> Message:
    return Message(
        status=status, id=id, progress_detail=ProgressDetail(current, total), progress=bar(current, total)
    )


def bar(current: int, total: int) -> str:
    """``[=====>     ]  1.2MB/5MB``."""
    done = f"{human_size(current, SIZE_DIGITS):>8}"
    if total <= 0:
        return done if current > 0 else ""
    filled = min(current * 100 // total // 2, BAR)
    return f"[{'=' * filled}>{' ' * (BAR - filled)}] {done}/{human_size(total, SIZE_DIGITS)}"
