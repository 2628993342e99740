"""``--format json`` of commands that show whole documents."""

from __future__ import annotations

import json

from wherry.cli.errors import CliError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def check_format(given: str) -> None:
    """Raises CliError for a format that there is none of."""
    if given not in ("", "json"):
        raise CliError(f"unknown format '{given}': use 'json', or leave it out for text")


def print_json(document: Any) -> int:
    """Two spaces deep, in ASCII, so that nothing in it can steer a terminal."""
    print(json.dumps(document, indent=2))
    return 0
