"""What somebody may have meant who wrote a name that does not exist."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

ALIKE = 0.7


def did_you_mean(written: str, known: Iterable[str], prefix: str = "") -> str:
    """A line that names the nearest of the known names, each led by ``prefix``; empty where none is near."""
    from difflib import get_close_matches

    names = list(known)
    near = get_close_matches(written, names, 1, ALIKE)
    swapped = [name for name in names if sorted(name) == sorted(written)]  # short words
    begun = [name for name in names if len(written) > 1 and name.startswith(written)]
    best = (near or swapped or (begun if len(begun) == 1 else []))[:1]
    return f"Did you mean '{prefix}{best[0]}'?" if best else ""
