"""``plan show``, ``plan diff``, and ``--dry-run`` of ``run`` and ``create``. Wherry's own; Docker has none of this."""

from __future__ import annotations

import shlex

from wherry.cli.command import Context, Options, command, parse, text
from wherry.cli.create_body import create_body
from wherry.cli.errors import ENGINE_FAILED, ApiError, CliError, UsageError
from wherry.cli.json_output import check_format, print_json
from wherry.cli.run_flags import RUN_FLAGS
from wherry.cli.terminal import NO_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]

FORMAT = text("format", "", "Output format: 'json', or text by default")


def dry_run(context: Context, options: Options, body: Json) -> int:
    """Show what a create with this body and a start would do. The engine does nothing, and pulls nothing."""
    check_format(options.format)
    query = {"name": options.name or None, "platform": options.platform or None, "dryRun": True}
    try:
        context.client.need_wherry()
        plan = context.client.call("POST", "/containers/create", query, body)
    except CliError as error:
        error.code = ENGINE_FAILED
        raise
    if options.format:
        return print_json(plan)
    from wherry.cli.plan_text import show_plan

    called = f" as {options.name}" if options.name else ""
    show_plan(plan, f"{context.called} {options.args[0]}{called}, a dry run: none of this has been done.")
    return 0


@command("[OPTIONS] CONTAINER", (FORMAT,), least=1, most=1)
def show(context: Context, options: Options) -> int:
    """Print the plan of a container, as text or JSON."""
    check_format(options.format)
    context.client.need_wherry()
    name = options.args[0]
    plan = context.client.call("GET", f"/containers/{name}/plan")
    if options.format:
        return print_json(plan)
    from wherry.cli.plan_text import show_plan

    show_plan(plan, f"The plan of {name}.")
    return 0


@command(
    "[OPTIONS] A B",
    (FORMAT,),
    least=2,
    most=2,
    quoted=True,
    examples=(
        ("wherry plan diff web db", "two containers"),
        ("wherry plan diff web '--privileged busybox'", "a container, and options of run"),
    ),
)
def diff(context: Context, options: Options) -> int:
    """Print where two plans differ; 0 also where they do."""
    check_format(options.format)
    context.client.need_wherry()
    a, b = options.args
    sides = {"A": side(context, a, "A"), "B": side(context, b, "B")}
    found = context.client.call("POST", "/plans/compare", None, sides)
    if options.format:
        return print_json(found)
    from wherry.cli.plan_text import show_difference

    show_difference(found, a, b)
    return 0


def side(context: Context, given: str, letter: str) -> Json:
    """One side as the API wants it: a container's name or id, or the options of ``run`` that end in an image."""
    words = split_words(given, letter)
    if len(words) == 1 and not given.startswith("-") and _is_container(context, given):
        return {"Container": given}
    try:
        options = parse(RUN_FLAGS, words, interspersed=False)
        if not options.args:
            raise ValueError("no image at the end of the options")
        return {"Create": create_body(options, context.environment, NO_SIZE)}
    except (UsageError, ValueError, OSError) as error:
        raise CliError(f"{letter}, '{given}': {error}") from None


def split_words(given: str, letter: str) -> list[str]:
    try:
        words = shlex.split(given)
    except ValueError as error:
        raise CliError(f"{letter}, '{given}': {str(error).lower()}") from None
    if not words:
        raise CliError(f"{letter} is empty: it takes a container, or options of run that end in an image")
    return words


def _is_container(context: Context, name: str) -> bool:
    try:
        context.client.call("GET", f"/containers/{name}/json")
    except ApiError as error:
        if error.status != 404:
            raise
        return False
    return True
