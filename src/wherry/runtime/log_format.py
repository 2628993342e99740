"""Entries of a json-file log, and how they are sent to a client.

An entry is one line of JSON: ``{"log":"text\\n","stream":"stdout","attrs":{…},"time":"2026-11-25T01:02:03.5Z"}``.
It is sent as eight bytes (stream, three zeros, length in network order) and the text; bare where the container has
a terminal. Engine API, ContainerAttach "Stream format".
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote_plus

import msgspec

from wherry.errors import InvalidArgument
from wherry.values.times import full_rfc3339, parse_rfc3339

STDOUT, STDERR = "stdout", "stderr"
STREAM_NUMBERS = {STDOUT: 1, STDERR: 2}
NO_TIME = -1


@dataclass(frozen=True, slots=True)
class LogsQuery:
    """What of a log is wanted. ``since`` and ``until`` in nanoseconds since 1970; ``tail`` None means all."""

    stdout: bool = True
    stderr: bool = True
    follow: bool = False
    since: int | None = None
    until: int | None = None
    tail: int | None = None
    timestamps: bool = False
    details: bool = False
    framed: bool = True

    @property
    def streams(self) -> frozenset[str]:
        """Which of ``stdout`` and ``stderr`` are asked for."""
        return frozenset(name for name, on in ((STDOUT, self.stdout), (STDERR, self.stderr)) if on)

    @property
    def plain(self) -> bool:
        """Nothing of an entry is needed but its text and stream."""
        return not (self.timestamps or self.details or self.since is not None or self.until is not None)


class PlainEntry(msgspec.Struct, gc=False):
    log: str = ""
    stream: str = ""


class Entry(msgspec.Struct):
    """A line of a ``json-file`` log, as Docker writes it; ``time`` is RFC 3339."""

    log: str = ""
    stream: str = ""
    time: str = ""
    attrs: dict[str, str] | None = None


AnyEntry = TypeVar("AnyEntry", PlainEntry, Entry)


@dataclass(frozen=True, slots=True)
class Rendered:
    """Bytes for the client. ``last``: an entry beyond ``until`` was met, so that nothing more is wanted."""

    data: bytes
    last: bool = False


Renderer = Callable[[bytes], Rendered]


class Headers(dict[tuple[str, int], bytes]):
    """Frame headers by stream and length, each made once."""

    def __missing__(self, key: tuple[str, int]) -> bytes:
        stream, length = key
        self[key] = header = struct.pack(">BxxxI", STREAM_NUMBERS.get(stream, 1), length)
        return header


def renderer(query: LogsQuery) -> Renderer:
    """A function from whole lines of a log to what the client gets for them."""
    headers = Headers()
    if query.plain:
        plain = msgspec.json.Decoder(PlainEntry)
        return lambda lines: Rendered(render_plain(plain_entries(plain, lines), query, headers))
    full = msgspec.json.Decoder(Entry)
    return lambda lines: render_full(full_entries(full, lines), query, headers)


def plain_entries(decoder: msgspec.json.Decoder[PlainEntry], lines: bytes) -> list[PlainEntry]:
    try:
        return decoder.decode_lines(lines)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return [entry for line in lines.splitlines() for entry in one_entry(decoder.decode, line)]


def full_entries(decoder: msgspec.json.Decoder[Entry], lines: bytes) -> list[Entry]:
    try:
        return decoder.decode_lines(lines)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return [entry for line in lines.splitlines() for entry in one_entry(decoder.decode, line)]


def one_entry(decode: Callable[[bytes], AnyEntry], line: bytes) -> list[AnyEntry]:
    """A line that is broken (a disk that was full, a crash) is left out; those around it are not."""
    try:
        return [decode(line)]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []


def render_plain(entries: list[PlainEntry], query: LogsQuery, headers: Headers) -> bytes:
    parts: list[bytes] = []
    append, streams, framed = parts.append, query.streams, query.framed
    for entry in entries:
        stream = entry.stream
        if stream in streams:
            text = entry.log.encode()
            if framed:
                append(headers[stream, len(text)])
            append(text)
    return b"".join(parts)


def render_full(entries: list[Entry], query: LogsQuery, headers: Headers) -> Rendered:
    parts: list[bytes] = []
    for entry in entries:
        if query.until is not None or query.since is not None:
            moment = nanoseconds(entry.time)
            if query.until is not None and moment > query.until:
                return Rendered(b"".join(parts), last=True)
            if query.since is not None and moment < query.since:
                continue
        if entry.stream in query.streams:
            text = decorated(entry, query).encode()
            if query.framed:
                parts.append(headers[entry.stream, len(text)])
            parts.append(text)
    return Rendered(b"".join(parts))


def decorated(entry: Entry, query: LogsQuery) -> str:
    """The text, behind the time and the details where they are wanted."""
    time = f"{full_rfc3339(entry.time)} " if query.timestamps else ""
    details = f"{details_text(entry.attrs or {})} " if query.details else ""
    return f"{time}{details}{entry.log}"


def details_text(attributes: dict[str, str]) -> str:
    pairs = sorted(attributes.items())
    return ",".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in pairs)


def nanoseconds(time: str) -> int:
    """RFC 3339 as nanoseconds since 1970; NO_TIME for anything else."""
    try:
        return parse_rfc3339(time)
    except InvalidArgument:
        return NO_TIME
