"""How busy the API is, for a daemon that ends when nobody needs it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Activity:
    """``open`` requests now, and when the last one began or ended (``time.monotonic()``)."""

    open: int = 0
    last: float = field(default_factory=time.monotonic)

    def touch(self) -> None:
        """Something was asked just now."""
        self.last = time.monotonic()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count one request for as long as it lasts."""
        self.open += 1
        self.touch()
        try:
            yield
        finally:
            self.open -= 1
            self.touch()
