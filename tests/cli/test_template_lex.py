"""A template's characters, read by hand, against the same grammar as regular expressions."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wherry.cli.template_lex import TemplateError, split, tokens

TOKEN = re.compile(
    r"""\s+ | (?P<string>"(?:[^"\\\n]|\\.)*") | (?P<raw>`[^`]*`) | (?P<char>'(?:[^'\\\n]|\\.)+')
    | (?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?))
    | (?P<field>(?:\.[A-Za-z_]\w*)+) | (?P<dot>\.) | (?P<variable>\$\w*) | (?P<word>[A-Za-z_]\w*)
    | (?P<mark>:=|=|\||\(|\)|,)""",
    re.VERBOSE,
)
ACTION = re.compile(
    r"\{\{(-(?=\s))?((?:\"(?:[^\"\\]|\\.)*\"|`[^`]*`|/\*.*?\*/|(?!\}\}).)*?)((?<=\s)-)?\}\}", re.DOTALL
)
INSIDE = st.lists(
    st.sampled_from(['"', "`", "'", "\\", ".", "a", "B_1", "$x", "0", "0x1F", "1.5e-3", "+", "-", "e", "x", ":=", "=",
                     "|", "(", ")", ",", " ", "\n", "{", "}", "/", "*", "if", "#", "é"]),
    max_size=14,
).map("".join)  # fmt: skip


def by_grammar(source: str) -> list[str] | None:
    """The tokens' texts, None where something is none."""
    found, position = [], 0
    while position < len(source):
        match = TOKEN.match(source, position)
        if match is None:
            return None
        found += [match[0]] if match.lastgroup else []
        position = match.end()
    return found


@example("0x1F.a 0xg 1e+ 1.e5 -0x")
@example("'a' '' 'a\nb'")
@example('"a\\"b" "a\nb"')
@given(INSIDE)
def test_tokens(source: str) -> None:
    wanted = by_grammar(source)
    if wanted is None:
        with pytest.raises(TemplateError, match="unexpected"):
            tokens(source)
    else:
        assert [text for _, text in tokens(source)] == wanted


def test_kinds_of_tokens() -> None:
    source = """ printf "%s" `r` 'c' -1.5 .A.B . $x.C ($.D).E := | """
    kinds = "word string raw char number field dot variable chain mark variable chain mark chain mark mark"
    assert [kind for kind, _ in tokens(source)] == kinds.split()


@example('a {{"}}"}} b {{- /* }} */ -}} c {{-}} {{ "a }} d')
@example("{{- -}} x {{ `}}` -}} \n y {{/**/}}")
@given(st.lists(INSIDE | st.sampled_from(["{{", "}}", "{{- ", " -}}", "/*", "*/"]), max_size=9).map("".join))
def test_text_and_actions(source: str) -> None:
    """All but errors: the expression goes back behind a quote that is closed in vain, Go and ours do not."""
    try:
        pieces = list(split(source))
    except TemplateError:
        return
    wanted = [match.span() for match in ACTION.finditer(source)]
    inside = [source[start:end] for start, end in wanted]
    actions = [piece.text for piece in pieces if piece.is_action]
    assert len(inside) == len([p for p in pieces if not p.is_action]) - 1
    assert [a for a in (ACTION.fullmatch(i)[2].strip() for i in inside) if not a.startswith("/*")] == actions  # type: ignore[index]


def test_trimming() -> None:
    texts = [piece.text for piece in split("a \n {{- .X -}} \t b {{-.Y-}} c") if not piece.is_action]
    assert texts == ["a", "b ", " c"]
