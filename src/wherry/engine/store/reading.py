"""Records as they were stored, each read for itself: one that cannot be read takes no other with it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import msgspec

from wherry.engine.store.database import Row

log = logging.getLogger(__name__)
T = TypeVar("T")


class Unreadable(Exception):
    """A record that another program has written, or a disk has damaged, or that is nested too deep. Says why."""


def read(decode: Callable[[bytes], T], raw: bytes) -> T:
    """One record. Unreadable where it is none."""
    try:
        return decode(raw)
    except (msgspec.MsgspecError, RecursionError, ValueError, TypeError) as error:
        raise Unreadable(str(error)) from error


def readable(decode: Callable[[bytes], T], rows: Iterable[Row], noun: str) -> Iterator[T]:
    """Those of the records, each behind its key, that can be read; the others are told in the log."""
    for key, raw in rows:
        try:
            yield read(decode, raw)
        except Unreadable as error:
            log.error("the record of %s %s cannot be read: %s", noun, key, error)
