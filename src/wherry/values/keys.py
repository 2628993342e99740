"""Keys that detach a client from a container, such as ``ctrl-p,ctrl-q``."""

from __future__ import annotations

from wherry.errors import InvalidArgument

DEFAULT_DETACH_KEYS = "ctrl-p,ctrl-q"
KEYS_MAX = 16
CONTROL = "@abcdefghijklmnopqrstuvwxyz[\\]^_"  # by the code that the key sends
DELETE = 127


def parse_keys(text: str) -> bytes:
    """What the keys send. Each is a character, ``ctrl-`` with one of ``a-z@[\\]^_``, or ``DEL``; no text is no keys.

    InvalidArgument says which is none; the daemon and the command line each put it in Docker's words for them.
    """
    return bytes(map(_code, text.split(","))) if text else b""


def parse_detach_keys(text: str) -> bytes:
    """As ``parse_keys``, for the daemon: InvalidArgument in dockerd's words, also where they are more than a monitor
    takes."""
    try:
        keys = parse_keys(text)
    except InvalidArgument:
        raise InvalidArgument(f"Invalid detach keys ({text}) provided") from None
    if len(keys) > KEYS_MAX:
        raise InvalidArgument(f"Invalid detach keys ({text}) provided: at most {KEYS_MAX} keys")
    return keys


def _code(key: str) -> int:
    if len(key) == 1 and key.isascii():
        return ord(key)
    if key == "DEL":
        return DELETE
    if len(key) == 6 and key.startswith("ctrl-") and key[5] in CONTROL:
        return CONTROL.index(key[5])
    raise InvalidArgument(f"Unknown character: '{key}'")
