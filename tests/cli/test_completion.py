"""What a Tab completes: asked of the command itself, and of a real shell."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.daemon import ROOT, Daemon
from tests.harness.terminal import Terminal
from wherry.cli import tree
from wherry.cli.completion import CHOICES, FILE_FLAGS, KINDS, RUNNING, candidates
from wherry.cli.completion_scripts import SCRIPTS
from wherry.cli.main import main

NAMES = {
    "containers": ["db", "web"],
    "running": ["web"],
    "images": ["debian:latest"],
    "shells": list(SCRIPTS),
    "everything": ["web", "debian:latest"],
}


def completed(line: str) -> list[str]:
    """What the last word of the line can become."""
    *before, current = line.split(" ")
    found = candidates(before, current, lambda kind: NAMES.get(kind, []))
    return sorted(name for name, _ in found if name.startswith(current) or name == ":files")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ru", ["run"]),
        ("pl", ["plan"]),
        ("plan ", ["diff", "show"]),
        ("container st", ["start", "stop"]),
        ("network ", []),
        ("xyzzy ", []),
        ("--ho", ["--host"]),
        ("-H unix:///x --debug container ls --no-t", ["--no-trunc"]),
        ("ps --al", ["--all"]),
        ("run --r", ["--read-only", "--restart", "--rm", "--runtime"]),
        ("run --network ", ["bridge", "container:", "host", "none"]),
        ("run --network=h", ["--network=host"]),
        ("run -it --name x -e A=1 d", ["debian:latest"]),
        ("run --rm=true d", ["debian:latest"]),
        ("run -d -p 80 debian:latest ", [":files"]),
        ("run debian sh -", [":files"]),
        ("run -v ", [":files"]),
        ("run --name ", []),
        ("rm ", ["db", "web"]),
        ("rm -f db w", ["web"]),
        ("rm -- ", ["db", "web"]),
        ("exec -it ", ["web"]),
        ("container stop ", ["web"]),
        ("exec web ", [":files"]),
        ("inspect ", ["debian:latest", "web"]),
        ("inspect --type ", ["container", "image", "network"]),
        ("tag deb", ["debian:latest"]),
        ("image history ", ["debian:latest"]),
        ("plan diff w", ["web"]),
        ("load -i ", [":files"]),
        ("explain --html w", [":files", "web"]),
        ("load ", []),
        ("import ", [":files"]),
        ("rename db ", []),
        ("kill -s ", ["HUP", "INT", "KILL", "QUIT", "TERM", "USR1", "USR2"]),
        ("completion z", ["zsh"]),
        ("run --health-c", []),  # what is not supported is not offered
    ],
)
def test_what_can_follow(line: str, words: list[str]) -> None:
    assert completed(line) == words


def test_every_verb_and_every_group_is_offered() -> None:
    offered = completed("")
    assert set(offered) == {name for name, _ in tree.members("")} | set(tree.GROUPS)
    for group in tree.GROUPS:
        assert completed(f"{group} ") == [name for name, _ in tree.members(group)]


def test_every_kind_is_in_a_usage_line() -> None:
    usages = " ".join(entry.load().usage for entry in tree.COMMANDS)
    assert not [word for word in KINDS if word not in usages]


def test_every_command_and_every_option_with_words_of_its_own_is_declared() -> None:
    flags = {flag.name for entry in tree.COMMANDS for flag in entry.load().flags}
    assert not {*FILE_FLAGS, *CHOICES} - flags
    assert not set(RUNNING) - {name for name, _ in tree.members("")}


@pytest.mark.parametrize("shell", SCRIPTS)
def test_scripts_are_printed_and_no_other_shells(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert f"wherry completion {shell}" in capsys.readouterr().out
    assert main(["completion", "tcsh"]) == 1
    assert "no completion for 'tcsh', only for bash, zsh, fish" in capsys.readouterr().err


def test_no_engine_no_names_and_none_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WHERRY_AUTOSTART", "1")
    monkeypatch.setenv("WHERRY_HOST", f"unix://{tmp_path}/none.sock")
    assert main(["__complete", "--", "rm", ""]) == 0
    assert capsys.readouterr() == ("", "") and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words", [["-H", "{}"], ["-H{}"], ["--host={}"], ["-D", "--host", "{}"]], ids=lambda words: words[0]
)
def test_names_are_those_of_the_engine_that_the_line_names(daemon: Daemon, words: list[str]) -> None:
    daemon.wherry("create", "--name", "idle", "busybox")
    environment = daemon.client_environment()
    line = [word.format(environment["WHERRY_HOST"]) for word in words]
    done = subprocess.run(
        [f"{ROOT}/.venv/bin/wherry", "__complete", "--", *line, "rm", ""],
        env={**environment, "WHERRY_HOST": "unix:///nobody.sock"}, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("idle\n", "")


# ---------------------------------------------------------------- real shells

START = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'PS1="ready> "; eval "$(wherry completion bash)"\r'),
    "zsh": (["zsh", "-f", "-i"], 'PS1="ready> "; autoload -U compinit; compinit -D; eval "$(wherry completion zsh)"\r'),
}  # fmt: skip
DRAWN = r"(?:\x1b\[[\d;?]*[a-zA-Z]|\x08)*"  # what a shell draws between two letters
LINES = [
    ("wherry sys", "wherry system "),
    ("wherry run --read-o", "wherry run --read-only "),
    ("wherry exec -it web", "wherry exec -it webserver "),
    ("wherry rm id", "wherry rm idle "),
    ("wherry run --rm busyb", "busybox:latest "),
    ("wherry run --rm busybox:l", "busybox:latest "),
    ("wherry run -e 'A B' --network=ho", "--network=host "),
    ("wherry load -i /etc/os-rel", "/etc/os-release "),
]
Ask = Callable[[str, str], None]


@pytest.fixture
def shell_environment(daemon: Daemon, tmp_path: Path) -> dict[str, str]:
    """For a shell that has ``wherry`` and an engine with two containers, one of which runs."""
    daemon.wherry("run", "-d", "--name", "webserver", "busybox", "sleep", "1000")
    daemon.wherry("create", "--name", "idle", "busybox")
    bin = f"{ROOT}/.venv/bin:{os.environ['PATH']}"
    return {**daemon.client_environment(), "PATH": bin, "HOME": str(tmp_path)}


def need(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")


@pytest.mark.parametrize("shell", START)
@pytest.mark.parametrize(("line", "whole"), LINES)
def test_a_tab_in_a_shell(shell: str, line: str, whole: str, shell_environment: dict[str, str]) -> None:
    need(shell)
    argv, setup = START[shell]
    with Terminal(argv, shell_environment, columns=160) as screen:
        screen.send(setup)
        screen.expect(r"ready> [\s\S]*ready> ")
        screen.send(f"{line}\t")
        screen.expect(DRAWN.join(map(re.escape, whole)))


@pytest.mark.parametrize(("line", "whole"), LINES)
def test_fish_completes_too(line: str, whole: str, shell_environment: dict[str, str]) -> None:
    need("fish")
    program = f'wherry completion fish | source; complete -C "{line}"'
    done = subprocess.run(["fish", "-c", program], env=shell_environment, capture_output=True, text=True)
    assert done.stdout.split("\t")[0].strip() == whole.rsplit(maxsplit=1)[-1], done.stderr


def test_the_script_for_bash_is_clean() -> None:
    done = subprocess.run(["bash", "-n"], input=SCRIPTS["bash"], text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")
