"""An ended container says why: by its own exit code, by whom it was asked, or what the kernel did."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.doubles import wished
from tests.harness.daemon import Daemon, UnixConnection
from tests.harness.hold import held
from tests.harness.waiting import eventually
from tests.security.test_monitor import monitors
from wherry.engine.explain.ending import how_it_ended
from wherry.engine.record import Asked, ContainerState, Failure
from wherry.messages.base import ZERO_TIME

STARTED = "2026-11-27T04:00:00Z"
MEMORY = {"memory": 8 << 20}

SENTENCES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"started_at": ZERO_TIME}, {}, "It has not been started."),
    ({}, {}, "Ended with 0, its own exit code."),
    ({"exit_code": 3}, {}, "Ended with 3, its own exit code."),
    (
        {"exit_code": 127},
        {},
        "Ended with 127, its own exit code; shells use it for a command that was not found.",
    ),
    (
        {"exit_code": 126},
        {},
        "Ended with 126, its own exit code; shells use it for a command that cannot be executed.",
    ),
    (
        {"exit_code": 139},
        {},
        "Ended with 139, the code for SIGSEGV, a bad memory access; nobody sent that through the engine.",
    ),
    ({"exit_code": 137}, {}, "Ended with 137, the code for SIGKILL; nobody sent that through the engine."),
    ({"exit_code": 200}, {}, "Ended with 200, its own exit code."),
    (
        {"exit_code": 137, "oom_killed": True},
        MEMORY,
        "Ended with 137: the kernel killed it at its limit of 8 MiB (--memory 8m).",
    ),
    ({"exit_code": 137, "oom_killed": True}, {}, "Ended with 137: the kernel killed it for want of memory."),
    (
        {"exit_code": 1, "oom_killed": True},
        MEMORY,
        "Ended with 1, its own exit code. Before that, the kernel had killed one of its processes at its limit of "
        "8 MiB (--memory 8m).",
    ),
    (
        {"exit_code": 137, "oom_killed": True, "asked": Asked("kill", 9)},
        {**MEMORY, "oom_kill_disable": True},
        "Ended with 137: `kill` sent it SIGKILL. Before that, it had run out of memory at its limit of 8 MiB "
        "(--memory 8m), and waited for more.",
    ),
    ({"exit_code": 143, "asked": Asked("stop", 15)}, {}, "Ended with 143: `stop` sent it SIGTERM."),
    (
        {"exit_code": 0, "asked": Asked("stop", 2)},
        {},
        "Ended with 0, its own exit code, after `stop` had sent it SIGINT.",
    ),
    (
        {"exit_code": 137, "asked": Asked("stop", 15, 1)},
        {},
        "Ended with 137: `stop` sent it SIGTERM, and SIGKILL 1 second later.",
    ),
    ({"exit_code": 137, "asked": Asked("kill", 9)}, {}, "Ended with 137: `kill` sent it SIGKILL."),
    ({"exit_code": 168}, {}, "Ended with 168, the code for signal 40; nobody sent that through the engine."),
    ({"exit_code": 193}, {}, "Ended with 193, its own exit code."),
    ({"exit_code": 168, "asked": Asked("kill", 40)}, {}, "Ended with 168: `kill` sent it signal 40."),
    ({"exit_code": 0, "asked": Asked("kill", 1)}, {}, "Ended with 0, its own exit code."),
    (
        {"exit_code": 127, "started_at": ZERO_TIME, "error": "exec: nosuch: not found"},
        {},
        "It did not start (127), as its command was not found: exec: nosuch: not found",
    ),
    (
        {"exit_code": 128, "error": "port is taken"},
        {},
        "The last time, it did not start (128): port is taken",
    ),
    (
        {"exit_code": 255, "error": "the monitor ended without leaving an exit status"},
        {},
        "Lost: the monitor ended without leaving an exit status. Its exit code is not known; 255 stands for it.",
    ),
    (
        {"exit_code": 127, "error": "nobody saw it end", "failure": Failure.LOST},
        {},
        "Lost: nobody saw it end. Its exit code is not known; 127 stands for it.",
    ),
    (
        {"exit_code": 1, "error": "the start was given up", "failure": Failure.START},
        {},
        "The last time, it did not start (1): the start was given up",
    ),
    (
        {"exit_code": 6, "error": "its monitor was killed", "failure": Failure.MONITOR},
        {},
        "Ended with 6, its own exit code. Its monitor was killed.",
    ),
    (
        {"exit_code": 128, "error": "its monitor was killed", "failure": Failure.MONITOR},
        {},
        "Ended with 128, its own exit code. Its monitor was killed.",
    ),
]


@pytest.mark.parametrize(("state", "host", "said"), SENTENCES, ids=[said for _, _, said in SENTENCES])
def test_the_sentence(state: dict[str, Any], host: dict[str, Any], said: str) -> None:
    assert how_it_ended(wished(**host), ContainerState(**{"started_at": STARTED, **state})) == said


# ---------------------------------------------------------------- real ends


def said_of(daemon: Daemon, name: str) -> str:
    explained: dict[str, Any] = daemon.api("GET", f"/containers/{name}/explain").body
    return str(explained["Ended"])


def run(daemon: Daemon, *words: str) -> None:
    daemon.docker("run", "--name", "it", *words, check=False)


def kill(daemon: Daemon) -> None:
    run(daemon, "-d", "busybox", "sleep", "600")
    daemon.docker("kill", "it")


def stop_in_vain(daemon: Daemon) -> None:
    run(
        daemon, "-d", "busybox", "sleep", "600"
    )  # the first process of a PID namespace ignores what it does not handle
    daemon.docker("stop", "-t", "1", "it")


def stop_handled(daemon: Daemon) -> None:
    run(daemon, "-d", "busybox", "sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done")
    assert eventually(lambda: "ready" in daemon.docker("logs", "it").stdout)
    daemon.docker("stop", "it")


REAL: list[tuple[Callable[[Daemon], None], str]] = [
    (lambda d: run(d, "busybox", "sh", "-c", "exit 3"), "Ended with 3, its own exit code."),
    (lambda d: run(d, "busybox", "nosuch"), "It did not start (127), as its command was not found: "),
    (lambda d: run(d, "busybox", "/etc"), "It did not start (126), as its command cannot be executed: "),
    (
        lambda d: run(d, "--memory", "8m", "busybox", "tail", "/dev/zero"),
        "Ended with 137: the kernel killed it at its limit of 8 MiB (--memory 8m).",
    ),
    (kill, "Ended with 137: `kill` sent it SIGKILL."),
    (stop_in_vain, "Ended with 137: `stop` sent it SIGTERM, and SIGKILL 1 second later."),
    (stop_handled, "Ended with 7, its own exit code, after `stop` had sent it SIGTERM."),
]


@pytest.mark.parametrize(("end", "said"), REAL, ids=[said for _, said in REAL])
def test_a_real_end(daemon: Daemon, end: Callable[[Daemon], None], said: str) -> None:
    end(daemon)
    assert said_of(daemon, "it").startswith(said)
    assert said.split(":", maxsplit=1)[0] in daemon.wherry("explain", "it").stdout
    assert said.split(":", maxsplit=1)[0] in daemon.wherry("explain", "--html", "-", "it").stdout.replace(
        "&#x27;", "'"
    )


def test_why_it_ended_outlives_the_engine(daemon: Daemon) -> None:
    kill(daemon)
    daemon.restart()
    assert said_of(daemon, "it") == "Ended with 137: `kill` sent it SIGKILL."
    daemon.docker("start", "it")
    assert said_of(daemon, "it") == ""


@pytest.mark.slow
@pytest.mark.parametrize("code", [6, 127])
def test_one_whose_monitor_was_killed_and_whose_code_the_kernel_has(daemon: Daemon, code: int) -> None:
    run(daemon, "-d", "busybox", "sh", "-c", f"sleep 1; exit {code}")
    (monitor,) = monitors(daemon)
    with held(monitor):
        daemon.api("POST", "/containers/it/wait", timeout=60)
    assert said_of(daemon, "it").startswith(f"Ended with {code}, its own exit code")
    assert "Its monitor did not say how its process has ended" in said_of(daemon, "it")


def test_one_that_was_lost_with_its_monitor(daemon: Daemon) -> None:
    run(daemon, "-d", "busybox", "sleep", "600")
    pid = daemon.inspect("it")["State"]["Pid"]
    with open(f"/proc/{pid}/status") as status:
        monitor = next(int(line.split()[1]) for line in status if line.startswith("PPid:"))
    daemon.run_in_ns(["kill", "-KILL", str(monitor)])
    daemon.api("POST", "/containers/it/wait")
    assert said_of(daemon, "it").startswith("Lost: ")


# ---------------------------------------------------------------- and the daemon is killed as soon as it has answered


def answered(daemon: Daemon, path: str) -> bytes:
    """Ask, kill the daemon at the first bytes of the answer, and start another one."""
    client = UnixConnection(daemon.socket, 60)
    client.request("POST", path)
    said = client.sock.recv(65536)
    while path.endswith("/wait") and b"StatusCode" not in said:
        said += client.sock.recv(65536)
    daemon.kill9()
    client.close()
    daemon.start()
    return said


TRAP = "trap 'touch /asked; sleep 2; trap - TERM; kill $$' TERM; echo ready; while :; do sleep 0.1; done"
DEAF = "trap '' TERM; echo ready; while :; do sleep 0.1; done"


def run_shell(daemon: Daemon, script: str) -> None:
    run(daemon, "-d", "--init", "busybox", "sh", "-c", script)
    assert eventually(lambda: "ready" in daemon.docker("logs", "it").stdout)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("kill", "Ended with 137: `kill` sent it SIGKILL."),
        ("stop?t=1", "Ended with 137: `stop` sent it SIGTERM, and SIGKILL 1 second later."),
    ],
)
def test_whoever_asked_is_known_after_a_crash(
    fresh_daemon: Callable[..., Daemon], path: str, said: str
) -> None:
    daemon = fresh_daemon()
    run_shell(daemon, DEAF)
    assert b" 204 " in answered(daemon, f"/containers/it/{path}")
    assert said_of(daemon, "it") == said


@pytest.mark.parametrize("crash", [False, True], ids=["stopped in order", "killed"])
def test_whoever_asked_is_known_though_the_end_comes_under_another_daemon(
    fresh_daemon: Callable[..., Daemon], crash: bool
) -> None:
    daemon = fresh_daemon()
    run_shell(daemon, TRAP)
    daemon.docker("kill", "-s", "TERM", "it")
    if crash:
        daemon.kill9()
    else:
        daemon.stop()
    daemon.start()
    daemon.api("POST", "/containers/it/wait")
    assert said_of(daemon, "it") == "Ended with 143: `kill` sent it SIGTERM."


def test_an_exit_code_that_was_told_is_the_one(fresh_daemon: Callable[..., Daemon]) -> None:
    """No exit file tells of a container whose monitor was killed."""
    daemon = fresh_daemon()
    run(daemon, "-d", "busybox", "sleep", "600")
    (monitor,) = monitors(daemon)
    threading.Timer(0.3, os.kill, (monitor, signal.SIGKILL)).start()
    told = answered(daemon, "/containers/it/wait")
    state = daemon.inspect("it")["State"]
    assert b'"StatusCode":%d' % state["ExitCode"] in told
    assert "no engine was there" not in state["Error"]
