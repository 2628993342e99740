"""A template's characters: text and actions, and an action's tokens. Go's text/template/parse, lex.go."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OPEN, CLOSE, TRIM = "{{", "}}", "-"
COMMENT_OPEN, COMMENT_CLOSE = "/*", "*/"
QUOTES = {'"': "string", "`": "raw", "'": "char"}
MARKS = (":=", "=", "|", "(", ")", ",")
LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
DECIMAL = frozenset("0123456789")
HEX = DECIMAL | frozenset("abcdefABCDEF")


class TemplateError(ValueError):
    """A template that cannot be parsed or executed; the sentence says where and why."""


class Piece:
    """A stretch of text, or what stands inside ``{{ }}``."""

    def __init__(self, text: str, is_action: bool) -> None:
        self.text, self.is_action = text, is_action


def split(source: str) -> Iterator[Piece]:
    """Text and actions in turn; trim markers and comments are applied here."""
    position, trim = 0, False
    while (start := source.find(OPEN, position)) >= 0:
        end = _action_end(source, start + len(OPEN))
        if end < 0:
            raise TemplateError(f"template: :{source.count(chr(10)) + 1}: unclosed action")
        text, inside = source[position:start], source[start + len(OPEN) : end]
        text = text.lstrip() if trim else text
        if inside[:1] == TRIM and inside[1:2].isspace():
            text, inside = text.rstrip(), inside[1:]
        yield Piece(text, False)
        trim = inside[-1:] == TRIM and inside[-2:-1].isspace()
        inside = inside[:-1].strip() if trim else inside.strip()
        if not inside.startswith(COMMENT_OPEN):
            yield Piece(inside, True)
        position = end + len(CLOSE)
    rest = source[position:]
    yield Piece(rest.lstrip() if trim else rest, False)


def _action_end(source: str, at: int) -> int:
    """Where the ``}}`` of an action is, beyond strings and comments in it; -1 where there is none."""
    while at < len(source):
        if source.startswith(CLOSE, at):
            return at
        if source.startswith(COMMENT_OPEN, at):
            at = max(source.find(COMMENT_CLOSE, at + len(COMMENT_OPEN)) + len(COMMENT_CLOSE), at + 1)
        elif source[at] in '"`':
            at = max(_quote_end(source, at), at + 1)
        else:
            at += 1
    return -1


def _quote_end(source: str, at: int) -> int:
    """Behind the quote that closes the one at ``at``; 0 where there is none. In raw strings a backslash is itself."""
    quote, at = source[at], at + 1
    while at < len(source):
        if source[at] == quote:
            return at + 1
        at += 2 if source[at] == "\\" and quote != "`" else 1
    return 0


def leading_word(text: str, at: int = 0) -> int:
    """Where the letters, digits and underscores that begin there end."""
    while at < len(text) and (text[at].isalnum() or text[at] == "_"):
        at += 1
    return at


def tokens(source: str) -> list[tuple[str, str]]:
    """(kind, text) of an action's inside."""
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(source):
        if source[at].isspace():
            at += 1
            continue
        kind, end = _token(source, at)
        if end <= at:
            raise TemplateError(f"template: :1: unexpected {source[at]!r} in action")
        chained = kind == "field" and _can_chain(source, at, found)
        found.append(("chain" if chained else kind, source[at:end]))
        at = end
    return found


def _token(source: str, at: int) -> tuple[str, int]:
    """The kind of the token there, and where it ends; 0 where there is none."""
    first, second = source[at], source[at + 1 : at + 2]
    if first in QUOTES:
        end = _quote_end(source, at)
        broken = first != "`" and "\n" in source[at:end]
        return QUOTES[first], 0 if broken or (first == "'" and end == at + 2) else end
    if first in DECIMAL or (first in "+-" and second in DECIMAL):
        return "number", _number_end(source, at)
    if first == ".":
        end = _field_end(source, at)
        return ("field", end) if end > at else ("dot", at + 1)
    if first == "$":
        return "variable", leading_word(source, at + 1)
    if first in LETTERS:
        return "word", leading_word(source, at)
    return "mark", next((at + len(mark) for mark in MARKS if source.startswith(mark, at)), 0)


def _field_end(source: str, at: int) -> int:
    """Behind all of ``.A.B``; ``at`` itself where no name follows the dot."""
    while source[at : at + 1] == "." and source[at + 1 : at + 2] in LETTERS:
        at = leading_word(source, at + 1)
    return at


def _number_end(source: str, at: int) -> int:
    """Behind ``-12``, ``1.5e3``, ``0x1f``."""
    at += source[at] in "+-"
    if source[at : at + 2] in ("0x", "0X") and source[at + 2 : at + 3] in HEX:
        return _run_end(source, at + 2, HEX)
    at = _run_end(source, at, DECIMAL)
    if source[at : at + 1] == ".":
        at = _run_end(source, at + 1, DECIMAL)
    if source[at : at + 1] in ("e", "E"):
        digits = at + 1 + (source[at + 1 : at + 2] in ("+", "-"))
        at = _run_end(source, digits, DECIMAL) if source[digits : digits + 1] in DECIMAL else at
    return at


def _run_end(source: str, at: int, characters: frozenset[str]) -> int:
    while source[at : at + 1] in characters:
        at += 1
    return at


def _can_chain(source: str, at: int, found: Sequence[tuple[str, str]]) -> bool:
    """Whether a field here belongs to the variable or parenthesis right before it."""
    return (
        bool(found) and not source[at - 1].isspace() and (found[-1][1] == ")" or found[-1][0] == "variable")
    )
