"""Paths, as far as the kernel takes them. path_resolution(7)."""

from __future__ import annotations

import os
import posixpath

from wherry.errors import InvalidArgument

LONGEST, LONGEST_NAME = 4095, 255  # bytes


def check_path(path: str, what: str) -> None:
    """InvalidArgument, which begins with ``what``, unless it is an absolute path that the kernel can look up."""
    if not path.startswith("/"):
        raise InvalidArgument(f"invalid {what}: {shown(path)} is not an absolute path")
    check_length(path, what)


def check_length(path: str, what: str) -> None:
    """InvalidArgument for a NUL, and for what is longer than any path or name can be."""
    raw = os.fsencode(path)
    if b"\0" in raw:
        raise InvalidArgument(f"invalid {what}: {shown(path)} has a NUL in it")
    if len(raw) > LONGEST or any(len(name) > LONGEST_NAME for name in raw.split(b"/")):
        raise InvalidArgument(f"invalid {what}: {shown(path)} is too long for a path")


def cleaned(path: str) -> str:
    """An absolute path in its shortest form, as a text; what is none, as it is."""
    return f"/{posixpath.normpath(path).lstrip('/')}" if path.startswith("/") else path


def shown(path: str) -> str:
    """As much of a path as an error has room for."""
    return repr(path) if len(path) <= 64 else repr(path[:64]) + "…"
