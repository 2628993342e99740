"""Names, labels, commands and errors that hold escape sequences: none of them reaches a terminal."""

from __future__ import annotations

import json
import logging
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.recorder import recording
from tests.harness import images
from tests.harness.daemon import WHERRY, Daemon
from tests.harness.terminal import Terminal
from wherry.daemon import OneLine

# A title and the clearing of the screen, by 7-bit and 8-bit sequences; a mark that turns the direction.
POISON = "a\x1b]0;pwned\x07b\x1b[2J\x9b2Jc\u202ed"
WRITTEN_OUT = r"a\x1b]0;pwned\x07b\x1b[2J\x9b2Jc\u202ed"


@pytest.fixture
def poisoned(module_daemon: Daemon) -> Iterator[Daemon]:
    """An engine with an image and a running container that hold such text wherever there is room for it."""
    config = {"Labels": {POISON: POISON}, "Env": [f"A={POISON}"], "Cmd": ["sleep", "1000"]}
    layer = images.busybox_layer()
    module_daemon.load(images.docker_archive([layer], ["poisoned:latest"], config, [POISON]))
    module_daemon.docker("run", "-d", "--name", "box", "-l", f"x={POISON}", "-e", f"B={POISON}",
                         "poisoned", "sh", "-c", f": '{POISON}'; sleep 1000")  # fmt: skip
    yield module_daemon
    module_daemon.remove_containers()


def on_terminal(daemon: Daemon, *words: str) -> str:
    """What a command prints on a terminal, its own colours left out."""
    environment = {**daemon.client_environment(), "NO_COLOR": "1"}
    with Terminal(daemon.wherry_argv(*words), environment, rows=50, columns=300) as screen:
        screen.wait()
        return screen.seen


def harmless(said: str) -> bool:
    return all(c.isprintable() or c in "\r\n\t" for c in said)


@pytest.mark.parametrize(
    "line",
    ["ps --no-trunc", "ps --format {{.Labels}}", "ps --format 'table {{.Command}}\\t{{.Labels}}'", "ps --format json",
     "history --no-trunc poisoned", "history --format {{.CreatedBy}} poisoned", "inspect box",
     "inspect -f {{.Config.Env}} box", "inspect -f {{json.Config}} box", "image inspect poisoned",
     "events --since 10m --until=-1s", "events --since 10m --until=-1s --format json",
     "events --since 10m --until=-1s --format {{.Actor.Attributes}}", "explain box", "explain --html - box",
     "plan show box", "plan diff box 'poisoned true'", "run --dry-run -l a=b poisoned pwned"],
)  # fmt: skip
def test_what_is_shown_does_not_steer_a_terminal(poisoned: Daemon, line: str) -> None:
    said = on_terminal(poisoned, *shlex.split(line))
    assert "pwned" in said, said
    assert harmless(said), repr(said)


@pytest.mark.parametrize(
    "words",
    [["inspect", "--type", POISON, "x"], ["run", "--rm", "poisoned", POISON], ["exec", "box", POISON],
     ["load", "-i", f"/{POISON}"],
     ["run", "--memory", POISON, "x"], [POISON], ["ps", f"--{POISON}"], ["-H", f"unix:///{POISON}", "ps"],
     ["-H", f"{POISON}://", "ps"], ["rm", POISON], ["stop", POISON], ["start", POISON],
     ["ps", "--filter", f"{POISON}=x"], ["tag", "poisoned", POISON]],
)  # fmt: skip
def test_errors_do_not_steer_a_terminal(poisoned: Daemon, words: list[str]) -> None:
    said = on_terminal(poisoned, *words)
    assert "pwned" in said, said
    assert harmless(said), repr(said)
    piped = poisoned.wherry(*words, check=False)
    assert piped.returncode != 0 and harmless(piped.stderr), repr(piped.stderr)


def test_tables_are_for_people_wherever_they_go(poisoned: Daemon) -> None:
    assert WRITTEN_OUT in poisoned.wherry("history", "--no-trunc", "poisoned").stdout
    assert WRITTEN_OUT in poisoned.wherry("ps", "--format", "table {{.Names}}\t{{.Labels}}").stdout
    said = poisoned.wherry("events", "--since", "10m", "--until", "0s").stdout
    assert WRITTEN_OUT in said and harmless(said)


