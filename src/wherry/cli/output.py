"""Tables and ``--format``: a noun gives its columns and rows, and every list looks and behaves alike."""

from __future__ import annotations

import sys
import time

from wherry.cli.command import Flag, repeated, text
from wherry.cli.errors import CliError
from wherry.cli.row import Row
from wherry.cli.screen import hand_over
from wherry.values.quoting import visible, visible_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

MINIMUM = 10  # a column's least width, gap included
GAP = 3
SHORT_ID = 12

FORMAT_HELP = """Format output using a custom template:
'table':            Print output in table format with column headers (default)
'table TEMPLATE':   Print output in table format using the given Go template
'json':             Print in JSON format
'TEMPLATE':         Print output using the given Go template."""
OBJECT_FORMAT_HELP = """Format output using a custom template:
'json':             Print in JSON format
'TEMPLATE':         Print output using the given Go template."""


def list_format() -> Flag:
    """The ``--format`` of commands that print a table."""
    return text("format", "", FORMAT_HELP)


def object_format(short: str = "f") -> Flag:
    """The ``--format`` of commands that print documents."""
    return text("format", short, OBJECT_FORMAT_HELP)


def parse_filter(given: str) -> tuple[str, str]:
    key, equals, value = given.partition("=")
    if not equals:
        raise ValueError("bad format of filter (expected name=value)")
    return key.strip().lower(), value.strip()


def filters() -> Flag:
    """The ``--filter`` of commands that list."""
    return repeated("filter", "f", "Filter output based on conditions provided", "filter", parse_filter)


def filter_query(pairs: Iterable[tuple[str, str]]) -> str | None:
    """The API's ``filters``: each key with the set of its values, as JSON."""
    from wherry.cli.jsons import dumps

    found: dict[str, dict[str, bool]] = {}
    for key, value in pairs:
        found.setdefault(key, {})[value] = True
    ordered = {key: dict(sorted(found[key].items())) for key in sorted(found)}
    return dumps(ordered) if found else None


def table(lines: Sequence[Sequence[str]], least: int = MINIMUM) -> str:
    """Aligned columns, ``least`` wide or more; the last one is not padded."""
    if not lines:
        return ""
    count = max(map(len, lines))
    widths = [
        max([least, *(len(line[n]) + GAP for line in lines if n < len(line) - 1)]) for n in range(count)
    ]
    return "".join(
        "".join(cell.ljust(width) for cell, width in zip(line[:-1], widths, strict=False)) + line[-1] + "\n"
        for line in lines
    )


def print_rows(rows: Sequence[Row], headers: dict[str, str], columns: Sequence[str], format: str) -> None:
    """Print a list: as Docker's table of the columns, or by the user's ``--format``."""
    if format in ("", "table"):
        heading = [headers[column] for column in columns]
        sys.stdout.write(table([heading, *([visible(row[column]) for column in columns] for row in rows)]))
        return
    from wherry.cli.template import Template, TemplateError

    as_table = format.startswith("table ")
    source = "{{json .}}" if format == "json" else format.removeprefix("table ")
    source = source.strip() if as_table else source
    source = source.replace("\\t", "\t").replace("\\n", "\n")
    try:
        template = Template(source)
    except TemplateError as error:
        raise CliError(f"failed to parse template: {error}") from None
    try:
        lines = [template.render(row) for row in rows]
        if as_table:
            lines.insert(0, template.render(_heading_row(headers)))
    except TemplateError as error:
        raise CliError(f"failed to execute template: {error}") from None
    if as_table:
        sys.stdout.write(table([visible_lines(line).split("\t") for line in lines]))
    else:
        for line in lines:
            hand_over(line)


def _heading_row(headers: dict[str, str]) -> Row:
    """The headings as a row, so that the template itself puts them in order."""
    row = Row(headers)
    row["Label"] = lambda name: name
    return row


def needs(format: str, column: str) -> bool:
    """Whether a custom format reads the column."""
    return f".{column}" in format or "json ." in format


def print_object(value: Any, format: str) -> None:
    """Print one value by ``--format``: ``json`` or a template."""
    from wherry.cli.template import Template, TemplateError, to_json

    try:
        hand_over(to_json(value) if format == "json" else Template(format).render(value))
    except TemplateError as error:
        raise CliError(f"template parsing error: {error}") from None


def short_id(identity: str) -> str:
    """The first digits of an id, without ``sha256:``."""
    return identity.removeprefix("sha256:")[:SHORT_ID]


def local_time(seconds: float) -> str:
    """``2026-11-25 01:22:44 +0000 UTC``, in the user's time zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(seconds))


def report_each(names: Sequence[str], errors: Iterable[Exception | None]) -> int:
    """Print each name whose call went well, and each error; the exit code."""
    code = 0
    for name, error in zip(names, errors, strict=True):
        if error is None:
            print(name, flush=True)
        else:
            code = 1
            print(f"wherry: {error}", file=sys.stderr)
    return code
