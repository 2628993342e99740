"""What a list's template sees."""

from __future__ import annotations


class Row(dict[str, object]):
    """A line of a list: its columns by name, and methods (such as ``Label``) as callables. Other names are errors."""
