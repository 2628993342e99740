"""nf_tables: elements of maps by netlink, whole tables by the ``nft`` program's own language.

Adding and deleting elements is what happens at every start of a container, so it is done in process with a
few dozen bytes. A table is loaded once in a daemon's life; its text goes to ``nft`` or, where there is no
such program, to libnftables. Linux uapi/linux/netfilter/nf_tables.h; nft(8).
"""

from __future__ import annotations

import ctypes
import errno
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

from wherry.linux.netlink import (
    BE64,
    BPF,
    BPF_DROP,
    BPF_JUMP_EQUAL,
    BPF_KEEP,
    BPF_LOAD_HALF,
    BPF_LOAD_WORD,
    PORT_OFFSET,
    TYPE_OFFSET,
    Flag,
    Message,
    Netlink,
    Protocol,
    Reply,
    Watch,
    attribute,
    each_attribute,
    in_order,
    nested,
    parse_attributes,
    text,
)
from wherry.linux.program import ask

IPV4 = 2  # NFPROTO_IPV4
SUBSYSTEM = 10 << 8  # NFNL_SUBSYS_NFTABLES
BATCH_BEGIN, BATCH_END = 0x10, 0x11
GROUP = 7  # NFNLGRP_NFTABLES: notifications of every change
HEADER = 4  # struct nfgenmsg
TABLE_NAME, TABLE_FLAGS, TABLE_USER_DATA = 1, 2, 6
OWNER = 2  # NFT_TABLE_F_OWNER
NFT_SECONDS = 30.0
LIBRARY = "libnftables.so.1"
FIRST_TEXT = 24  # behind the message's header, struct nfgenmsg and the first attribute's header
TOGETHER = 512  # elements in one transaction

T = TypeVar("T")


class Kind(IntEnum):
    """NFT_MSG_*."""

    NEW_TABLE = SUBSYSTEM | 0
    GET_TABLE = SUBSYSTEM | 1
    DELETE_TABLE = SUBSYSTEM | 2
    NEW_RULE = SUBSYSTEM | 6
    GET_RULE = SUBSYSTEM | 7
    NEW_ELEMENT = SUBSYSTEM | 12
    GET_ELEMENT = SUBSYSTEM | 13
    DELETE_ELEMENT = SUBSYSTEM | 14
    NEW_GENERATION = SUBSYSTEM | 15


class Element(IntEnum):
    """NFTA_SET_ELEM_* and their list's."""

    LIST_TABLE, LIST_SET, LIST_ELEMENTS = 1, 2, 3
    KEY, DATA, EXPRESSION = 1, 2, 7


@dataclass(frozen=True, slots=True)
class MapElement:
    """Key and value of a map as the kernel has them: each field in network order, filled up to four bytes."""

    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Count:
    """What a counter has seen."""

    packets: int
    bytes: int


def field(value: bytes) -> bytes:
    """One field of a concatenation."""
    return value + bytes(-len(value) & 3)


def header(family: int = IPV4, resource: int = 0) -> bytes:
    """``struct nfgenmsg``, in front of every body."""
    return bytes((family, 0)) + resource.to_bytes(2, "big")


def batch(messages: Iterable[Message]) -> tuple[Message, ...]:
    """A transaction: all of it or nothing."""
    frame = header(0, SUBSYSTEM >> 8)
    return (
        Message(BATCH_BEGIN, frame, about="nftables"),
        *messages,
        Message(BATCH_END, frame, about="nftables"),
    )


