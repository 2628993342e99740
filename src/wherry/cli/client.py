"""A small HTTP/1.1 client for the Engine API: keep-alive, chunked bodies, and hijacked connections.

``Client`` keeps one idle connection; a request that streams or is hijacked owns its connection alone.
"""

from __future__ import annotations

import os

from wherry.cli.bare import MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK
from wherry.cli.errors import ApiError, CliError
from wherry.cli.host import connection_error
from wherry.cli.jsons import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from wherry.cli.bare import Socket
    from wherry.cli.host import Host

    Value = str | int | bool | None
    Query = Mapping[str, Value] | list[tuple[str, Value]]  # pairs where a name comes more than once

NEWEST_API = "1.51"
OLDEST_API = "1.24"
CHUNK = 1 << 16
AT_ONCE = 50  # calls under way at a time
UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/:")


class Connection:
    """One connection, with what was read from it and not yet used."""

    def __init__(self, sock: Socket) -> None:
        self.sock = sock
        self.pending = b""

    def send(self, *parts: bytes) -> None:
        """Send all of it. OSError where the engine has gone; no SIGPIPE."""
        self.sock.sendall(b"".join(parts), MSG_NOSIGNAL)

    def fill(self) -> None:
        """Wait for more bytes of an answer. CliError where it has ended."""
        got = self.sock.recv(CHUNK)
        if not got:
            raise CliError("the engine closed the connection in the middle of an answer")
        self.pending += got

    def line(self) -> bytes:
        """The next line, without its CRLF."""
        while b"\r\n" not in self.pending:
            self.fill()
        line, _, self.pending = self.pending.partition(b"\r\n")
        return line

    def some(self, most: int) -> bytes:
        """At least one byte and at most ``most``; empty at the end of the stream."""
        if not self.pending:
            return self.sock.recv(min(most, CHUNK))
        got, self.pending = self.pending[:most], self.pending[most:]
        return got

    def is_open(self) -> bool:
        """Whether the engine has not hung up on this idle connection meanwhile."""
        try:
            self.sock.recv(1, MSG_PEEK | MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False  # the end, or bytes that nobody asked for

    def close(self) -> None:
        """Let go of the socket."""
        self.sock.close()


class Response:
    """A status, headers (lower case), and a body that is read once, whole or in pieces."""

    def __init__(self, connection: Connection, method: str) -> None:
        self.connection = connection
        self.status = int(connection.line().split(None, 2)[1])
        self.headers: dict[str, str] = {}
        while line := connection.line():
            name, _, value = line.decode("latin-1").partition(":")
            self.headers[name.strip().lower()] = value.strip()
        self._bodiless = method == "HEAD" or self.status in (101, 204, 304)
        self.reusable = self._bodiless or "content-length" in self.headers or self._chunked
        self.reusable = self.reusable and self.headers.get("connection", "").lower() != "close"

    @property
    def _chunked(self) -> bool:
        return self.headers.get("transfer-encoding", "").lower() == "chunked"

    def pieces(self) -> Iterator[bytes]:
        """The body as it arrives."""
        if self._bodiless:
            return
        if self._chunked:
            while size := int(self.connection.line().split(b";")[0], 16):
                yield from self._exactly(size)
                self.connection.line()
            while self.connection.line():
                pass
        elif "content-length" in self.headers:
            yield from self._exactly(int(self.headers["content-length"]))
        else:
            while got := self.connection.some(CHUNK):
                yield got

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            got = self.connection.some(size)
            if not got:
                raise CliError("the engine closed the connection in the middle of an answer")
            size -= len(got)
            yield got

    def read(self) -> bytes:
        """The whole body."""
        return b"".join(self.pieces())

    def json(self) -> Any:
        """The body's document; None where it is empty. CliError where it is no JSON."""
        body = self.read()
        try:
            return loads(body) if body else None
        except ValueError:
            raise CliError(f"the engine's answer is not JSON: {body[:80]!r}") from None

    def objects(self) -> Iterator[Any]:
        """The JSON values of a stream, one a line, as they arrive."""
        rest = b""
        for piece in self.pieces():
            *lines, rest = (rest + piece).split(b"\n")
            yield from (loads(line) for line in lines if line.strip())
        if rest.strip():
            yield loads(rest)

    def raise_for_status(self) -> Response:
        if self.status >= 400:
            raise ApiError(self.status, _message(self.status, self.read()))
        return self


def _message(status: int, body: bytes) -> str:
    try:
        return str(loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip() or f"the engine answered {status} without a message"


def quote(text: str) -> str:
    """Percent-encode all but what a path or a query value may hold."""
    if UNRESERVED.issuperset(text):
        return text
    return "".join(c if c in UNRESERVED else "".join(f"%{b:02X}" for b in os.fsencode(c)) for c in text)


def query_string(query: Query | None) -> str:
    """``?a=1&b=x``, sorted as Go does; None and False are left out, True is 1."""
    pairs = query if isinstance(query, list) else query.items() if query else ()
    given = sorted((pair for pair in pairs if pair[1] is not None and pair[1] is not False), key=_name)
    return "?" + "&".join(f"{name}={_query_value(value)}" for name, value in given) if given else ""


def _name(pair: tuple[str, Value]) -> str:
    return pair[0]


def _query_value(value: Value) -> str:
    return quote("1" if value is True else str(value)).replace("/", "%2F").replace(":", "%3A")


def version_tuple(text: str) -> tuple[int, ...]:
    """``1.44`` as (1, 44), so that versions compare as numbers."""
    return tuple(int(part) if part.isdecimal() else 0 for part in text.split("."))


class Client:
    """The Engine API at one host. Connects, and starts an engine where that is the default, at first use."""

    def __init__(self, host: Host, environment: Mapping[str, str] | None = None) -> None:
        self.host = host
        self._environment = os.environ if environment is None else environment
        self._idle: Connection | None = None
        self._said: Mapping[str, str] | None = None
        self._api = self._environment.get("DOCKER_API_VERSION", "")

    @property
    def api_version(self) -> str:
        """The newest version that both sides speak; asked once."""
        if not self._api:
            self._api = min(NEWEST_API, self._ping().get("api-version", OLDEST_API), key=version_tuple)
        return self._api

    def need_wherry(self) -> None:
        """Raises CliError where the engine is another, which would not do what only Wherry's does: of a dry run,
        dockerd makes a container."""
        engine = self._ping().get("server", "")
        if not engine.startswith("Wherry/"):
            raise CliError(
                f"only Wherry's engine does this: the one at {self.host.url} is {engine or 'another'}"
            )

    def _ping(self) -> Mapping[str, str]:
        """The headers in which an engine says what it is; asked once."""
        if self._said is None:
            pinged = self._exchange("HEAD", "/_ping", b"", {})
            pinged.read()
            self._release(pinged)
            self._said = pinged.headers
        return self._said

    def call(self, method: str, path: str, query: Query | None = None, body: object = None) -> Any:
        """One request, its answer as JSON. Raises ApiError for a status of 400 and above."""
        response = self.request(method, path, query, body)
        answer = response.json()
        self._release(response)
        return answer

    def request(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        data: Iterable[bytes] | None = None,
    ) -> Response:
        """A request whose answer is read by the caller: ``body`` goes as JSON, ``data`` as a chunked stream."""
        sent = dict(headers or {})
        payload = b""
        if body is not None:
            payload = dumps(body).encode()
            sent["Content-Type"] = "application/json"
        if data is not None:
            sent["Transfer-Encoding"] = "chunked"
        target = f"/v{self.api_version}{quote(path)}{query_string(query)}"
        return self._exchange(method, target, payload, sent, data).raise_for_status()

    def call_each(
        self, method: str, paths: Sequence[str], query: Query | None = None
    ) -> Iterator[ApiError | None]:
        """The same call on many paths at once, ``AT_ONCE`` at a time; what became of each, in order."""
        for start in range(0, len(paths), AT_ONCE):
            batch = paths[start : start + AT_ONCE]
            prefix = f"/v{self.api_version}"
            sent = [
                self._send(method, f"{prefix}{quote(path)}{query_string(query)}", b"", {}) for path in batch
            ]
            for connection in sent:
                response = Response(connection, method)
                try:
                    response.raise_for_status().read()
                except ApiError as error:
                    yield error
                else:
                    yield None
                self._release(response)

    def hijack(self, path: str, query: Query | None = None, body: object = None) -> Connection:
        """A POST that turns its connection into a raw stream both ways."""
        upgrade = {"Connection": "Upgrade", "Upgrade": "tcp"}
        response = self.request("POST", path, query, body, upgrade)
        if response.status not in (101, 200):
            raise CliError(f"unable to upgrade to a stream, received {response.status}")
        return response.connection

    def _exchange(
        self,
        method: str,
        target: str,
        payload: bytes,
        headers: dict[str, str],
        data: Iterable[bytes] | None = None,
    ) -> Response:
        return Response(self._send(method, target, payload, headers, data), method)

    def _send(
        self,
        method: str,
        target: str,
        payload: bytes,
        headers: dict[str, str],
        data: Iterable[bytes] | None = None,
    ) -> Connection:
        connection = self._take_idle() or Connection(self._connect())
        lines = [f"{method} {target} HTTP/1.1", "Host: api.wherry.localhost", "User-Agent: wherry"]
        if (payload or method == "POST") and data is None:
            lines.append(f"Content-Length: {len(payload)}")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        connection.send("\r\n".join(lines).encode(), b"\r\n\r\n", payload)
        if data is not None:
            _send_chunks(connection, data)
        return connection

    def _connect(self) -> Socket:
        try:
            return self.host.connect()
        except OSError as error:
            from wherry.cli.embedded import may_start, start_engine

            absent = isinstance(error, (FileNotFoundError, ConnectionRefusedError))
            if absent and may_start(self.host, self._environment):
                return start_engine(self.host, self._environment)
            raise connection_error(self.host, error) from None

    def _take_idle(self) -> Connection | None:
        connection, self._idle = self._idle, None
        if connection is None or connection.is_open():
            return connection
        connection.close()
        return None

    def _release(self, response: Response) -> None:
        if response.reusable and self._idle is None:
            self._idle = response.connection
        else:
            response.connection.close()


def _send_chunks(connection: Connection, data: Iterable[bytes]) -> None:
    """The body in chunks; an engine that answers early and hangs up ends it, and its answer counts."""
    try:
        for piece in data:
            if piece:
                connection.send(b"%x\r\n" % len(piece), piece, b"\r\n")
        connection.send(b"0\r\n\r\n")
    except (BrokenPipeError, ConnectionResetError):
        pass
