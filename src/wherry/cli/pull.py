"""Ask the engine for an image that it does not have."""

from __future__ import annotations

import sys

from wherry.cli.progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from wherry.cli.client import Client
    from wherry.values.references import Reference


def pull_image(
    client: Client, name: Reference, platform: str, quiet: bool, out: TextIO | None = None
) -> None:
    """``POST /images/create?fromImage=``. The engine may refuse; then its ApiError or CliError comes out."""
    version = name.digest or name.tag
    query = {"fromImage": name.name, "tag": version or None, "platform": platform or None}
    response = client.request("POST", "/images/create", query)
    Progress(out or sys.stderr, quiet).show(response.objects())
