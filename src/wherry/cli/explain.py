"""``explain``: what the kernel holds for a container, and where that is not what was planned."""

from __future__ import annotations

import sys

from wherry.cli.command import Context, Options, command, switch, text
from wherry.cli.errors import ApiError, CliError, UsageError
from wherry.cli.json_output import check_format, print_json
from wherry.cli.screen import hand_over

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]

EXPLAIN_FLAGS = (
    switch("all", "a", "With --check: check all running containers"),
    switch("check", "", "Show only where the kernel differs from the plan; exit with 1 if it does"),
    switch(
        "filter",
        "",
        "Read the seccomp program from the kernel too, which stops the first process for a moment",
    ),
    text("format", "", "Output format: 'json', or text by default"),
    text(
        "html",
        "",
        "Write a self-contained HTML page to a file: NAME.html if none is given, '-' for standard output",
        word="file",
    ),
)


@command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    EXPLAIN_FLAGS,
    examples=(
        ("wherry explain web", "what there is, why, and what it costs"),
        ("wherry explain --html web", "the same as a page, web.html"),
        ("wherry explain --check --all", "what differs from the plan, of all that run"),
    ),
)
def explain(context: Context, options: Options) -> int:
    """0; with ``--check`` 1 where something has drifted."""
    check_options(options)
    context.client.need_wherry()
    if options.check:
        return _check(context, options)
    name, path = options.args[0] if options.args else options.html, options.html
    found = context.client.call("GET", f"/containers/{name}/explain", {"filter": options.filter})
    if path:
        return _write_page(found, path if options.args else f"{found['Name']}.html", tell=not options.args)
    if options.format:
        return print_json(found)
    from wherry.cli.explain_text import show_explanation

    show_explanation(found)
    return 0


def check_options(options: Options) -> None:
    """Raises UsageError for what does not go together."""
    check_format(options.format)
    if options.all and not options.check:
        raise UsageError("--all requires --check")
    if options.all and options.args:
        raise UsageError("--all cannot be combined with container names")
    if options.html and (options.format or options.check):
        raise UsageError("--html cannot be combined with --format or --check")
    if options.html and not options.args:
        return  # it names the container: the page gets that name
    if not options.check and len(options.args) != 1:
        raise UsageError("'wherry explain' takes 1 container; several only with --check")
    if options.check and not options.all and not options.args:
        raise UsageError("'wherry explain --check' takes at least 1 container, or --all")


def _check(context: Context, options: Options) -> int:
    """1 where something has drifted, or where a container could not be looked at."""
    checked, failed = _checked(context, options)
    if options.format:
        print_json(checked)
    else:
        from wherry.cli.explain_text import show_check

        show_check(checked)
    sys.stdout.flush()
    for error in failed:
        print(f"wherry: {error}", file=sys.stderr)
    return 1 if failed or any(one["Drift"] for one in checked) else 0


def _checked(context: Context, options: Options) -> tuple[list[Json], list[ApiError]]:
    client = context.client
    if options.all:
        return client.call("GET", "/explain", {"check": True, "all": True}), []
    checked: list[Json] = []
    failed = []
    for name in options.args:
        try:
            checked += client.call("GET", f"/containers/{name}/explain", {"check": True})
        except ApiError as error:
            failed.append(error)
    return checked, failed


def _write_page(found: Json, path: str, *, tell: bool) -> int:
    """``tell`` where the page is, when nobody has said where it should be."""
    from datetime import datetime

    from wherry.cli.page import page

    written = page(found, datetime.now().astimezone())
    if path == "-":
        hand_over(written)
        return 0
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(written)
    except OSError as error:
        raise CliError(f"open {path}: {(error.strerror or str(error)).lower()}") from None
    if tell:
        print(path)
    return 0
