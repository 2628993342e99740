"""What a command costs before it does anything is what it imports: the everyday ones import next to nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.harness.daemon import Daemon

# Modules that are there already when the program begins are the interpreter's own affair.
PROGRAM = """
import os, sys
before = set(sys.modules)
from wherry.cli.main import main
code = main(sys.argv[1:])
print(*sorted(set(sys.modules) - before), file=sys.stderr)
sys.exit(code)
"""
LIGHT = {"__future__", "_json", "_signal", "_socket", "errno", "fcntl", "select", "time"}


def imported(daemon: Daemon, *words: str) -> set[str]:
    """The modules that a command imports from beginning to end."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], env=daemon.client_environment(), capture_output=True, text=True,
        check=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "words",
    ["--help", "--version", "ps", "ps -a --filter status=running", "images", "run --rm busybox true", "run --help",
     "run -d -p 80 -v /tmp:/x -e A=b -m 64m busybox true", "exec box true", "logs box", "start box", "kill box",
     "inspect box", "inspect -f {{.Name}} box",
     "ps --format {{.Names}}", "ps --format json",
     "rm -f box", "create busybox", "stop -t 0 box", "wait gone", "attach gone", "version"],
)  # fmt: skip
def test_everyday_commands_import_nothing_heavy(daemon: Daemon, words: str) -> None:
    if "box" in words.split():
        daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    if "gone" in words.split():
        daemon.docker("run", "-d", "--name", "gone", "busybox", "sleep", "1")
    modules = imported(daemon, *words.split())
    ours = {name for name in modules if name.partition(".")[0] == "wherry"}
    assert modules - ours <= LIGHT
    assert all(
        name.startswith(("wherry.cli", "wherry.errors", "wherry.values")) for name in ours - {"wherry"}
    )


def test_a_command_imports_its_own_modules_only(daemon: Daemon) -> None:
    assert not {"wherry.cli.run", "wherry.cli.template", "wherry.cli.help"} & imported(daemon, "ps")
    assert "wherry.cli.container_list" not in imported(daemon, "run", "--rm", "busybox", "true")
