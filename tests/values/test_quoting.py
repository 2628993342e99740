"""Quotes as Go's: what a user sees of a command in ``docker ps`` and in errors."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.values.quoting import quoted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", '""'),
        ("sh -c 'a b' ü", "\"sh -c 'a b' ü\""),
        ('a"b\\c', r'"a\"b\\c"'),
        ("\a\b\f\n\r\t\v", r'"\a\b\f\n\r\t\v"'),
        ("\x1b[2J\x7f\x00", r'"\x1b[2J\x7f\x00"'),
        ("\x9b\u202e\xa0\U000e0041", r'"\u009b\u202e\u00a0\U000e0041"'),
        ("\udcff", r'"\xff"'),
    ],
)
def test_as_go_quotes(text: str, shown: str) -> None:
    assert quoted(text) == shown


@given(st.text())
def test_quoted_text_prints_and_means_the_same(text: str) -> None:
    assert quoted(text).isprintable()
    if not any("\udc80" <= c <= "\udcff" for c in text):
        assert ast.literal_eval(quoted(text)) == text
