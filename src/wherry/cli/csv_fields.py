"""One line of comma-separated fields, as ``--mount`` and long ``--publish`` take it (RFC 4180 quotes)."""

from __future__ import annotations


def csv_fields(line: str) -> list[str]:
    """The fields of the line; a field in double quotes may hold commas, and ``""`` for a quote. ValueError in Go's
    words."""
    if not line:
        raise ValueError("EOF")
    fields: list[str] = []
    position = 0
    while position <= len(line):
        if line[position : position + 1] == '"':
            field, position = _quoted(line, position + 1)
        else:
            end = line.find(",", position)
            end = len(line) if end < 0 else end
            field, position = line[position:end], end + 1
            if '"' in field:
                raise ValueError(f'parse error on line 1, column {position}: bare " in non-quoted-field')
        fields.append(field)
    return fields


def _quoted(line: str, start: int) -> tuple[str, int]:
    """The quoted field that begins at ``start``, and where the next field does."""
    field, position = "", start
    while True:
        end = line.find('"', position)
        if end < 0:
            raise ValueError(
                f'parse error on line 1, column {len(line) + 1}: extraneous or missing " in quoted-field'
            )
        field += line[position:end]
        after = line[end + 1 : end + 2]
        if after in ("", ","):
            return field, end + 2
        if after != '"':
            raise ValueError(
                f'parse error on line 1, column {end + 1}: extraneous or missing " in quoted-field'
            )
        field, position = field + '"', end + 2


def key_values(line: str) -> list[tuple[str, str | None]]:
    """The fields as (lower-case key, value); the value is None for a field without ``=``."""
    pairs = (field.partition("=") for field in csv_fields(line))
    return [(key.strip().lower(), value if equals else None) for key, equals, value in pairs]