ENGINE = {  # what an engine answers that is not ours, or whose machine's name somebody has set
    "/info": {"ServerVersion": POISON, "Driver": POISON, "Name": POISON, "MemTotal": 1, "Warnings": [POISON],
              **dict.fromkeys((f"Containers{s}" for s in ("", "Running", "Paused", "Stopped")), 0), "Images": 0},
    "/version": {"ApiVersion": "1.51", "Version": POISON, "GitCommit": POISON, "GoVersion": POISON},
    "/containers/json": [{"Names": [f"/{POISON}"]}, {"Names": ["/box"]}],
    "/containers/box/json": {"NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": POISON, "HostPort": "80"}]}}},
    "/containers/create": {"Id": POISON, "Warnings": [POISON]},
    "/images/x": [{"Untagged": POISON}, {"Deleted": POISON}],
    "/images/load": {"stream": POISON},
}  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        "info",
        "version",
        "port box",
        "port box 80",
        "create x",
        "rmi x",
        "load -i /dev/null",
        "__complete -- rm ''",
    ],
)
def test_an_engine_steers_no_terminal_behind_a_pipe(tmp_path: Path, line: str) -> None:
    def answers(method: str, path: str) -> tuple[int, Any] | None:
        return (200, ENGINE[path]) if path in ENGINE else None

    with recording(tmp_path / "s", answers) as engine:
        environment = {**os.environ, "WHERRY_HOST": f"unix://{os.fspath(engine.server_address)}"}  # type: ignore[arg-type]
        argv = [sys.executable, "-c", WHERRY, *shlex.split(line)]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert ("box" if "complete" in line else WRITTEN_OUT) in done.stdout
    assert harmless(done.stdout) and harmless(done.stderr), repr(done)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_the_terminal_cannot_show_is_a_question_mark(poisoned: Daemon, encoding: str) -> None:
    environment = {**poisoned.client_environment(), "PYTHONIOENCODING": encoding}
    with Terminal(poisoned.wherry_argv("ps"), environment, rows=50, columns=300) as screen:
        assert screen.wait() == 0, screen.seen
        assert "?" in screen.seen and "box" in screen.seen
    argv = poisoned.wherry_argv("ps")
    piped = subprocess.run(argv, env=environment, capture_output=True, timeout=60)
    assert piped.returncode == 0 and "…".encode() in piped.stdout


def test_programs_get_the_bytes_as_from_docker(poisoned: Daemon) -> None:
    for line in (
        ["ps", "--format", "{{.Labels}}"],
        ["inspect", "-f", "{{.Config.Env}}", "box"],
        ["history", "--format", "{{.CreatedBy}}", "poisoned"],
    ):
        said = poisoned.wherry(*line).stdout
        assert POISON in said and said == poisoned.docker(*line).stdout
    for line in (["inspect", "box"], ["ps", "--format", "json"]):
        ours, docker = poisoned.wherry(*line).stdout, poisoned.docker(*line).stdout
        assert harmless(ours) and json.loads(ours) == json.loads(docker)


def test_what_a_container_prints_is_its_own(poisoned: Daemon) -> None:
    said = on_terminal(poisoned, "exec", "box", "printf", r"\033[1mbold")
    assert said == "\x1b[1mbold"
    assert on_terminal(poisoned, "run", "--rm", "poisoned", "printf", r"\033[1mbold") == "\x1b[1mbold"


def test_what_the_daemon_says_is_harmless_too() -> None:
    daemon = Daemon()
    try:
        daemon.data_root = Path("/dev/null") / POISON
        with pytest.raises(RuntimeError, match="did not come up"):
            daemon.start()
        said = daemon.log.read_text()
        assert WRITTEN_OUT in said and harmless(said), repr(said)
    finally:
        daemon.close()


def test_a_record_of_the_log_is_one_line_and_its_trace_below() -> None:
    try:
        raise ValueError(POISON)
    except ValueError:
        record = logging.LogRecord(
            "x", logging.ERROR, "", 0, "%s\n2030-01-01 forged", (POISON,), sys.exc_info()
        )
    first, *trace = OneLine("%(levelname)s %(message)s").format(record).split("\n")
    assert first == rf"ERROR {WRITTEN_OUT}\x0a2030-01-01 forged"
    assert trace[0].startswith("Traceback") and WRITTEN_OUT in trace[-1] and harmless("\n".join(trace))
