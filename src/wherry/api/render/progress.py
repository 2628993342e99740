"""Progress of long work, in the messages that clients draw bars from: one JSON object a line."""

from __future__ import annotations

import msgspec

from wherry.messages.progress import ErrorDetail, Message, ProgressDetail
from wherry.values.sizes import human_size

BAR = 50
SIZE_DIGITS = 4


def encode_message(message: Message) -> bytes:
    """A line of the answer, as it is sent."""
    return msgspec.json.encode(message) + b"\r\n"


def error_message(text: str) -> Message:
    """How an error is told once the answer has begun."""
    return Message(error_detail=ErrorDetail(text), error=text)


def bar_message(status: str, id: str, current: int, total: int) -> Message:
    """How far one piece of work has come."""
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
