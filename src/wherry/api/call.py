"""One request on its way through the API, as the routes see it."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp.web_request import BaseRequest

from wherry.api.connection import Connection
from wherry.api.version import Version
from wherry.engine.engine import Engine

RAW_STREAM = "application/vnd.docker.raw-stream"
MULTIPLEXED_STREAM = "application/vnd.docker.multiplexed-stream"


@dataclass(slots=True)
class Call:
    """What a route may need beside its declared parameters."""

    engine: Engine
    version: Version
    query: dict[str, list[str]]

    def stream_type(self, framed: bool) -> str:
        """The content type of a container's output. Engine API 1.42 tells framed from raw."""
        return MULTIPLEXED_STREAM if framed and self.version >= (1, 42) else RAW_STREAM


@dataclass(slots=True)
class Exchange(Call):
    """A call with the connection it came by: for who reads an upload, or takes the connection over."""

    request: BaseRequest
    connection: Connection
