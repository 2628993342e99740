"""Log text, times and detach keys, against what Go and Docker do."""

from __future__ import annotations

import datetime
import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.native.probe import Probe, probe  # noqa: F401 - a fixture
from wherry.errors import InvalidArgument
from wherry.values.keys import parse_detach_keys

GO = [
    (b"plain", "plain"),
    (b'quote " and \\', 'quote \\" and \\\\'),
    (b"a\tb\rc\nd", "a\\u0009b\\rc\\nd"),
    (b"<b> & </b>", "\\u003cb\\u003e \\u0026 \\u003c/b\\u003e"),
    (b"\x00\x1b[0m\x7f", "\\u0000\\u001b[0m\x7f"),
    ("grün €".encode(), "grün €"),
    ("\U0001f600".encode(), "\U0001f600"),
    ("a\u2028b\u2029".encode(), "a\\u2028b\\u2029"),
    (b"\xff\xfe", "\\ufffd\\ufffd"),
    (b"cut \xe2\x82", "cut \\ufffd\\ufffd"),
    (b"\xed\xa0\x80 surrogate", "\\ufffd\\ufffd\\ufffd surrogate"),
    (b"\xc0\xaf overlong", "\\ufffd\\ufffd overlong"),
    (b"\xf4\x90\x80\x80 beyond", "\\ufffd\\ufffd\\ufffd\\ufffd beyond"),
]


@pytest.mark.parametrize(("text", "escaped"), GO)
def test_text_is_escaped_as_go_does(probe: Probe, text: bytes, escaped: str) -> None:  # noqa: F811
    assert probe.ask(b"J", text).decode() == escaped


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_json(probe: Probe, text: bytes) -> None:  # noqa: F811
    escaped = probe.ask(b"J", text)
    assert json.loads(b'"' + escaped + b'"') == text.decode("utf-8", "replace") or b"\\ufffd" in escaped


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_unicode_comes_back(probe: Probe, text: str) -> None:  # noqa: F811
    clean = text.encode("utf-8", "replace")
    assert json.loads(b'"' + probe.ask(b"J", clean) + b'"') == clean.decode()


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 253402300799), st.integers(0, 999999999))
def test_times(probe: Probe, seconds: int, nanoseconds: int) -> None:  # noqa: F811
    said = probe.ask(b"T", struct.pack("<qq", seconds, nanoseconds)).decode()
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    fraction = f".{nanoseconds:09d}".rstrip("0").rstrip(".")
    assert said == moment.isoformat(timespec="seconds") + fraction + "Z"


# ---------------------------------------------------------------- detach keys


def feed(probe: Probe, keys: bytes, pieces: list[bytes]) -> tuple[bytes, bool]:  # noqa: F811
    """What reaches the container of input that comes in these pieces, and whether the client detached."""
    probe.ask(b"K", b"")
    out, detached = b"", False
    for piece in pieces:
        if piece and not detached:
            said = probe.ask(b"K", bytes([len(keys)]) + keys + piece)
            out, detached = out + said[1:], said[0] == 1
    return out, detached


CTRL_PQ = b"\x10\x11"


@pytest.mark.parametrize(
    ("keys", "pieces", "out", "detached"),
    [
        (CTRL_PQ, [b"ls\n"], b"ls\n", False),
        (CTRL_PQ, [b"ls\n\x10\x11rest"], b"ls\n", True),
        (CTRL_PQ, [b"a\x10", b"\x11"], b"a", True),
        (CTRL_PQ, [b"\x10", b"x"], b"\x10x", False),
        (CTRL_PQ, [b"\x10\x10\x11"], b"\x10", True),
        (CTRL_PQ, [b"\x11\x10"], b"\x11", False),
        (b"aab", [b"aa", b"ab"], b"a", True),
        (b"abab", [b"aba", b"c"], b"abac", False),
        (b"x", [b"hello x y"], b"hello ", True),
    ],
)
def test_detach_sequence(
    probe: Probe,  # noqa: F811
    keys: bytes,
    pieces: list[bytes],
    out: bytes,
    detached: bool,
) -> None:
    assert feed(probe, keys, pieces) == (out, detached)


@settings(max_examples=300, deadline=None)
@given(st.binary(min_size=1, max_size=5), st.lists(st.binary(max_size=12), max_size=8))
def test_borders_of_packets_do_not_matter(probe: Probe, keys: bytes, pieces: list[bytes]) -> None:  # noqa: F811
    keys = bytes(key % 3 for key in keys)
    pieces = [bytes(byte % 3 for byte in piece) for piece in pieces]
    whole = b"".join(pieces)
    at = whole.find(keys)
    out, detached = feed(probe, keys, pieces)
    assert detached == (at >= 0)
    if detached:
        assert out == whole[:at]
    else:
        held = max(n for n in range(len(keys)) if n == 0 or whole.endswith(keys[:n]))
        assert out == whole[: len(whole) - held]


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("ctrl-@", b"\x00"),
        ("ctrl-a,a,A", b"\x01aA"),
        ("ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", b"\x1b\x1c\x1d\x1e\x1f"),
        ("DEL", b"\x7f"),
        ("", b""),
    ],
)
def test_names_of_keys(text: str, keys: bytes) -> None:
    assert parse_detach_keys(text) == keys


@pytest.mark.parametrize(
    "text", ["ctrl-", "ctrl-1", "ctrl-P", "a,,b", "ab", "ctrl-pq", "ü", ",".join("x" * 17)]
)
def test_wrong_names_of_keys(text: str) -> None:
    with pytest.raises(InvalidArgument, match="Invalid detach keys"):
        parse_detach_keys(text)
