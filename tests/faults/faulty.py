"""A daemon whose system calls can be made to fail."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.faults.inject import NAMES, Injector, Kind
from tests.harness.daemon import Daemon

UNDER = Path(__file__).with_name("under.py")


class FaultyDaemon(Daemon):
    """A daemon with an ``injector``, which is there from its first instruction on."""

    injector: Injector

    def start(self, wait: bool = True, fault: tuple[Kind, int] | None = None) -> FaultyDaemon:
        """``fault``: what is to fail from its first instruction on."""
        self.under = [sys.executable, str(UNDER), ",".join(NAMES.values())]
        super().start(wait=False)
        self.injector = Injector(self.pid, *(fault or (None, 0)))
        if wait:
            self.wait_ready()
        return self
