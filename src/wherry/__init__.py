"""Wherry: a container engine. ``docs/architecture.md`` shows the way through it."""

from __future__ import annotations

__version__ = "0.1.0"
