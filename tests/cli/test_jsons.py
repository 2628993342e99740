"""JSON of the wire: what the ``json`` package reads and writes, without importing it."""

from __future__ import annotations

import contextlib
import json
import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.daemon import ROOT
from wherry.cli.jsons import dumps, loads, pretty

SCALARS = st.none() | st.booleans() | st.integers() | st.text()
VALUES = st.recursive(
    SCALARS | st.floats(allow_nan=False, allow_infinity=False),
    lambda v: st.lists(v) | st.dictionaries(st.text(), v),
    max_leaves=20,
)


@given(VALUES, st.sampled_from([None, 1]), st.booleans())
def test_reads_what_json_writes(value: object, indent: int | None, ascii: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii)
    assert loads(f" {text}\n") == json.loads(text)
    with contextlib.suppress(UnicodeEncodeError):
        assert loads(text.encode()) == json.loads(text)


@given(VALUES)
def test_writes_what_json_writes(value: object) -> None:
    assert dumps(value) == json.dumps(value, separators=(",", ":"))
    compact = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    indented = json.dumps(value, indent=4, ensure_ascii=False)
    if compact.isprintable():
        assert (dumps(value, ascii=False), pretty(value, 4)) == (compact, indented)
    assert dumps(value, ascii=False).isprintable()
    assert pretty(value, 4).replace("\n", "").isprintable()
    assert json.loads(dumps(value, ascii=False)) == json.loads(pretty(value, 4)) == json.loads(compact)
    assert loads(dumps(value)) == value


@given(st.text('{}[]",:0123456789.eE+-truefalsn \\u', max_size=12) | st.text(max_size=12))
def test_refuses_what_json_refuses(text: str) -> None:
    try:
        wanted = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError):
            loads(text)
        return
    found = loads(text)
    assert repr(found) == repr(wanted)  # two NaN are not equal


def test_what_does_not_go_over_the_wire() -> None:
    with pytest.raises(TypeError, match="not a JSON value"):
        dumps({"a": b"bytes"})
    assert loads("[Infinity,-Infinity]") == [math.inf, -math.inf]


def test_an_interpreter_without_the_part_in_c_serves_too() -> None:
    program = (
        "import sys; sys.modules['_json'] = None\n"
        "from wherry.cli import bare, jsons, signals, host\n"
        "import socket\n"
        "assert bare.Socket is socket.socket\n"
        "value = {'a': [1, 'ü\\n', None, True, {}]}\n"
        "assert jsons.loads(jsons.dumps(value)) == value\n"
    )
    subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": str(ROOT / "src")}, check=True)
