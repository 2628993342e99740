"""Routes, declared once: a decorated function whose signature says what it reads and what it answers.

    @routes.post("/containers/{ref}/stop", status=204)
    async def stop(engine: Engine, ref: str, t: int | None = None) -> None:

Parameters are, by name or type: ``engine``; ``call: Call``; ``exchange: Exchange``; those of the path; a struct, which
is the JSON body (optional with ``| None``); anything else is a query parameter (see ``query.py``). What is returned is
encoded as JSON, unless it is a ``Stream``, ``Plain`` or ``HANDED_OVER``. None is an answer without a body.

A route that has nothing to wait for is a plain ``def``: it is answered in the same turn of the event loop in which
its request arrived. One that has to wait in some cases returns what is to be awaited then (``Later``).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar, Union, get_type_hints
from urllib.parse import unquote

import msgspec

from wherry.api.body import check_content_type, decode_body
from wherry.api.call import Call, Exchange
from wherry.api.pattern import HOLE, Pattern, check_distinct, narrowest_first
from wherry.api.query import QueryParameter, query_parameter, unwrap
from wherry.engine.parameter_fates import parameter_fate

Handler = Callable[..., Any]
H = TypeVar("H", bound=Handler)
T = TypeVar("T")
Later = Union[T, Coroutine[Any, Any, T]]  # noqa: UP007  (mypy takes no bar in an alias with a variable)
Read = Callable[[Any, "Names"], Any]
Names = tuple[str, ...]
"""What stands for a pattern's placeholders, in their order."""


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
        """Declare a route; so do the others."""
        return self._declare("GET", pattern, status)

    def head(self, pattern: str, *, status: int = 200) -> Callable[[H], H]:
        return self._declare("HEAD", pattern, status)

    def post(self, pattern: str, *, status: int = 200) -> Callable[[H], H]:
        return self._declare("POST", pattern, status)

    def put(self, pattern: str, *, status: int = 200) -> Callable[[H], H]:
        return self._declare("PUT", pattern, status)

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
        self.pattern = Pattern.parse(route.pattern)
        self.at_once = not inspect.iscoroutinefunction(route.handler)
        self.query: dict[str, QueryParameter] = {}
        self.body: type[msgspec.Struct] | None = None
        self._body_name, self._body_required = "", False
        self._readers: list[tuple[str, Read]] = []
        hints = get_type_hints(route.handler, include_extras=True)
        for name, parameter in inspect.signature(route.handler).parameters.items():
            self._bind(name, hints[name], parameter.default)

    def _bind(self, name: str, annotation: Any, default: Any) -> None:
        kind, _ = unwrap(annotation)
        required = default is inspect.Parameter.empty
        if name == "engine":
            self._readers.append((name, lambda call, names: call.engine))
        elif kind is Call or kind is Exchange:
            self._check_waits(name, kind is Call)
            self._readers.append((name, lambda call, names: call))
        elif name in self.pattern.names:
            index = self.pattern.names.index(name)
            self._readers.append((name, lambda call, names: names[index]))
        elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            self._check_waits(name, False)
            self.body, self._body_name, self._body_required = kind, name, required
        else:
            fate = parameter_fate(f"{self.route.method} {self.route.pattern}", name)
            parameter = query_parameter(name, annotation, "" if required else default, fate)
            self.query[name] = parameter
            self._readers.append((name, lambda call, names: parameter.read(call.query)))

    def _check_waits(self, name: str, light: bool) -> None:
        if self.at_once and not light:
            raise ValueError(f"{self.route.pattern}: {name} is waited for, so its function is an async one")

    def call(self, call: Call, names: Names) -> Any:
        """Read the parameters and run a route that is answered ``at_once``."""
        return self.route.handler(**{name: read(call, names) for name, read in self._readers})

    async def __call__(self, call: Exchange, names: Names) -> Any:
        """Read the parameters and run the route, whichever kind it is."""
        if self.at_once:
            result = self.call(call, names)
            return await result if isinstance(result, Coroutine) else result
        arguments = {name: read(call, names) for name, read in self._readers}
        if self.body is not None:
            arguments[self._body_name] = await read_body(call, self.body, self._body_required)
        return await self.route.handler(**arguments)


async def read_body(call: Exchange, kind: type[msgspec.Struct], required: bool) -> msgspec.Struct | None:
    """The body as the route's struct; None where it may be missing and is. InvalidArgument."""
    request = call.request
    has_body = request.body_exists and request.content_length != 0
    check_content_type(request.headers.get("Content-Type"), has_body)
    data = await request.read() if has_body else b""
    if not required and not data.strip():
        return None
    return decode_body(data, kind)


# ---------------------------------------------------------------- from a path to a route


class Router:
    """Finds the route that a path means. ValueError, when it is made, for two that could both be meant."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._whole: dict[tuple[str, str], Bound] = {}
        self._by_ends: dict[tuple[str, str, str], list[tuple[re.Pattern[str], Bound]]] = {}
        by_method: dict[str, list[Bound]] = {}
        for route in routes:
            by_method.setdefault(route.method, []).append(Bound(route))
        for method, bounds in by_method.items():
            check_distinct([bound.pattern for bound in bounds])
            self._add(method, {bound.pattern: bound for bound in bounds})

    def _add(self, method: str, patterns: dict[Pattern, Bound]) -> None:
        for pattern in narrowest_first([*patterns]):
            bound = patterns[pattern]
            if pattern.spans:
                candidates = self._by_ends.setdefault((method, *pattern.key), [])
                candidates.append((pattern.expression(), bound))
            else:
                self._whole[method, pattern.text] = bound

    def find(self, method: str, path: str) -> tuple[Bound, Names] | None:
        """The route, and what its placeholders stand for. HEAD is only what is declared as such."""
        bound = self._whole.get((method, path))
        if bound is not None:
            return bound, ()
        first, _, rest = path[1:].partition("/")
        last = rest.rpartition("/")[2]
        # A path that ends as a pattern does is never meant for one that ends with a placeholder.
        for key in ((method, first, last), (method, first, HOLE)):
            for expression, bound in self._by_ends.get(key, ()):
                match = expression.fullmatch(path)
                if match is not None:
                    return bound, plain(match.groups())
        return None


def plain(names: Names) -> Names:
    """Names without their percent-encoding."""
    return tuple(unquote(name, errors="surrogateescape") if "%" in name else name for name in names)
