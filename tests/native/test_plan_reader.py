"""The reader of plans: takes what steps.py writes, refuses all else, and never reads beyond its end."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.native.full_container import Bundle, Wanted, container_plan, exec_plan
from tests.native.probe import Probe, probe  # noqa: F401 - a fixture
from wherry.runtime.steps import MAGIC, Clone, Exec, Mask, Namespace, Plan, Stdio, Step

WHOLE = container_plan(Bundle(Path("/nowhere"), "wherry-test"), Wanted()).encode()


def test_whole_plans_are_read(probe: Probe) -> None:  # noqa: F811
    bundle = Bundle(Path("/nowhere"), "wherry-test")
    for plan in (container_plan(bundle, Wanted(tty=True, init=True)), exec_plan(bundle, Wanted(tty=True))):
        total = sum(len(a) if isinstance(a, bytes | str) else 8 for step in plan.steps for a in step.args())
        assert probe.ask(b"P", plan.encode()) == f"ok {len(plan.steps)} {total}".encode()


COMMAND = Exec(("true",), ("A=b",))
FORK = Clone(Namespace.MOUNT)


def body(*records: bytes) -> bytes:
    joined = b"".join(records)
    return MAGIC + struct.pack("<II", len(records), len(joined)) + joined


def record(code: int, *arguments: bytes) -> bytes:
    packed = b"".join(struct.pack("<I", len(a)) + a + b"\0" for a in arguments)
    return struct.pack("<II", code, len(arguments)) + packed


WRONG: list[tuple[str, Callable[[], bytes], str]] = [
    ("empty", lambda: b"", "does not begin"),
    ("another magic", lambda: b"WHPLAN\0\2" + WHOLE[8:], "does not begin"),
    ("nothing in it", body, "sizes"),
    ("trailing bytes", lambda: WHOLE + b"x", "sizes"),
    ("truncated", lambda: WHOLE[:-1], "sizes"),
    ("unknown code", lambda: body(FORK.encode(), record(99), COMMAND.encode()), "unknown code"),
    ("code zero", lambda: body(FORK.encode(), record(0), COMMAND.encode()), "unknown code"),
    ("no clone", lambda: body(COMMAND.encode()), "wrong side"),
    ("two clones", lambda: body(FORK.encode(), FORK.encode(), COMMAND.encode()), "exactly once"),
    ("no exec", lambda: body(FORK.encode(), Mask("/a").encode()), "exec must be the last"),
    ("two execs", lambda: body(FORK.encode(), COMMAND.encode(), COMMAND.encode()), "exec must be the last"),
    ("child step first", lambda: body(Mask("/a").encode(), FORK.encode(), COMMAND.encode()), "wrong side"),
    ("host step last", lambda: body(FORK.encode(), Stdio().encode(), COMMAND.encode()), "wrong side"),
    ("relative path", lambda: body(FORK.encode(), Mask("a").encode(), COMMAND.encode()), "wrong kind"),
    ("no path", lambda: body(FORK.encode(), Mask("").encode(), COMMAND.encode()), "wrong kind"),
    ("NUL in a path", lambda: body(FORK.encode(), Mask("/a\0b").encode(), COMMAND.encode()), "wrong kind"),
    ("short integer", lambda: body(record(10, b"1234", b""), COMMAND.encode()), "wrong kind"),
    ("lacks arguments", lambda: body(record(10), COMMAND.encode()), "lacks arguments"),
    ("too many", lambda: body(record(10, b"8" * 8, b"", b"x"), COMMAND.encode()), "wrong kind"),
    ("no command", lambda: body(FORK.encode(), record(38, b"\0" * 8, b"x")), "no command"),
    ("counts wrong", lambda: body(FORK.encode(), record(38, b"\2" + b"\0" * 7, b"x")), "no command"),
    ("negative count", lambda: body(FORK.encode(), record(38, b"\xff" * 8, b"x")), "no command"),
    ("argument count", lambda: body(FORK.encode(), struct.pack("<II", 18, 1 << 31)), "too many"),
    ("argument length", lambda: body(FORK.encode(), struct.pack("<III", 18, 1, 0xFFFFFFFF)), "a length"),
    ("no NUL behind", lambda: body(FORK.encode(), struct.pack("<III", 18, 1, 1) + b"/x"), "a length"),
]


@pytest.mark.parametrize(("encode", "why"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_wrong_plans_are_refused(probe: Probe, encode: Callable[[], bytes], why: str) -> None:  # noqa: F811
    assert why in probe.ask(b"P", encode()).decode()


edits = st.lists(
    st.tuples(
        st.integers(0, len(WHOLE) - 1),
        st.sampled_from(["flip", "cut", "double", "huge"]),
        st.integers(0, 255),
        st.integers(1, 64),
    ),
    min_size=1,
    max_size=4,
)


def mutate(plan: bytes, changes: list[tuple[int, str, int, int]], mend: bool) -> bytes:
    """Damage a plan; with ``mend`` its header's size is made right again, so that the damage gets further."""
    raw = bytearray(plan)
    for place, kind, value, length in changes:
        at = place % len(raw)
        if kind == "flip":
            raw[at] ^= value
        elif kind == "cut":
            del raw[max(at, 16) : at + length]
        elif kind == "double":
            raw[at:at] = raw[at : at + length]
        else:
            raw[at : at + 4] = b"\xff\xff\xff\x7f"
    if mend:
        raw[12:16] = struct.pack("<I", max(len(raw) - 16, 0))
    return bytes(raw)


@settings(max_examples=600, deadline=None)
@given(edits, st.booleans())
def test_damaged_plans_do_no_harm(probe: Probe, changes: list[tuple[int, str, int, int]], mend: bool) -> None:  # noqa: F811
    verdict = probe.ask(b"P", mutate(WHOLE, changes, mend))
    assert verdict.startswith(b"ok ") or verdict[:1] in (b"i", b"a", b"e")


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=6), st.lists(st.binary(max_size=60), max_size=6))
def test_any_text_comes_through(probe: Probe, words: list[str], values: list[bytes]) -> None:  # noqa: F811
    clean = tuple(word.replace("\0", "") for word in words) or ("x",)
    clean = tuple(word.encode("utf-8", "replace").decode() for word in clean)
    env = tuple("A=" + value.replace(b"\0", b"").decode("utf-8", "surrogateescape") for value in values)
    steps: tuple[Step, ...] = (FORK, Exec(clean, env))
    total = 16 + sum(len(text.encode("utf-8", "surrogateescape")) for text in (*clean, *env))
    assert probe.ask(b"P", Plan(steps).encode()) == f"ok 2 {total}".encode()
