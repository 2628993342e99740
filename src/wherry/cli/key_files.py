"""``-e``, ``-l`` and the files of them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def parse_env(text: str) -> str:
    """``NAME=VALUE``, or ``NAME`` to hand on or unset. ValueError without a name."""
    if not text or text.startswith("="):
        raise ValueError(f"invalid environment variable: {text}")
    return text


def parse_label(text: str) -> str:
    """``NAME=VALUE`` or ``NAME``. ValueError without a name."""
    if not text.partition("=")[0]:
        raise ValueError(f"invalid label '{text}': empty name")
    return text


def with_environment(assignments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """``NAME`` alone takes its value from the caller's environment, where it has one."""
    return [f"{a}={environment[a]}" if "=" not in a and a in environment else a for a in assignments]


def read_key_file(path: str, kind: str, environment: Mapping[str, str]) -> list[str]:
    """The ``NAME=VALUE`` lines of a file; ``#`` begins a comment. A ``NAME`` alone takes its value from the
    environment, and is left out where that has none."""
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="\n") as file:
        lines = [line.rstrip("\r\n").lstrip() for line in file]
    found: list[str] = []
    for line in lines:
        if not line or line.startswith("#"):
            continue
        name, equals, given = line.partition("=")
        if not name.strip():
            raise ValueError(f"invalid {kind} file ({path}): no variable name on line '{line}'")
        if any(c.isspace() for c in name):
            raise ValueError(f"invalid {kind} file ({path}): variable '{name}' contains whitespaces")
        if equals:
            found.append(f"{name}={given}")
        elif name in environment:
            found.append(f"{name}={environment[name]}")
    return found


def to_map(assignments: Sequence[str]) -> dict[str, str]:
    """``NAME=VALUE`` as a map; the last of a name wins."""
    return {name: given for name, _, given in (a.partition("=") for a in assignments)}
