"""A real API server on a real socket, in front of an engine that only pretends to run containers."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.api.client import Api
from tests.api.double import Double, make_double
from wherry.api.app import create_app, serve
from wherry.api.server import ApiRunner


class Served:
    """The API, served from a thread of its own."""

    def __init__(self, base: Path) -> None:
        self.path = base / "api.sock"
        self.engine: Double
        self.runner: ApiRunner
        self._base = base
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.run(self._start())

    def run(self, work: Any) -> Any:
        """Run a coroutine in the server's event loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _start(self) -> None:
        self.engine = make_double(self._base)
        self.runner = await serve(create_app(cast(Any, self.engine)), [f"unix://{self.path}"])

    def close(self) -> None:
        self.run(self.runner.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


@pytest.fixture(scope="module")
def module_served(busybox_archive: bytes) -> Iterator[Served]:
    with tempfile.TemporaryDirectory() as base:
        served = Served(Path(base))
        reply = Api(served.path).call("POST", "/images/load?quiet=1", raw=busybox_archive)
        assert reply.status == 200 and b"error" not in reply.body, reply.body
        yield served
        served.close()


@pytest.fixture
def served(module_served: Served) -> Iterator[Served]:
    yield module_served
    api = Api(module_served.path)
    for container in api.get("/containers/json", all="1").json:
        api.delete(f"/containers/{container['Id']}", force="1")


@pytest.fixture
def api(served: Served) -> Api:
    return Api(served.path)
