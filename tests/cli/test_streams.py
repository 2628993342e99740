"""Output frames, detach keys and the terminal."""

from __future__ import annotations

import itertools
import os
import pty
import struct
import tempfile
import termios

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.cli import streams
from wherry.cli.errors import CliError
from wherry.cli.streams import Demultiplexer
from wherry.cli.terminal import DetachFilter, RawMode, parse_detach_keys

FRAMES = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=300)), max_size=700)


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(ends)]


@given(FRAMES, st.lists(st.integers(0, 10**6), max_size=20))
def test_frames_arrive_whole_however_they_are_cut(frames: list[tuple[int, bytes]], cuts: list[int]) -> None:
    data = b"".join(struct.pack(">BxxxI", kind, len(payload)) + payload for kind, payload in frames)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        saved = os.dup(1), os.dup(2)
        try:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            demultiplexer = Demultiplexer()
            for piece in pieces_of(data, cuts):
                demultiplexer.feed(piece)
        finally:
            os.dup2(saved[0], 1)
            os.dup2(saved[1], 2)
            os.close(saved[0])
            os.close(saved[1])
        for kind, file in ((1, out), (2, err)):
            file.seek(0)
            assert file.read() == b"".join(payload for k, payload in frames if k == kind)


def test_what_is_no_frame_is_an_error() -> None:
    with pytest.raises(CliError, match="Unrecognized input header: 123"):
        Demultiplexer().feed(b'{"a":"bcdefg"}')


def test_the_engines_own_error_frame_is_an_error() -> None:
    with pytest.raises(CliError, match="disk full"):
        Demultiplexer().feed(struct.pack(">BxxxI", streams.SYSTEM_ERROR, 9) + b"disk full")


@pytest.mark.parametrize(
    ("keys", "codes"),
    [("", b"\x10\x11"), ("ctrl-p,ctrl-q", b"\x10\x11"), ("a,b", b"ab"), ("ctrl-@", b"\0"), ("ctrl-[,ctrl-_", b"\x1b\x1f"),  # noqa: E501
     ("DEL", b"\x7f"), ("ctrl-a,x", b"\x01x")],
)  # fmt: skip
def test_detach_keys(keys: str, codes: bytes) -> None:
    assert parse_detach_keys(keys) == codes


@pytest.mark.parametrize("keys", ["ctrl-", "ctrl-A", "ab", "ctrl-p,", "shift-a"])
def test_no_detach_keys(keys: str) -> None:
    with pytest.raises(CliError, match="Unknown character"):
        parse_detach_keys(keys)


def detached_at(typed: bytes, keys: bytes) -> int | None:
    """Where the keys are complete, read as the filter reads: a key that fits starts over at itself."""
    matched = 0
    for n, code in enumerate(typed):
        matched = matched + 1 if code == keys[matched] else int(code == keys[0])
        if matched == len(keys):
            return n
    return None


@given(st.text("pqx"), st.sampled_from(["pq", "p", "ppq", "xpq"]), st.lists(st.integers(0, 1000), max_size=5))
def test_all_but_the_detach_keys_goes_through(typed: str, keys: str, cuts: list[int]) -> None:
    raw, wanted = typed.encode(), keys.encode()
    filter, sent, detached = DetachFilter(wanted), b"", False
    for piece in pieces_of(raw, cuts):
        passed, detached = filter.feed(piece)
        sent += passed
        if detached:
            break
    end = detached_at(raw, wanted)
    assert detached == (end is not None)
    if detached:
        assert end is not None and sent == raw[: end + 1 - len(wanted)]
    else:
        assert raw.startswith(sent) and wanted.startswith(raw[len(sent) :])


def test_RawMode_is_undone_also_after_an_error() -> None:
    controller, terminal = pty.openpty()
    try:
        before = termios.tcgetattr(terminal)
        with pytest.raises(ZeroDivisionError), RawMode(terminal):
            assert not termios.tcgetattr(terminal)[3] & (termios.ECHO | termios.ICANON | termios.ISIG)
            raise ZeroDivisionError
        assert termios.tcgetattr(terminal) == before
    finally:
        os.close(controller)
        os.close(terminal)
