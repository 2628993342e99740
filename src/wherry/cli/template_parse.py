"""Go templates (pkg.go.dev/text/template) as a tree: text, actions, if, range, with, variables and pipelines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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


class TemplateError(ValueError):
    """A template that cannot be parsed or executed; the sentence says where and why."""


class Literal(NamedTuple):
    value: object


class Field(NamedTuple):
    """``.A.B``; no names is the dot itself."""

    names: tuple[str, ...]


class Variable(NamedTuple):
    """``$x.A``; the name of ``$`` is empty."""

    name: str
    names: tuple[str, ...]


class Function(NamedTuple):
    name: str


class Group(NamedTuple):
    """``(pipeline).A``"""

    pipeline: Pipeline
    names: tuple[str, ...]


Operand = Literal | Field | Variable | Function | Group


class Pipeline(NamedTuple):
    """Commands, each given the last one's value as its last argument; the value goes to the variables, if any."""

    commands: tuple[tuple[Operand, ...], ...]
    variables: tuple[str, ...] = ()
    declares: bool = False


class Text(NamedTuple):
    text: str


class Action(NamedTuple):
    pipeline: Pipeline


class Branch(NamedTuple):
    """``if``, ``range`` or ``with``."""

    kind: str
    pipeline: Pipeline
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


class Jump(NamedTuple):
    """``break`` or ``continue``."""

    kind: str


Node = Text | Action | Branch | Jump

KEYWORDS = ("if", "range", "with", "else", "end", "break", "continue")


class Piece(NamedTuple):
    """A stretch of text, or what stands inside ``{{ }}``."""

    text: str
    is_action: bool


def split(source: str) -> Iterator[Piece]:
    """Text and actions in turn; trim markers and comments are applied here."""
    position, trim = 0, False
    for match in ACTION.finditer(source):
        before = source[position : match.start()]
        before = before.lstrip() if trim else before
        yield Piece(before.rstrip() if match[1] else before, False)
        position, trim = match.end(), bool(match[3])
        inside = match[2].strip()
        if not inside.startswith("/*"):
            yield Piece(inside, True)
    rest = source[position:]
    if "{{" in rest:
        raise TemplateError(f"template: :{source.count(chr(10)) + 1}: unclosed action")
    yield Piece(rest.lstrip() if trim else rest, False)


def tokens(source: str) -> list[tuple[str, str]]:
    """(kind, text) of an action's inside."""
    found: list[tuple[str, str]] = []
    position = 0
    while position < len(source):
        match = TOKEN.match(source, position)
        if match is None:
            raise TemplateError(f"template: :1: unexpected {source[position]!r} in action")
        if match.lastgroup:
            chained = match.lastgroup == "field" and _can_chain(source, position, found)
            found.append(("chain" if chained else match.lastgroup, match[0]))
        position = match.end()
    return found


def _can_chain(source: str, position: int, found: Sequence[tuple[str, str]]) -> bool:
    """Whether a field here belongs to the variable or parenthesis right before it."""
    return (
        bool(found)
        and not source[position - 1].isspace()
        and (found[-1][1] == ")" or found[-1][0] == "variable")
    )


