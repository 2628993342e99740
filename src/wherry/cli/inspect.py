"""``inspect``, for whatever has that name, and ``container inspect``, ``image inspect``."""

from __future__ import annotations

import sys

from wherry.cli.command import Context, Options, command, switch, text
from wherry.cli.errors import ApiError, CliError
from wherry.cli.jsons import dumps, pretty
from wherry.cli.output import object_format
from wherry.cli.screen import hand_over

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from wherry.cli.client import Client

    Find = Callable[[str], Any]

PATHS = {
    "container": "/containers/{}/json",
    "image": "/images/{}/json",
    "network": "/networks/{}",
    "volume": "/volumes/{}",
    "plugin": "/plugins/{}/json",
}
IN_ORDER = ("container", "image", "network", "volume")

INSPECT_FLAGS = (
    object_format(),
    switch("size", "s", "Display total file sizes if the type is container"),
    text("type", "", "Only inspect objects of the given type"),
)


@command("[OPTIONS] NAME|ID [NAME|ID...]", INSPECT_FLAGS, least=1)
def inspect(context: Context, options: Options) -> int:
    """Print what the names mean, container before image, or of the ``--type`` that is asked for."""
    kind, client = options.type, context.client
    if kind and kind not in PATHS:
        known = ", ".join(f'"{name}"' for name in PATHS)
        raise CliError(f'unknown type: "{kind}": must be one of {known}')

    def find(name: str) -> Any:
        if kind:
            return _get(client, kind, name, options.size)
        return _first(client, name, options.size)

    return _print_found(options, find)


@command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    (object_format(), switch("size", "s", "Display total file sizes")),
    least=1,
)
def inspect_container(context: Context, options: Options) -> int:
    """As ``inspect``, of containers only."""
    return _print_found(options, lambda name: _get(context.client, "container", name, options.size))


@command("[OPTIONS] IMAGE [IMAGE...]", (object_format(),), least=1)
def inspect_image(context: Context, options: Options) -> int:
    """As ``inspect``, of images only."""
    return _print_found(options, lambda name: _get(context.client, "image", name, False))


def _get(client: Client, kind: str, name: str, size: bool) -> Any:
    return client.call("GET", PATHS[kind].format(name), {"size": size and kind == "container"})


def _first(client: Client, name: str, size: bool) -> Any:
    """What the name is: a container before an image before a network before a volume."""
    for kind in IN_ORDER:
        try:
            return _get(client, kind, name, size)
        except ApiError as error:
            if error.status != 404:
                raise
    raise CliError(f"Error: No such object: {name}")


def _print_found(options: Options, find: Find) -> int:
    """Print all that were found, then the errors."""
    found, errors = [], []
    for name in options.args:
        try:
            found.append(find(name))
        except CliError as error:
            errors.append(error)
    _print_objects(found, options.format)
    sys.stdout.flush()
    for missing in errors:
        print(f"wherry: {missing}", file=sys.stderr)
    return 1 if errors else 0


def _print_objects(found: Sequence[Any], format: str) -> None:
    if not format:
        text = pretty(found, indent=4)
        print(text)
    elif format == "json":
        print(dumps(found, ascii=False))
    else:
        _print_templates(found, format)


def _print_templates(found: Sequence[Any], format: str) -> None:
    from wherry.cli.template import Template, TemplateError

    try:
        template = Template(format)
        for item in found:
            hand_over(template.render(item))
    except TemplateError as error:
        raise CliError(f"template parsing error: {error}") from None
