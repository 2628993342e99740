"""``--format``: Go templates on what the engine answered. The subset that people use, with Docker's functions."""

from __future__ import annotations

from wherry.cli.jsons import dumps
from wherry.cli.row import Row
from wherry.cli.template_lex import TemplateError
from wherry.cli.template_parse import (
    Action,
    Branch,
    Field,
    Function,
    Group,
    Jump,
    Literal,
    Parser,
    Pipeline,
    Text,
    Variable,
)
from wherry.values.quoting import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from wherry.cli.template_parse import Node, Operand

__all__ = ["Template", "TemplateError", "show", "to_json"]

ABSENT = {  # what the engine leaves out of an inspect when it is empty, with its empty value
    "Annotations": {}, "ArgsEscaped": False, "ExposedPorts": {}, "Health": None, "Healthcheck": None, "Init": None,
    "MacAddress": "", "Mounts": [], "NetworkDisabled": False, "Runtime": "", "Shell": [], "SizeRootFs": None,
    "SizeRw": None, "StopSignal": "", "StopTimeout": None, "StorageOpt": {}, "Sysctls": {}, "Tmpfs": {},
}  # fmt: skip
SUBSTITUTE = r"%([-+# 0]*)(\d*)(?:\.(\d+))?([a-zA-Z%])"


class Break(Exception):
    pass


class Continue(Exception):
    pass


def show(value: object) -> str:
    """A value as Go prints it with ``%v``."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{show(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(show, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def to_json(value: object) -> str:
    """A value as Go's ``json`` function writes it; of a row of a list, all its columns."""
    if isinstance(value, Row):
        columns = {key: value[key] for key in sorted(value) if not callable(value[key])}
        text = dumps(columns, ascii=False)
        return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return dumps(value, ascii=False)


def _quote(value: object) -> str:
    return quoted(value) if isinstance(value, str) else show(value)


def _printf(pattern: str, *values: object) -> str:
    import re

    rest = list(values)

    def substitute(match: re.Match[str]) -> str:
        flags, width, precision, verb = match.groups()
        if verb == "%":
            return "%"
        if not rest:
            return f"%!{verb}(MISSING)"
        value = rest.pop(0)
        try:
            text = _verb(verb, value, flags, precision)
        except (TypeError, ValueError):
            text = f"%!{verb}({show(value)})"
        size = int(width or 0)
        return text.ljust(size) if "-" in flags else text.rjust(size)

    return re.sub(SUBSTITUTE, substitute, pattern)


def _verb(verb: str, value: Any, flags: str, precision: str | None) -> str:
    if verb in "vs":
        text = show(value)
        return text if precision is None else text[: int(precision)]
    if verb == "q":
        return _quote(value)
    if verb == "t" and isinstance(value, bool):
        return show(value)
    if verb == "x" and isinstance(value, str):
        return value.encode().hex()
    if verb in "dxXobeEfgG" and not isinstance(value, (str, bool)):
        places = "" if precision is None else f".{precision}"
        return format(value, f"{'+' if '+' in flags else ''}{places}{verb}")
    raise ValueError(verb)


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if value is None:
            raise TemplateError("error calling index: index of untyped nil")
        if isinstance(value, dict):
            value = value.get(key, "" if all(isinstance(v, str) for v in value.values()) else None)
        elif isinstance(key, int) and isinstance(value, (list, str)):
            if not 0 <= key < len(value):
                raise TemplateError(f"error calling index: index out of range: {key}")
            value = value[key] if isinstance(value, list) else ord(value[key])
        else:
            raise TemplateError(f"error calling index: can't index item of type {type(value).__name__}")
    return value


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode(errors="surrogateescape"))
    if isinstance(value, (list, dict)):
        return len(value)
    if value is None:
        return 0
    raise TemplateError(f"error calling len: len of type {type(value).__name__}")


def _join(items: Any, separator: str) -> str:
    return separator.join(map(show, items or ()))


def _compare(name: str, test: Callable[[Any, Any], bool]) -> Callable[..., bool]:
    def compare(first: Any, *others: Any) -> bool:
        if not others:
            raise TemplateError(f"error calling {name}: missing argument for comparison")
        for other in others:
            same = isinstance(first, type(other)) or isinstance(other, type(first))
            if not same and None not in (first, other):
                raise TemplateError(f"error calling {name}: incompatible types for comparison")
        return any(test(first, other) for other in others)

    return compare


def _pad(text: str, before: int, after: int) -> str:
    return text and " " * before + text + " " * after


def _print(*values: object) -> str:
    """Like Go's Sprint: a space between two that are no strings."""
    text = ""
    for n, value in enumerate(values):
        gap = n and not isinstance(value, str) and not isinstance(values[n - 1], str)
        text += (" " if gap else "") + show(value)
    return text


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "eq": _compare("eq", lambda a, b: bool(a == b)),
    "ge": _compare("ge", lambda a, b: bool(a >= b)),
    "gt": _compare("gt", lambda a, b: bool(a > b)),
    "index": _index,
    "join": _join,
    "json": to_json,
    "le": _compare("le", lambda a, b: bool(a <= b)),
    "len": _length,
    "lower": lambda text: text.lower(),
    "lt": _compare("lt", lambda a, b: bool(a < b)),
    "ne": _compare("ne", lambda a, b: bool(a != b)),
    "not": lambda value: not value,
    "pad": _pad,
    "print": _print,
    "printf": _printf,
    "println": lambda *values: " ".join(map(show, values)) + "\n",
    "slice": lambda value, *ends: value[ends[0] if ends else 0 : ends[1] if len(ends) > 1 else None],
    "split": lambda text, separator: text.split(separator),
    "title": lambda text: text.title(),
    "truncate": lambda text, size: text[:size],
    "upper": lambda text: text.upper(),
}
NAMES = frozenset([*FUNCTIONS, "and", "or"])


