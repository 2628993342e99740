"""A netlink socket and its messages, in as much as rtnetlink(7) and nfnetlink need. Linux netlink(7).

A request is a batch: all its messages go to the kernel in one ``sendmsg``, which executes them before it
returns. Only the last one asks to be acknowledged; a failing one always answers. Every failure is an
``OSError`` whose ``filename`` says what the message was about, with the kernel's own sentence where it gives one.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from wherry.linux import libc

HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
ATTRIBUTE = struct.Struct("=HH")  # length, type
ERROR = struct.Struct("=i")
U16, U32, BE64 = struct.Struct("=H"), struct.Struct("=I"), struct.Struct(">Q")

SOL_NETLINK = 270
NETLINK_CAP_ACK = 10  # an acknowledgement does not repeat the request
NETLINK_EXT_ACK = 11
NETLINK_ADD_MEMBERSHIP = 1
NLMSGERR_ATTR_MSG = 1
SO_ATTACH_FILTER = 26
BPF = struct.Struct("=HBBI")  # struct sock_filter
FPROG = struct.Struct("@HP")  # struct sock_fprog
BPF_LOAD_WORD, BPF_LOAD_HALF, BPF_JUMP_EQUAL, BPF_RETURN = 0x20, 0x28, 0x15, 0x06
BPF_KEEP, BPF_DROP = BPF.pack(BPF_RETURN, 0, 0, 0xFFFFFFFF), BPF.pack(BPF_RETURN, 0, 0, 0)
TYPE_OFFSET, PORT_OFFSET = 4, 12  # in a message's header
RECEIVE_SIZE = 1 << 16
NESTED = 0x8000  # NLA_F_NESTED
TYPE_MASK = 0x3FFF


class Protocol(IntEnum):
    """NETLINK_*: which part of the kernel is spoken to."""

    ROUTE = 0
    NETFILTER = 12


class Kind(IntEnum):
    """Control messages."""

    NOOP = 1
    ERROR = 2
    DONE = 3


class Flag(IntFlag):
    """NLM_F_*."""

    REQUEST = 0x1
    ACK = 0x4
    DUMP_INTERRUPTED = 0x10
    CAPPED = 0x100
    EXT_ACK = 0x200
    DUMP = 0x300
    EXCL = 0x200
    CREATE = 0x400
    APPEND = 0x800


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its type, what follows the header, and what it is about (for errors)."""

    type: int
    body: bytes
    flags: Flag = Flag(0)
    about: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """A message from the kernel, without its header."""

    type: int
    body: bytes


def align(length: int) -> int:
    return (length + 3) & ~3


def attribute(type: int, value: bytes) -> bytes:
    """One attribute with its header and padding."""
    length = 4 + len(value)
    return ATTRIBUTE.pack(length, type) + value + bytes(-length & 3)


def nested(type: int, *attributes: bytes) -> bytes:
    """An attribute that holds others."""
    return attribute(type | NESTED, b"".join(attributes))


def text(type: int, value: str) -> bytes:
    """A text attribute, ended by a NUL."""
    return attribute(type, value.encode() + b"\0")


def u32(type: int, value: int) -> bytes:
    """A number of 32 bits."""
    return attribute(type, U32.pack(value))


