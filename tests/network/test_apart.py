"""No code knows the default network's kind or what an interface is called in a container, but the driver."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.network.lab import repository

WORDS = {"bridge", "eth0"}
SOURCE = repository() / "src" / "wherry"
ROWS = ("api", "engine", "messages", "network", "runtime")
AT_HOME = {
    Path("network/driver.py"),  # what a first interface is called
    Path("network/drivers/bridge"),
    Path("engine/store/migrations.py"),  # what former versions wrote does not follow what is so today
}


def words_in(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in WORDS:
            yield node.value


def test_the_words_of_the_driver_stay_there() -> None:
    found = {
        file.relative_to(SOURCE)
        for row in ROWS
        for file in (SOURCE / row).rglob("*.py")
        if any(words_in(file))
    }
    strangers = {path for path in found if not any(path.is_relative_to(home) for home in AT_HOME)}
    assert found and not strangers
