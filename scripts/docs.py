"""``make docs``: what is written from the code, in ``docs/`` and ``native/steps.h``; and ``how-it-works.md``."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from scripts import how_it_works, step_table
from wherry.api.call import MAX_VERSION, MIN_VERSION, Call, Exchange, show_version
from wherry.api.query import query_parameter, unwrap
from wherry.api.routes import all_routes
from wherry.api.routing import Route
from wherry.daemon import parser

GUIDE = Path(__file__).resolve().parents[1] / "docs" / "guide"
NOTE = "<!-- written by `make docs` from the declarations in src/wherry/{} -->\n"
TYPES = {"bool": "a boolean", "int": "a number", "str": "a text", "Filters": "filters"}


def type_name(annotation: Any) -> str:
    name = getattr(annotation, "__name__", str(annotation))
    return TYPES.get(name, "a time in seconds" if name == "Nanoseconds" else name)


def parameters(route: Route) -> Iterator[tuple[str, str]]:
    """Query parameters of a route by their names on the wire, and what they are; the body as ``body``."""
    hints = get_type_hints(route.handler, include_extras=True)
    for name, parameter in inspect.signature(route.handler).parameters.items():
        kind, _ = unwrap(hints[name])
        if name == "engine" or kind in (Call, Exchange) or f"{{{name}}}" in route.pattern:
            continue
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            yield "body", f"JSON, `{kind.__name__}`"
        else:
            yield query_parameter(name, hints[name], parameter.default).name, type_name(kind)


def route_lines(route: Route) -> list[str]:
    said = (
        inspect.cleandoc(route.handler.__doc__ or "").split("\n\n")[0].replace("\n", " ").replace("``", "`")
    )
    given = "; ".join(f"`{name}` {kind}" for name, kind in parameters(route))
    return [f"**`{route.method} {route.pattern}`** {said}", *([f"Parameters: {given}."] if given else []), ""]


def api_page() -> str:
    """Every route, by the module that declares it."""
    lines = [
        NOTE.format("api/routes"),
        "# The API",
        "",
        f"Wherry speaks the Docker Engine API, versions {show_version(MIN_VERSION)} to {show_version(MAX_VERSION)}, "
        "over a unix socket, or TCP with TLS. A path may begin with a version, as in `/v1.44/containers/json`. "
        "These routes are served:",
        "",
    ]
    routes = sorted(all_routes(), key=lambda r: r.handler.__module__)
    for module, some in groupby(routes, key=lambda r: r.handler.__module__):
        lines += [f"## {module.rpartition('.')[2].capitalize()}", ""]
        for route in some:
            lines += route_lines(route)
    return "\n".join(lines)


def options_page() -> str:
    """``wherryd --help``."""
    os.environ["COLUMNS"] = "110"  # argparse asks for the terminal's width, which is no matter of ours
    return f"{NOTE.format('daemon.py')}\n# Options of wherryd\n\n```\n{parser().format_help()}```\n"


def main() -> int:
    (GUIDE / "api.md").write_text(api_page())
    (GUIDE / "options.md").write_text(options_page())
    print("docs/guide/api.md, docs/guide/options.md")
    return step_table.main() or how_it_works.main()


if __name__ == "__main__":
    sys.exit(main())