class ActionParser:
    """One action's tokens as a pipeline."""

    def __init__(self, found: Sequence[tuple[str, str]], functions: frozenset[str]) -> None:
        self._tokens = found
        self._functions = functions
        self._at = 0

    def peek(self, ahead: int = 0) -> tuple[str, str]:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else ("end", "")

    def take(self) -> tuple[str, str]:
        token = self.peek()
        self._at += 1
        return token

    def pipeline(self, closing: str = "") -> Pipeline:
        variables, declares = self._variables()
        commands = [self._command()]
        while self.peek()[1] == "|":
            self.take()
            commands.append(self._command())
        if self.take()[1] != closing:
            self._at -= 1
            raise TemplateError(f"template: :1: unexpected <{self.peek()[1]}> in action")
        return Pipeline(tuple(commands), variables, declares)

    def _variables(self) -> tuple[tuple[str, ...], bool]:
        count = 3 if self.peek(1)[1] == "," else 1
        if self.peek()[0] != "variable" or self.peek(count)[1] not in (":=", "="):
            return (), False
        names = tuple(self.peek(n)[1][1:] for n in range(0, count, 2))
        declares = self.peek(count)[1] == ":="
        self._at += count + 1
        return names, declares

    def _command(self) -> tuple[Operand, ...]:
        operands = []
        while self.peek()[1] not in ("|", ")") and self.peek()[0] != "end":
            operands.append(self._operand())
        if not operands:
            raise TemplateError("template: :1: missing value for command")
        return tuple(operands)

    def _operand(self) -> Operand:
        kind, text = self.take()
        if kind in ("field", "dot"):
            return Field(tuple(text.split(".")[1:]) if kind == "field" else ())
        if kind == "variable":
            return Variable(text[1:], self._chain())
        if kind == "word":
            return self._word(text)
        if text == "(":
            return Group(self.pipeline(")"), self._chain())
        if kind in ("string", "char", "number", "raw"):
            return Literal(_literal(kind, text))
        raise TemplateError(f"template: :1: unexpected <{text}> in operand")

    def _chain(self) -> tuple[str, ...]:
        return tuple(self.take()[1].split(".")[1:]) if self.peek()[0] == "chain" else ()

    def _word(self, text: str) -> Operand:
        if text in ("true", "false", "nil"):
            return Literal({"true": True, "false": False, "nil": None}[text])
        if text not in self._functions:
            raise TemplateError(f'template: :1: function "{text}" not defined')
        return Function(text)


def _literal(kind: str, text: str) -> object:
    if kind == "raw":
        return text[1:-1]
    from ast import literal_eval

    try:
        if kind == "number":
            return float(text) if re.search(r"[.eE]", text) and "x" not in text.lower() else int(text, 0)
        unquoted = str(literal_eval(text))
    except (ValueError, SyntaxError):
        raise TemplateError(f"template: :1: bad literal {text}") from None
    return ord(unquoted) if kind == "char" else unquoted


class Parser:
    """The pieces of a template as nodes."""

    def __init__(self, source: str, functions: frozenset[str]) -> None:
        self._pieces = list(split(source))
        self._functions = functions
        self._at = 0

    def parse(self) -> tuple[Node, ...]:
        nodes, ended = self._nodes()
        if ended:
            raise TemplateError(f"template: :1: unexpected {{{{{ended}}}}}")
        return nodes

    def _nodes(self) -> tuple[tuple[Node, ...], str]:
        """Nodes up to the end, or to the ``else`` or ``end`` that is returned."""
        nodes: list[Node] = []
        while self._at < len(self._pieces):
            piece = self._pieces[self._at]
            self._at += 1
            if not piece.is_action:
                if piece.text:
                    nodes.append(Text(piece.text))
                continue
            word = re.match(r"[a-z]+\b", piece.text)
            keyword = word[0] if word and word[0] in KEYWORDS else ""
            if keyword in ("else", "end"):
                return tuple(nodes), piece.text
            nodes.append(self._action(keyword, piece.text[len(keyword) :]))
        return tuple(nodes), ""

    def _action(self, keyword: str, source: str) -> Node:
        if keyword in ("break", "continue"):
            return Jump(keyword)
        if not source.strip():
            raise TemplateError(f"template: :1: missing value for {keyword or 'command'}")
        pipeline = ActionParser(tokens(source), self._functions).pipeline()
        if not keyword:
            return Action(pipeline)
        return self._branch(keyword, pipeline)

    def _branch(self, kind: str, pipeline: Pipeline) -> Branch:
        body, ended = self._nodes()
        otherwise: tuple[Node, ...] = ()
        chained = re.fullmatch(r"else\s+(if|with)\b(.*)", ended, re.DOTALL)
        if chained:
            otherwise = (self._action(chained[1], chained[2]),)
            return Branch(kind, pipeline, body, otherwise)
        if ended == "else":
            otherwise, ended = self._nodes()
        if ended != "end":
            raise TemplateError(
                "template: :1: unexpected EOF" if not ended else f"template: :1: unexpected {ended}"
            )
        return Branch(kind, pipeline, body, otherwise)
