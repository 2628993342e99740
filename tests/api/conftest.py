"""A real daemon behind the API, mostly; and an API without an engine, for faults that no engine produces on demand."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.api.client import Api
from tests.harness.daemon import Daemon
from wherry.api.app import create_app, serve
from wherry.api.server import ApiRunner
from wherry.engine.events import EventBus


def fail() -> None:
    raise ZeroDivisionError("division by zero")


class Served:
    """The API in this process, in a thread of its own, in front of nothing but a real event bus.

    Only what needs no engine can be asked of it: `/_ping`, `/events`, and `/version`, which fails as no engine would
    on demand. Tests that look into the server itself use it; all others ask a daemon.
    """

    def __init__(self, base: Path) -> None:
        self.path = base / "api.sock"
        self.events = EventBus()
        self.runner: ApiRunner
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.run(self._start())

    def run(self, work: Any) -> Any:
        """Run a coroutine in the server's event loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def soon(self, work: Any) -> None:
        """Call a function in the server's event loop."""
        self._loop.call_soon_threadsafe(work)

    async def _start(self) -> None:
        engine = SimpleNamespace(events=self.events, system=SimpleNamespace(host=fail))
        self.runner = await serve(create_app(cast(Any, engine)), [f"unix://{self.path}"])

    def close(self) -> None:
        self.run(self.runner.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    yield made
    made.close()


@pytest.fixture
def api(daemon: Daemon) -> Api:
    return Api(daemon.socket)