def parse_attributes(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """The attributes of a message or a nest, by type; of a repeated one the last."""
    return dict(each_attribute(data, offset))


def each_attribute(data: bytes, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """Types and values in their order, also of types that are there several times."""
    while offset + 4 <= len(data):
        length, type = ATTRIBUTE.unpack_from(data, offset)
        if length < 4 or offset + length > len(data):
            return
        yield type & TYPE_MASK, data[offset + 4 : offset + length]
        offset += align(length)


class Netlink:
    """A socket of one protocol, in the network namespace that the thread was in when it was made.

    Safe to call from several threads.
    """

    def __init__(self, protocol: Protocol = Protocol.ROUTE) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self._lock = threading.Lock()
        self._sequence = 0

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def port(self) -> int:
        """The number by which the kernel knows this socket, and by which it tells whose changes are whose."""
        if not self._socket.getsockname()[0]:
            self._socket.bind((0, 0))
        return int(self._socket.getsockname()[0])

    def request(self, *messages: Message) -> list[Reply]:
        """Have all messages executed; the answers to those that give one. The first failure is raised."""
        with self._lock:
            first = self._sequence + 1
            self._socket.sendall(self._encode(messages))
            replies, failures = self._collect(first, self._sequence)
        if failures:
            raise explain(failures, messages, first)
        return replies

    def dump(self, message: Message) -> list[Reply]:
        """All objects that a query finds. Asked again where they changed meanwhile."""
        while True:
            with self._lock:
                self._sequence += 1
                self._socket.sendall(encode(message, self._sequence, Flag.DUMP))
                replies, interrupted = self._collect_dump(message)
            if not interrupted:
                return replies

    def _encode(self, messages: Iterable[Message]) -> bytes:
        parts = []
        last = tuple(messages)[-1]
        for message in messages:
            self._sequence += 1
            parts.append(encode(message, self._sequence, Flag.ACK if message is last else Flag(0)))
        return b"".join(parts)

    def receive_now(self) -> bytes | None:
        """A datagram that is there already, or None."""
        try:
            return self._socket.recv(RECEIVE_SIZE, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None

    def _collect(self, first: int, last: int) -> tuple[list[Reply], dict[int, bytes]]:
        """Answers and, by sequence number, failures. All have arrived by the time ``sendmsg`` returns, behind those of
        an earlier request that could not be received."""
        replies: list[Reply] = []
        failures: dict[int, bytes] = {}
        acknowledged = False
        while not acknowledged and (data := self.receive_now()) is not None:
            for type, flags, sequence, body in split(data):
                if sequence < first:
                    continue
                if type != Kind.ERROR:
                    replies.append(Reply(type, body))
                elif ERROR.unpack_from(body)[0]:
                    failures[sequence] = body if flags & Flag.EXT_ACK else body[:4]
                else:
                    acknowledged = sequence == last
        return replies, failures

    def _collect_dump(self, message: Message) -> tuple[list[Reply], bool]:
        replies: list[Reply] = []
        interrupted = False
        while True:
            for type, flags, sequence, body in split(self._socket.recv(RECEIVE_SIZE)):
                if sequence != self._sequence:  # of an earlier one that was not received to its end
                    continue
                interrupted |= bool(flags & Flag.DUMP_INTERRUPTED)
                if type == Kind.DONE:
                    return replies, interrupted
                if type == Kind.ERROR:
                    raise failure(body, message.about)
                replies.append(Reply(type, body))


class Watch(Netlink):
    """Becomes readable when somebody makes a change of which multicast groups tell, and a filter lets through.

    ``program`` is classic BPF: a datagram that it answers 0 to never arrives.
    """

    def __init__(self, protocol: Protocol, program: bytes, *groups: int) -> None:
        super().__init__(protocol)
        attach_filter(self._socket, program)
        self._socket.bind((0, 0))  # only a bound socket gets any
        for group in groups:
            self._socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)

    def fileno(self) -> int:
        """For an event loop: readable when something has changed."""
        return self._socket.fileno()

    def drain(self) -> None:
        """Throw away what is waiting, and the news that more than fits was sent."""
        while True:
            try:
                if self.receive_now() is None:
                    return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise


def in_order(value: int, size: int) -> int:
    """A number of the host's as a BPF program loads it from a message: in network order."""
    return int.from_bytes(value.to_bytes(size, sys.byteorder), "big")


def attach_filter(target: socket.socket, program: bytes) -> None:
    """Give a socket a classic BPF program: what it answers 0 to never arrives."""
    code = ctypes.create_string_buffer(program, len(program))
    target.setsockopt(
        socket.SOL_SOCKET, SO_ATTACH_FILTER, FPROG.pack(len(program) // BPF.size, ctypes.addressof(code))
    )


def encode(message: Message, sequence: int, extra: Flag) -> bytes:
    """A message with its header, padded."""
    length = HEADER.size + len(message.body)
    flags = int(message.flags) | int(extra) | int(Flag.REQUEST)
    return HEADER.pack(length, message.type, flags, sequence, 0) + message.body + bytes(-length & 3)


def split(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """The messages of one datagram: type, flags, sequence, body."""
    offset = 0
    while offset + HEADER.size <= len(data):
        length, type, flags, sequence, _ = HEADER.unpack_from(data, offset)
        yield type, flags, sequence, data[offset + HEADER.size : offset + length]
        offset += max(align(length), HEADER.size)


def explain(failures: dict[int, bytes], messages: tuple[Message, ...], first: int) -> OSError:
    """The failure of the earliest message that failed."""
    sequence = min(failures)
    position = sequence - first
    about = messages[position].about if 0 <= position < len(messages) else ""
    return failure(failures[sequence], about)


def failure(body: bytes, about: str) -> OSError:
    """The OSError of an error message, with the kernel's own sentence where it gives one."""
    number = -ERROR.unpack_from(body)[0]
    attributes = parse_attributes(body, 4 + HEADER.size)
    said = attributes.get(NLMSGERR_ATTR_MSG, b"").rstrip(b"\0").decode("utf-8", "replace")
    return libc.failure(number, about, said)
