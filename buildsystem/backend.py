"""PEP 517 back end: setuptools, plus a C compiler from a package where the machine has none."""

from __future__ import annotations

from collections.abc import Mapping

import launcher
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    build_wheel,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

Settings = Mapping[str, str | list[str]] | None


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """``ziglang`` holds a whole C compiler; it is asked for only where no other will do."""
    return [] if launcher.system_compiler() else ["ziglang"]


get_requires_for_build_editable = get_requires_for_build_wheel
