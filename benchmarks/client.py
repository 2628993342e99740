"""A small client of the Engine API over a unix socket: so little of its own that the engines' time is what is seen."""

from __future__ import annotations

import json
import re
import socket
from typing import Any
from urllib.parse import quote

LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
CHUNKED = re.compile(rb"(?i)\r\ntransfer-encoding: *chunked")
CLOSES = re.compile(rb"(?i)\r\nconnection: *close")
BLOCK = 1 << 20


class ApiError(Exception):
    """The engine answered with an error."""


class Connection:
    """One keep-alive connection. Not for several threads at once."""

    def __init__(self, path: str, version: str = "v1.41") -> None:
        self._path, self._prefix = path, f"/{version}"
        self._socket: socket.socket | None = None
        self._rest = b""
        self._asked = ""

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._rest = None, b""

    def call(self, method: str, path: str, body: object = None, raw: bytes | None = None) -> Any:
        """One request and its answer: JSON decoded, other bodies as bytes. ApiError from status 400 on."""
        self.send(method, path, body, raw)
        return self.answer()

    def send(self, method: str, path: str, body: object = None, raw: bytes | None = None) -> None:
        """A request whose answer is read later."""
        kind = "application/x-tar" if raw is not None else "application/json"
        payload = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        self._asked = f"{method} {path}"
        self._send(method, path, kind, payload)

    def answer(self) -> Any:
        """The answer to what was sent."""
        head = self._head()
        status = int(head.split(b" ", 2)[1])
        content = self._body(head, status)
        if CLOSES.search(head):
            self.close()
        if status >= 400:
            raise ApiError(f"{self._asked}: {status} {content[:300]!r}")
        return json.loads(content) if content[:1] in (b"{", b"[") and b"\r\n{" not in content else content

    def hijack(self, path: str, body: object = None) -> tuple[socket.socket, bytes]:
        """Turn the connection into a stream: the socket, and what has come already."""
        payload = b"" if body is None else json.dumps(body).encode()
        self._send("POST", path, "application/json", payload, "Connection: Upgrade\r\nUpgrade: tcp\r\n")
        head = self._head()
        if not head.startswith((b"HTTP/1.1 101", b"HTTP/1.1 200")):
            raise ApiError(f"hijack {path}: {head[:200]!r}")
        assert self._socket is not None
        taken, rest = self._socket, self._rest
        self._socket, self._rest = None, b""
        return taken, rest

    def _send(self, method: str, path: str, kind: str, payload: bytes, more: str = "") -> None:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.connect(self._path)
        target = quote(self._prefix + path, safe="/?&=:,%")
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: d\r\nContent-Type: {kind}\r\n"
            f"{more}Content-Length: {len(payload)}\r\n\r\n"
        ).encode()
        if len(payload) < 65536:
            self._socket.sendall(head + payload)
        else:
            self._socket.sendall(head)
            self._socket.sendall(payload)

    def _more(self) -> bytes:
        assert self._socket is not None
        got = self._socket.recv(BLOCK)
        if not got:
            raise ConnectionError("the engine closed the connection in mid answer")
        return got

    def _head(self) -> bytes:
        data = self._rest
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more()
        self._rest = data[end + 4 :]
        return data[: end + 2]

    def _body(self, head: bytes, status: int) -> bytes:
        if status in (204, 304):
            return b""
        if CHUNKED.search(head):
            return self._chunks()
        if found := LENGTH.search(head):
            return self._exactly(int(found[1]))
        return b""

    def _exactly(self, size: int) -> bytes:
        parts, have = [self._rest], len(self._rest)
        while have < size:
            parts.append(self._more())
            have += len(parts[-1])
        data = b"".join(parts) if len(parts) > 1 else parts[0]
        self._rest = data[size:]
        return data[:size]

    def _chunks(self) -> bytes:
        out = []
        while True:
            while (end := self._rest.find(b"\r\n")) < 0:
                self._rest += self._more()
            size = int(self._rest[:end].split(b";")[0], 16)
            self._rest = self._rest[end + 2 :]
            out.append(self._exactly(size + 2)[:-2])
            if size == 0:
                return b"".join(out)


def drain(stream: socket.socket, first: bytes = b"") -> int:
    """Read a stream to its end; the number of bytes."""
    total = len(first)
    buffer = bytearray(BLOCK)
    with stream:
        while got := stream.recv_into(buffer):
            total += got
    return total
