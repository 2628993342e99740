"""Volumes. Engine API, Volume."""

from __future__ import annotations

from wherry.messages.base import Model


class VolumeList(Model, kw_only=True):
    """``GET /volumes``."""

    volumes: list[None]
    warnings: list[str] | None = None
