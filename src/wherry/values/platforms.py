"""Platforms as a person writes them: ``linux/arm64/v8``."""

from __future__ import annotations

from wherry.errors import InvalidArgument


def parse_platform(text: str) -> tuple[str, str, str]:
    """Operating system, architecture and variant; what is left out is empty. InvalidArgument where it is none."""
    os, architecture, variant, *more = (*text.split("/"), "", "")
    if not os or any(more) or text.count("/") > 2:
        raise InvalidArgument(f"{text!r} is not a platform, such as linux/amd64")
    return os, architecture, variant
