"""The Docker Engine API over HTTP. Knows requests and answers, and nothing of the kernel.

aiohttp's package file imports its client, which loads the machine's certificates before anybody asks: 50 ms and
4.5 MB that a daemon on a unix socket has no use for. So the package is entered without that file; its modules,
``aiohttp.client`` among them, are imported by their own names.
"""

from __future__ import annotations

import importlib.util
import sys


def enter_without_client(package: str) -> None:
    """Make a package's modules importable without running its own file. Nothing if it has been imported already."""
    if package in sys.modules:
        return
    spec = importlib.util.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        return  # the import that follows says what is missing
    module = importlib.util.module_from_spec(spec)
    module.__dict__["__version__"] = ""  # aiohttp.http asks for it
    sys.modules[package] = module


enter_without_client("aiohttp")
