"""Routes, declared once: a decorated function whose signature says what it reads and what it answers.

    @routes.post("/containers/{ref}/stop", status=204)
    async def stop(engine: Engine, ref: str, t: int | None = None) -> None:

Parameters are, by name or type: ``engine``; ``call: Call``; those of the path; a struct, which is the JSON
body (optional with ``| None``); anything else is a query parameter (see ``query.py``). What is returned is
encoded as JSON, unless it is a ``Stream``, ``Plain`` or ``HANDED_OVER``. None is an answer without a body.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_type_hints
from urllib.parse import unquote

import msgspec

from wherry.api.body import check_content_type, decode_body
from wherry.api.call import Call
from wherry.api.query import query_parameter, unwrap

Handler = Callable[..., Awaitable[Any]]
H = TypeVar("H", bound=Handler)
Read = Callable[[Call, str], Any]


@dataclass(frozen=True, slots=True)
class Route:
    """A declaration: what is served, by which function, with which status when all is well."""

    method: str
    pattern: str
    handler: Handler
    status: int = 200


@dataclass(slots=True)
class Routes:
    """The routes of one module."""

    declared: list[Route] = field(default_factory=list)

    def get(self, pattern: str, *, status: int = 200) -> Callable[[H], H]:
        return self._declare("GET", pattern, status)

    def head(self, pattern: str, *, status: int = 200) -> Callable[[H], H]:
        return self._declare("HEAD", pattern, status)

    def post(self, pattern: str, *, status: int = 200) -> Callable[[H], H]:
        return self._declare("POST", pattern, status)

    def delete(self, pattern: str, *, status: int = 200) -> Callable[[H], H]:
        return self._declare("DELETE", pattern, status)

    def _declare(self, method: str, pattern: str, status: int) -> Callable[[H], H]:
        def remember(handler: H) -> H:
            self.declared.append(Route(method, pattern, handler, status))
            return handler

        return remember


# ---------------------------------------------------------------- from a signature to a call


class Bound:
    """A route whose signature has been read: ready to be called with a request."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.status = route.status
        self._readers: list[tuple[str, Read]] = []
        self._body: tuple[str, type[msgspec.Struct], bool] | None = None
        hints = get_type_hints(route.handler, include_extras=True)
        for name, parameter in inspect.signature(route.handler).parameters.items():
            self._bind(name, hints[name], parameter.default)

    def _bind(self, name: str, annotation: Any, default: Any) -> None:
        kind, _ = unwrap(annotation)
        required = default is inspect.Parameter.empty
        if name == "engine":
            self._readers.append((name, lambda call, middle: call.engine))
        elif kind is Call:
            self._readers.append((name, lambda call, middle: call))
        elif f"{{{name}}}" in self.route.pattern:
            self._readers.append((name, lambda call, middle: middle))
        elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            self._body = (name, kind, required)
        else:
            parameter = query_parameter(name, annotation, "" if required else default)
            self._readers.append((name, lambda call, middle: parameter.read(call.query)))

    async def __call__(self, call: Call, middle: str) -> Any:
        """Read the parameters and run the route. ``middle`` is what stands for the pattern's ``{name}``."""
        arguments = {name: read(call, middle) for name, read in self._readers}
        if self._body is not None:
            name, kind, required = self._body
            arguments[name] = await read_body(call, kind, required)
        return await self.route.handler(**arguments)


async def read_body(call: Call, kind: type[msgspec.Struct], required: bool) -> msgspec.Struct | None:
    request = call.request
    has_body = request.body_exists and request.content_length != 0
    check_content_type(request.headers.get("Content-Type"), has_body)
    data = await request.read() if has_body else b""
    if not required and not data.strip():
        return None
    return decode_body(data, kind)


# ---------------------------------------------------------------- from a path to a route


class Router:
    """Finds a route by its first and last segment: names in the middle may contain slashes and colons."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._whole: dict[tuple[str, str], Bound] = {}
        self._between: dict[tuple[str, str, str], Bound] = {}
        self._behind: dict[tuple[str, str], Bound] = {}
        for route in routes:
            self._add(Bound(route))

    def _add(self, bound: Bound) -> None:
        method, pattern = bound.route.method, bound.route.pattern
        if "{" not in pattern:
            self._whole[method, pattern] = bound
            return
        first, _, rest = pattern[1:].partition("/")
        last = rest.partition("}")[2]
        if last:
            self._between[method, first, last[1:]] = bound
        else:
            self._behind[method, first] = bound

    def find(self, method: str, path: str) -> tuple[Bound, str] | None:
        """The route, and what its ``{name}`` stands for. HEAD is only what is declared as such."""
        bound = self._whole.get((method, path))
        if bound is not None:
            return bound, ""
        first, _, rest = path[1:].partition("/")
        middle, _, last = rest.rpartition("/")
        bound = self._between.get((method, first, last)) if middle else None
        if bound is None:
            bound, middle = self._behind.get((method, first)), rest
        if bound is None or not middle:
            return None
        return bound, unquote(middle, errors="surrogateescape") if "%" in middle else middle