class Tables:
    """The nf_tables of the network namespace that the thread was in when this was made. Family ip only."""

    def __init__(self) -> None:
        self._netlink = Netlink(Protocol.NETFILTER)

    @property
    def port(self) -> int:
        """By which the kernel tells what this has changed."""
        return self._netlink.port

    def close(self) -> None:
        """Let go of the socket."""
        self._netlink.close()

    def comment(self, table: str) -> bytes | None:
        """The user data of a table, which holds its comment; None where there is no such table."""
        query = Message(Kind.GET_TABLE, header() + text(1, table), about=table)
        try:
            return parse_attributes(self._netlink.request(query)[0].body, HEADER).get(TABLE_USER_DATA, b"")
        except FileNotFoundError:
            return None

    def count_rules(self, table: str) -> int:
        """How many rules a table has; none where it is missing."""
        query = Message(Kind.GET_RULE, header() + text(1, table), about=table)
        try:
            return sum(reply.type == Kind.NEW_RULE for reply in self._netlink.dump(query))
        except FileNotFoundError:
            return 0

    def delete_table(self, table: str) -> None:
        """Remove a table and all in it; a missing one is fine."""
        message = Message(Kind.DELETE_TABLE, header() + text(1, table), about=table)
        try:
            self._netlink.request(*batch([message]))
        except FileNotFoundError:
            return

    def add(self, table: str, elements: Sequence[tuple[str, MapElement]]) -> None:
        """Add elements to maps. One that is there with the same value is fine. On an error, some may be there.

        FileNotFoundError where the table or map is missing; EBUSY or EEXIST where a key has another value.
        """
        self._change(Kind.NEW_ELEMENT, table, elements)

    def replace(self, table: str, elements: Sequence[tuple[str, MapElement]]) -> None:
        """Add elements, whatever value their keys had before."""
        for map_name, element in elements:
            self.delete(table, [(map_name, element)])
        self.add(table, elements)

    def delete(self, table: str, elements: Sequence[tuple[str, MapElement]]) -> None:
        """Delete elements by their keys; missing ones, or a missing table, are fine."""
        for some in in_parts(elements):
            try:
                self._change(Kind.DELETE_ELEMENT, table, some)
            except FileNotFoundError:
                if len(some) > 1:
                    for element in some:
                        self.delete(table, [element])

    def _change(self, kind: Kind, table: str, elements: Sequence[tuple[str, MapElement]]) -> None:
        for some in in_parts(elements):
            by_map: dict[str, list[MapElement]] = {}
            for map_name, element in some:
                by_map.setdefault(map_name, []).append(element)
            self._netlink.request(
                *batch(elements_message(kind, table, name, found) for name, found in by_map.items())
            )

    def value(self, table: str, map_name: str, key: bytes) -> bytes | None:
        """What a map has under one key; None where it has nothing, or where there is no such map."""
        wanted = elements_message(Kind.GET_ELEMENT, table, map_name, [MapElement(key, b"")])
        try:
            [(element, _)] = read_elements(self._netlink.request(wanted)[0])
        except FileNotFoundError:
            return None
        return element.value

    def elements(self, table: str, map_name: str) -> dict[MapElement, Count]:
        """What a map holds, with each element's counter. FileNotFoundError where it is missing."""
        body = header() + text(Element.LIST_TABLE, table) + text(Element.LIST_SET, map_name)
        replies = self._netlink.dump(Message(Kind.GET_ELEMENT, body, about=f"{table} {map_name}"))
        return dict(read for reply in replies for read in read_elements(reply))


class OwnedTable:
    """An empty table that is its socket's: nobody else can change it or take it away, and it goes with the socket.

    OSError where it cannot be had; EPERM where it is another socket's. Linux 5.12.
    """

    def __init__(self, table: str) -> None:
        self._netlink = Netlink(Protocol.NETFILTER)
        flags = attribute(TABLE_FLAGS, OWNER.to_bytes(4, "big"))
        new = Message(Kind.NEW_TABLE, header() + text(TABLE_NAME, table) + flags, Flag.CREATE, about=table)
        old = Message(Kind.DELETE_TABLE, header() + text(TABLE_NAME, table), about=table)
        plain = Message(Kind.NEW_TABLE, header() + text(TABLE_NAME, table), Flag.CREATE, about=table)
        try:
            self._netlink.request(*batch([plain, old, new]))  # one that is nobody's makes way
        except BaseException:
            self._netlink.close()
            raise

    def close(self) -> None:
        """Give it up."""
        self._netlink.close()


def in_parts(elements: Sequence[T]) -> Iterator[Sequence[T]]:
    """What fits into one transaction: an attribute has up to 64 KiB."""
    for first in range(0, len(elements), TOGETHER):
        yield elements[first : first + TOGETHER]


def elements_message(kind: Kind, table: str, map_name: str, elements: Iterable[MapElement]) -> Message:
    """About elements of one map."""
    body = (
        header()
        + text(Element.LIST_TABLE, table)
        + text(Element.LIST_SET, map_name)
        + nested(Element.LIST_ELEMENTS, *(encode(element, kind) for element in elements))
    )
    flags = Flag.CREATE if kind is Kind.NEW_ELEMENT else Flag(0)
    return Message(kind, body, flags, about=f"element of {table} {map_name}")