class Template:
    """A parsed template; ``render`` fills it. Both raise TemplateError with a sentence in Go's words."""

    def __init__(self, source: str) -> None:
        self._nodes = Parser(source, NAMES).parse()

    def render(self, data: Any) -> str:
        """What the template makes of a document."""
        return "".join(Execution(data).nodes(self._nodes, data))


class Execution:
    """One walk over the nodes, with the variables that are in scope."""

    def __init__(self, root: Any) -> None:
        self._scopes: list[dict[str, Any]] = [{"": root}]

    def nodes(self, nodes: Sequence[Node], dot: Any) -> Iterator[str]:
        for node in nodes:
            if isinstance(node, Text):
                yield node.text
            elif isinstance(node, Action):
                value = self._pipeline(node.pipeline, dot)
                if not node.pipeline.variables:
                    yield show(value)
            elif isinstance(node, Jump):
                raise Break if node.kind == "break" else Continue
            else:
                yield from self._branch(node, dot)

    def _branch(self, node: Branch, dot: Any) -> Iterator[str]:
        self._scopes.append({})
        try:
            if node.kind == "range":
                yield from self._range(node, dot)
                return
            value = self._pipeline(node.pipeline, dot)
            inner = value if node.kind == "with" and value else dot
            yield from self.nodes(node.body if value else node.otherwise, inner)
        finally:
            self._scopes.pop()

    def _range(self, node: Branch, dot: Any) -> Iterator[str]:
        pairs = _pairs(self._pipeline(Pipeline(node.pipeline.commands), dot))
        if not pairs:
            yield from self.nodes(node.otherwise, dot)
        for key, value in pairs:
            names = node.pipeline.variables
            self._scopes.append(dict(zip(names, (key, value) if len(names) == 2 else (value,), strict=False)))
            try:
                yield from self.nodes(node.body, value)
            except Break:
                break
            except Continue:
                continue
            finally:
                self._scopes.pop()

    def _pipeline(self, pipeline: Pipeline, dot: Any) -> Any:
        passed: tuple[Any, ...] = ()
        for operands in pipeline.commands:
            passed = (self._command(operands, dot, passed),)
        for name in pipeline.variables:
            scope = self._scopes[-1] if pipeline.declares else self._scope_of(name)
            scope[name] = passed[0]
        return passed[0]

    def _scope_of(self, name: str) -> dict[str, Any]:
        for scope in self._scopes[::-1]:
            if name in scope:
                return scope
        raise TemplateError(f'template: :1: undefined variable "${name}"')

    def _command(self, operands: Sequence[Operand], dot: Any, passed: tuple[Any, ...]) -> Any:
        head, *rest = operands
        if isinstance(head, Function) and head.name in ("and", "or"):
            return self._logic(head.name, rest, dot, passed)
        arguments = (*(self._value(operand, dot) for operand in rest), *passed)
        if isinstance(head, Function):
            return _call(head.name, FUNCTIONS[head.name], arguments)
        value = self._value(head, dot, arguments)
        if arguments and not isinstance(head, (Field, Variable, Group)):
            raise TemplateError("template: :1: can't give argument to non-function")
        return value

    def _logic(self, name: str, rest: Sequence[Operand], dot: Any, passed: tuple[Any, ...]) -> Any:
        """``and`` and ``or`` stop at the first argument that decides."""
        value: Any = None
        for operand in rest:
            value = self._value(operand, dot)
            if bool(value) == (name == "or"):
                return value
        return passed[0] if passed else value

    def _value(self, operand: Operand, dot: Any, arguments: tuple[Any, ...] = ()) -> Any:
        if isinstance(operand, Literal):
            return operand.value
        if isinstance(operand, Field):
            return _walk(dot, operand.names, arguments)
        if isinstance(operand, Variable):
            return _walk(self._scope_of(operand.name)[operand.name], operand.names, arguments)
        if isinstance(operand, Group):
            return _walk(self._pipeline(operand.pipeline, dot), operand.names, arguments)
        return _call(operand.name, FUNCTIONS[operand.name], ())


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    if value is None:
        return []
    if isinstance(value, dict):
        return [(key, value[key]) for key in sorted(value)]
    if isinstance(value, list):
        return list(enumerate(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return [(n, n) for n in range(value)]
    raise TemplateError(f"range can't iterate over {show(value)}")


def _call(name: str, function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    try:
        return function(*arguments)
    except TemplateError as error:
        raise TemplateError(f'template: :1: executing "" at <{name}>: {error}') from None
    except (TypeError, AttributeError, ValueError, LookupError):
        given = " ".join(map(show, arguments))
        raise TemplateError(f'template: :1: executing "" at <{name}>: wrong arguments: {given}') from None


def _walk(value: Any, names: Sequence[str], arguments: Sequence[Any]) -> Any:
    where = "." + ".".join(names)
    at = f'template: :1: executing "" at <{where}>'
    for n, name in enumerate(names):
        if isinstance(value, Row) and name not in value:
            raise TemplateError(f"{at}: can't evaluate field {name}")
        if value is None:
            raise TemplateError(f"{at}: nil pointer evaluating .{name}")
        if not isinstance(value, dict):
            kind = type(value).__name__
            raise TemplateError(f"{at}: can't evaluate field {name} in type {kind}")
        if name not in value and name not in ABSENT:
            raise TemplateError(f'{at}: map has no entry for key "{name}"')
        value = value[name] if name in value else ABSENT[name]
        if callable(value):
            value = _call(where, value, arguments if n == len(names) - 1 else ())
    return value
