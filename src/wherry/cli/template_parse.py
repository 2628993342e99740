"""Go templates (pkg.go.dev/text/template) as a tree: text, actions, if, range, with, variables and pipelines."""

from __future__ import annotations

from wherry.cli.template_lex import TemplateError, leading_word, split, tokens

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Literal:
    def __init__(self, value: object) -> None:
        self.value = value


class Field:
    """``.A.B``; no names is the dot itself."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names


class Variable:
    """``$x.A``; the name of ``$`` is empty."""

    def __init__(self, name: str, names: tuple[str, ...]) -> None:
        self.name, self.names = name, names


class Function:
    def __init__(self, name: str) -> None:
        self.name = name


class Group:
    """``(pipeline).A``"""

    def __init__(self, pipeline: Pipeline, names: tuple[str, ...]) -> None:
        self.pipeline, self.names = pipeline, names


Operand = Literal | Field | Variable | Function | Group


class Pipeline:
    """Commands, each given the last one's value as its last argument; the value goes to the variables, if any."""

    def __init__(
        self,
        commands: tuple[tuple[Operand, ...], ...],
        variables: tuple[str, ...] = (),
        declares: bool = False,
    ) -> None:
        self.commands, self.variables, self.declares = commands, variables, declares


class Text:
    def __init__(self, text: str) -> None:
        self.text = text


class Action:
    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline


class Branch:
    """``if``, ``range`` or ``with``."""

    def __init__(
        self, kind: str, pipeline: Pipeline, body: tuple[Node, ...], otherwise: tuple[Node, ...]
    ) -> None:
        self.kind, self.pipeline, self.body, self.otherwise = kind, pipeline, body, otherwise


class Jump:
    """``break`` or ``continue``."""

    def __init__(self, kind: str) -> None:
        self.kind = kind


Node = Text | Action | Branch | Jump

KEYWORDS = ("if", "range", "with", "else", "end", "break", "continue")


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
    try:
        return _number(text) if kind == "number" else _unquoted(kind, text)
    except (TypeError, ValueError, SyntaxError):
        raise TemplateError(f"template: :1: bad literal {text}") from None


def _number(text: str) -> float | int:
    lower = text.lower()
    return int(text, 0) if "x" in lower or not ("." in lower or "e" in lower) else float(text)


def _unquoted(kind: str, text: str) -> object:
    unquoted = text[1:-1]
    if "\\" in unquoted:
        from ast import literal_eval

        unquoted = str(literal_eval(text))
    return ord(unquoted) if kind == "char" else unquoted


class Parser:
    """The pieces of a template as nodes."""

    def __init__(self, source: str, functions: frozenset[str]) -> None:
        self._pieces = list(split(source))
        self._functions = functions
        self._at = 0

    def parse(self) -> tuple[Node, ...]:
        """The nodes of the whole template. TemplateError, in Go's words, where it is none."""
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
            word = piece.text[: leading_word(piece.text)]
            keyword = word if word in KEYWORDS else ""
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
        chained = ended.removeprefix("else").lstrip()
        word = chained[: leading_word(chained)]
        if word in ("if", "with") and ended.startswith("else"):
            otherwise = (self._action(word, chained[len(word) :]),)
            return Branch(kind, pipeline, body, otherwise)
        if ended == "else":
            otherwise, ended = self._nodes()
        if ended != "end":
            raise TemplateError(
                "template: :1: unexpected EOF" if not ended else f"template: :1: unexpected {ended}"
            )
        return Branch(kind, pipeline, body, otherwise)
