"""A client that speaks HTTP over a unix socket byte by byte, so that tests see what is really sent, and when."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json["message"])


class Wire:
    """One connection."""

    def __init__(self, path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(str(path))
        self._buffer = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def half_close(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes, fewer only at the end."""
        while len(self._buffer) < size and (data := self.sock.recv(65536)):
            self._buffer += data
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def read_until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError(f"the server closed after {self._buffer!r}")
            self._buffer += data
        found, _, self._buffer = self._buffer.partition(mark)
        return found

    def read_all(self) -> bytes:
        while data := self.sock.recv(65536):
            self._buffer += data
        data, self._buffer = self._buffer, b""
        return data

    def read_head(self) -> tuple[int, dict[str, str]]:
        """Status and headers (names in lower case) of the next answer."""
        lines = self.read_until(b"\r\n\r\n").decode().split("\r\n")
        pairs = (line.split(": ", 1) for line in lines[1:])
        return int(lines[0].split()[1]), {name.lower(): value for name, value in pairs}

    def read_chunk(self) -> bytes:
        """The next chunk of a chunked answer; empty at its end."""
        size = int(self.read_until(b"\r\n"), 16)
        data = self.read(size)
        assert self.read(2) == b"\r\n"
        return data

    def read_body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") == "chunked":
            return b"".join(iter(self.read_chunk, b""))
        return self.read(int(headers.get("content-length", "0")))

    def request(self, method: str, path: str, body: bytes = b"", headers: str = "") -> None:
        length = f"Content-Length: {len(body)}\r\n" if body or method == "POST" else ""
        self.send(f"{method} {path} HTTP/1.1\r\nHost: docker\r\n{length}{headers}\r\n".encode() + body)

    def reply(self, method: str = "GET") -> Reply:
        status, headers = self.read_head()
        body = b"" if method == "HEAD" or status in (204, 304) else self.read_body(headers)
        return Reply(status, headers, body)


class Api:
    """Requests against one socket, a connection each."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def wire(self) -> Wire:
        return Wire(self.path)

    def call(
        self, method: str, path: str, body: object = None, *, raw: bytes | None = None, **query: Any
    ) -> Reply:
        """``body`` goes as JSON; query values that are no text go as JSON too."""
        values = {k: v if isinstance(v, str) else json.dumps(v) for k, v in query.items()}
        target = quote(path, safe="/?=&:%") + ("?" + urlencode(values) if values else "")
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        kind = "Content-Type: application/json\r\n" if raw is None and body is not None else ""
        with self.wire() as wire:
            wire.request(method, target, data, kind)
            return wire.reply(method)

    def get(self, path: str, **query: Any) -> Reply:
        return self.call("GET", path, **query)

    def post(self, path: str, body: object = None, **query: Any) -> Reply:
        return self.call("POST", path, body, **query)

    def delete(self, path: str, **query: Any) -> Reply:
        return self.call("DELETE", path, **query)

    def create(self, *command: str, name: str = "", **config: Any) -> str:
        """A container of ``busybox``; its id."""
        reply = self.post(
            "/containers/create", {"Image": "busybox", "Cmd": list(command), **config}, name=name
        )
        assert reply.status == 201, reply.body
        return str(reply.json["Id"])
