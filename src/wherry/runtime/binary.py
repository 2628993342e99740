"""Where the launcher is: the static binary that the package's own build puts into it."""

from __future__ import annotations

from pathlib import Path

import wherry
from wherry.errors import Unavailable


def launcher_path() -> Path:
    """The launcher's path. Unavailable if the package was not built (an editable install builds it too)."""
    path = Path(wherry.__file__).parent / "_bin" / "wherry-launcher"
    if not path.exists():
        raise Unavailable(f"the launcher {path} is missing: build it with `make setup` or `pip install .`")
    return path