def encode(element: MapElement, kind: Kind) -> bytes:
    key = nested(Element.KEY, attribute(1, element.key))
    if kind is not Kind.NEW_ELEMENT:
        return nested(1, key)
    return nested(1, key, nested(Element.DATA, attribute(1, element.value)))


def read_elements(reply: Reply) -> list[tuple[MapElement, Count]]:
    listed = parse_attributes(reply.body, HEADER).get(Element.LIST_ELEMENTS, b"")
    return [read_element(parse_attributes(data)) for _, data in each_attribute(listed)]


def read_element(attributes: dict[int, bytes]) -> tuple[MapElement, Count]:
    key = parse_attributes(attributes[Element.KEY])[1]
    value = parse_attributes(attributes.get(Element.DATA, b"")).get(1, b"")
    return MapElement(key, value), read_counter(attributes.get(Element.EXPRESSION, b""))


def read_counter(expression: bytes) -> Count:
    parts = parse_attributes(expression)
    if parts.get(1) != b"counter\0":
        return Count(0, 0)
    data = parse_attributes(parts.get(2, b""))
    return Count(packets=BE64.unpack(data[2])[0], bytes=BE64.unpack(data[1])[0])


def load(ruleset: str) -> None:
    """Execute nft(8) commands, all or none. OSError with nft's words where it refuses, or does not come to an end."""
    program = shutil.which("nft", path="/usr/sbin:/sbin:/usr/local/sbin:/usr/bin")
    if program is None:
        load_in_process(ruleset)
        return
    done = ask([program, "-f", "-"], ruleset.encode(), NFT_SECONDS)
    if done.status:
        raise OSError(errno.EINVAL, done.complaint.decode("utf-8", "replace").strip() or "nft failed", "nft")


def load_in_process(ruleset: str) -> None:
    """The same through libnftables (2.5 MB more memory for the life of the process)."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        raise OSError(
            errno.ENOENT, f"neither nft nor {LIBRARY} is installed (both are in Debian's package nftables)"
        ) from None
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
    context = ctypes.c_void_p(library.nft_ctx_new(ctypes.c_uint32(0)))
    try:
        library.nft_ctx_buffer_error(context)
        library.nft_ctx_buffer_output(context)
        if library.nft_run_cmd_from_buffer(context, ruleset.encode()):
            said = library.nft_ctx_get_error_buffer(context) or b"libnftables failed"
            raise OSError(errno.EINVAL, said.decode("utf-8", "replace").strip(), LIBRARY)
    finally:
        library.nft_ctx_free(context)


def changes_by_others(table: str, own: int) -> bytes:
    """A classic BPF program over a notification's first message. Tables it knows by their first letters."""
    word = (table.encode() + bytes(4))[:4]
    element_kinds = (Kind.NEW_ELEMENT, Kind.DELETE_ELEMENT)
    lines = (
        (BPF_LOAD_WORD, 0, 0, PORT_OFFSET),
        (BPF_JUMP_EQUAL, 7, 0, in_order(own, 4)),  # drop
        (BPF_LOAD_HALF, 0, 0, TYPE_OFFSET),
        (BPF_JUMP_EQUAL, 5, 0, in_order(Kind.NEW_GENERATION, 2)),  # drop
        (BPF_JUMP_EQUAL, 1, 0, in_order(element_kinds[0], 2)),
        (BPF_JUMP_EQUAL, 0, 2, in_order(element_kinds[1], 2)),  # else keep
        (BPF_LOAD_WORD, 0, 0, FIRST_TEXT),
        (BPF_JUMP_EQUAL, 0, 1, int.from_bytes(word, "big")),  # else drop
    )
    return b"".join(BPF.pack(*line) for line in lines) + BPF_KEEP + BPF_DROP


def watch(table: str, own: int) -> Watch:
    """For changes of tables, chains, rules or maps, and of elements of one table's maps.

    ``own`` is the port of a socket whose changes do not count.
    """
    return Watch(Protocol.NETFILTER, changes_by_others(table, own), GROUP)
