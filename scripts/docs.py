"""``make docs``: what is written from the code, in ``docs/`` and ``native/steps.h``; and ``how-it-works.md``."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from scripts import how_it_works, step_table
from wherry.api.call import Call, Exchange
from wherry.api.query import query_parameter, unwrap
from wherry.api.routes import all_routes
from wherry.api.routes.later import LATER
from wherry.api.routing import Bound, Route
from wherry.api.version import MAX_VERSION, MIN_VERSION, show_version
from wherry.daemon import parser
from wherry.engine.fates import FIELDS, Fates
from wherry.engine.parameter_fates import PARAMETERS
from wherry.messages.container import Config

GUIDE = Path(__file__).resolve().parents[1] / "docs" / "guide"
NOTE = "<!-- written by `make docs` from the declarations in src/wherry/{} -->\n"
COMPATIBILITY = """
What becomes of each thing that a client of Docker may say:

* **done**: it has effect.
* **refused**: it would be left undone, and whoever asks for it counts on it, so that the request is answered by 400,
  with words that name it. A field's zero value asks for nothing and is never refused.
* **echoed**: it is kept and shown, as clients expect, and nothing depends on it.

A field that is done can have values that are refused. What is not listed is not read, as Docker does not read what it
does not know; of Docker's own these are `KernelMemory` and `KernelMemoryTCP`, which Docker discards, too, and Windows's
`CpuCount`, `CpuPercent`, `IOMaximumIOps` and `IOMaximumBandwidth`.
""".strip()
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


def fate_rows(fates: Fates, names: Mapping[str, str]) -> list[str]:
    """A line for each field or parameter: its name on the wire, its fate, and what there is to say."""
    rows = ["| | | |", "|---|---|---|"]
    for name, fate in fates.items():
        refusal = f"refused: {fate.option.replace('{!r}', '…').replace('{}', '…')}" if fate.wrong else ""
        said = "; ".join(part for part in (fate.words, refusal) if part)
        rows.append(f"| `{names[name]}` | {fate.kind.value} | {said} |")
    return [*rows, ""]


DIFFERENCES = """\
On purpose, and by kind:

* A value that no start could use is refused by create, with 400 and the name of its field; dockerd takes many of
  them and fails at start, with 500: NUL bytes, paths that are relative or too long, name servers and host addresses
  that are none, values of tmpfs, log and sysctl options, profiles that cannot be compiled, host names of more than
  64 bytes, words that are longer than the kernel takes, ports that `-P` is to publish and cannot, hardware addresses
  of groups, limits above the kernel's own.
* A value that only the kernel, the host or the image can refuse (a sysctl's, a device, a directory mounted over a
  file) is a 400 at start with the option that it is of; dockerd has a 500 for some of them. A user or group that
  the image has not is a 500 in both.
* What the client has written wrong is a 400 also where dockerd says 500: numbers and times in queries, detach keys,
  options of `ps` without a PID.
* `exec -w` with a relative directory is an error of the request; dockerd tells it in the stream.
* A name that stands twice in one JSON object counts by the last; dockerd makes one of two objects.
* `changes=` without a word is accepted at an import, and filters of spaces alone are none; a `null` among a filter's
  values is refused.
* A log option that could not be followed (`compress` without `max-size`, `max-size=²`, a template that is none) is
  refused by create, where dockerd's start fails or the option does nothing.
* A port in `PortBindings` is published also where it is not in `ExposedPorts`, where dockerd does nothing; one that
  is there twice, with the same address, is published once, where dockerd's start fails.
* A port is not published on an address that the host has not, nor on IPv6: the start says so, by 400 for IPv6.
* A pattern of a filter is at most 1,000 characters long.
* Joining or founding a swarm, and installing a plugin, are a 501.
* An image is never loaded under a name with a digest, nor under one that reads as an id; dockerd gives some of them.
  A name without a tag, with a registry's port in it, gets `latest`.
* Files' times outside of the years 1677 to 2262 are kept where the kernel has a number for them; dockerd makes them 0.
* An image whose `created` cannot be read, or whose configuration has no `rootfs`, is loaded.
* JSON that nothing asks for may nest 970 deep in an image's documents; dockerd's limit is 10,000.
* `NetworkDisabled` leaves `localhost` in `/etc/hosts`, and inspect shows the network `none`.
"""


def compatibility_page() -> str:
    """What becomes of every field and every parameter, and which routes are refused."""
    lines = [
        NOTE.format("engine/fates.py"),
        "# Compatibility",
        "",
        *COMPATIBILITY.splitlines(),
        "",
        "## Fields of requests",
        "",
    ]
    for struct, fates in FIELDS.items():
        if struct is not Config and fates:
            names = dict(zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True))
            lines += [f"### {struct.__name__}", "", *fate_rows(fates, names)]
    lines += ["## Answers that differ from dockerd's", "", *DIFFERENCES.splitlines(), ""]
    lines += ["## Parameters of routes", ""]
    for route in all_routes():
        query = Bound(route).query
        if query:
            name = f"{route.method} {route.pattern}"
            lines += [
                f"### `{name}`",
                "",
                *fate_rows(PARAMETERS[name], {n: p.name for n, p in query.items()}),
            ]
    lines += ["## Routes that are refused", "", "By 501, in words:", ""]
    lines += [f"* `{method} {pattern}`: {what}" for method, pattern, what in LATER]
    return "\n".join(lines) + "\n"


def options_page() -> str:
    """``wherryd --help``."""
    os.environ["COLUMNS"] = "110"  # argparse asks for the terminal's width, which is no matter of ours
    return f"{NOTE.format('daemon.py')}\n# Options of wherryd\n\n```\n{parser().format_help()}```\n"


def main() -> int:
    (GUIDE / "api.md").write_text(api_page())
    (GUIDE / "options.md").write_text(options_page())
    (GUIDE.parent / "compatibility.md").write_text(compatibility_page())
    print("docs/guide/api.md, docs/guide/options.md, docs/compatibility.md")
    return step_table.main() or how_it_works.main()


if __name__ == "__main__":
    sys.exit(main())
