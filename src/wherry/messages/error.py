"""What a request that fails is answered with."""

from __future__ import annotations

import msgspec


class ErrorBody(msgspec.Struct):
    """Docker's error document."""

    message: str
