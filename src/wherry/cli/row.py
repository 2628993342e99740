"""What a list's template sees."""

from __future__ import annotations

from typing import Any


class Row(dict[str, Any]):
    """A line of a list: its columns by name, and methods (such as ``Label``) as callables. Other names are errors."""
