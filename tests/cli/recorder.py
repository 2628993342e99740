"""A small engine that only records: it answers what a command line needs and keeps every request."""

from __future__ import annotations

import http.server
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

ID = "c0ffee" * 10 + "beef"
INSPECTED = {
    "Id": ID,
    "OSType": "linux",
    "State": {"Running": True, "Status": "running"},
    "Config": {"Tty": False},
    "ExitCode": 0,
    "Running": False,
}

Answers = Callable[[str, str], tuple[int, Any] | None]


class Request(NamedTuple):
    """One request as a client sent it: the path without its version, the query, the body as JSON or bytes."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]


def standard(method: str, path: str) -> tuple[int, Any]:
    """An answer that lets docker's and wherry's create, start, stop … finish without an error."""
    ends = {
        "/create": (201, {"Id": ID, "Warnings": []}),
        "/exec": (201, {"Id": ID}),
        "/wait": (200, {"StatusCode": 0}),
    }
    for end, answer in ends.items():
        if path.endswith(end) and path != "/images/create":
            return answer
    if method == "DELETE" and path.startswith("/images/"):
        return 200, []
    if method == "GET":
        return 200, [] if path.endswith("s/json") else INSPECTED
    return 204, None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "Wherry/0"
    server: Recorder

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        pass

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            return b"".join(self._chunks())
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def handle_any(self) -> None:
        raw = self.read_body()
        url = urlsplit(self.path)
        path = url.path
        if path.startswith("/v1."):
            path = "/" + path.split("/", 2)[2]
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = raw
        if path != "/_ping":
            query = dict(parse_qsl(url.query, keep_blank_values=True))
            self.server.requests.append(Request(self.command, path, query, body, dict(self.headers)))
            status, answer = self.server.answers(self.command, path) or standard(self.command, path)
        else:
            status, answer = 200, None
        if self.headers.get("Upgrade") and status < 400:
            self.hijack()
            return
        payload = (
            b"" if answer is None else answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        )
        self.send_response(status)
        self.send_header("Api-Version", "1.50")
        self.send_header("Ostype", "linux")
        if status != 204:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(payload)

    def hijack(self) -> None:
        """Become a raw stream that ends at once."""
        self.send_response(101, "UPGRADED")
        self.send_header("Content-Type", "application/vnd.docker.raw-stream")
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", "tcp")
        self.end_headers()
        self.close_connection = True

    do_GET = do_HEAD = do_POST = do_DELETE = do_PUT = handle_any


class Recorder(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Serves on a unix socket; ``requests`` is what came in, pings left out."""

    daemon_threads = True

    def __init__(self, path: Path, answers: Answers | None = None) -> None:
        super().__init__(str(path), Handler)
        self.requests: list[Request] = []
        self.answers = answers or (lambda method, path: None)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up early is no fault of the recorder's."""

    def take(self) -> list[Request]:
        taken, self.requests = self.requests, []
        return taken


@contextmanager
def recording(path: Path, answers: Answers | None = None) -> Iterator[Recorder]:
    server = Recorder(path, answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
