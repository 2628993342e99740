"""docker's command line on a real terminal: ``-it``, resize, detach keys, ``attach``, ``exec -it``."""

from __future__ import annotations

import json
import time

import pytest

from tests.harness.daemon import Daemon
from tests.harness.terminal import Terminal
from tests.harness.waiting import eventually

pytestmark = pytest.mark.usefixtures("docker_cli")

CTRL_P, CTRL_Q, CTRL_C, CTRL_D = "\x10", "\x11", "\x03", "\x04"


def docker(daemon: Daemon, *arguments: str) -> Terminal:
    return Terminal(daemon.docker_argv(*arguments), daemon.client_environment())


def test_shell(daemon: Daemon) -> None:
    with docker(daemon, "run", "-it", "--rm", "busybox", "sh") as terminal:
        terminal.expect("# ")
        terminal.send("echo $((6*7)) on $(tty)\n")
        terminal.expect("42 on /dev/(pts/0|console)")
        terminal.send("exit 5\n")
        assert terminal.wait() == 5


def test_terminal_has_the_size_of_the_window_and_follows_it(daemon: Daemon) -> None:
    with docker(daemon, "run", "-it", "--rm", "busybox", "sh") as terminal:
        terminal.expect("# ")
        terminal.send("stty size\n")
        terminal.expect(r"30 100\r\n")
        terminal.resize(41, 120)
        terminal.send("sleep 0.3; stty size\n")
        terminal.expect(r"41 120\r\n.*# ")
        terminal.send(CTRL_D)
        assert terminal.wait() == 0


def test_interrupt_goes_to_the_foreground_process(daemon: Daemon) -> None:
    with docker(daemon, "run", "-it", "--rm", "busybox", "sh") as terminal:
        terminal.expect("# ")
        terminal.send("sh -c 'echo st''arted; exec sleep 1000'\n")
        terminal.expect("started\r\n")
        terminal.send(CTRL_C)
        terminal.expect("# ")
        terminal.send("echo code $?\n")
        terminal.expect("code 130")
        terminal.send("exit\n")
        terminal.wait()


def test_detach_and_attach_again(daemon: Daemon) -> None:
    with docker(daemon, "run", "-it", "--name", "c1", "busybox", "sh") as terminal:
        terminal.expect("# ")
        terminal.send("word=kept\n")
        terminal.expect("# ")
        terminal.send(CTRL_P + CTRL_Q)
        assert terminal.wait() == 0
    assert daemon.inspect("c1")["State"]["Running"] is True
    with docker(daemon, "attach", "c1") as terminal:
        terminal.send("echo $word\n")
        terminal.expect("kept\r\n")
        terminal.send("exit 7\n")
        assert terminal.wait() == 7


def test_own_detach_keys(daemon: Daemon) -> None:
    with docker(
        daemon, "run", "-it", "--name", "c1", "--detach-keys", "ctrl-a,d", "busybox", "sh"
    ) as terminal:
        terminal.expect("# ")
        terminal.send("\x01d")
        assert terminal.wait() == 0
    assert daemon.inspect("c1")["State"]["Running"] is True


def test_start_interactively(daemon: Daemon) -> None:
    daemon.docker("create", "-it", "--name", "c1", "busybox", "sh")
    with docker(daemon, "start", "-ai", "c1") as terminal:
        terminal.expect("# ")
        terminal.send("echo here\n")
        terminal.expect("here\r\n")
        terminal.send("exit 3\n")
        assert terminal.wait() == 3


def test_exec_on_a_terminal(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "c1", "busybox", "sleep", "1000")
    with docker(daemon, "exec", "-it", "-e", "X=inside", "c1", "sh") as terminal:
        terminal.expect("# ")
        terminal.send("echo $X; stty size\n")
        terminal.expect(r"inside\r\n30 100\r\n")
        terminal.send("exit 9\n")
        assert terminal.wait() == 9


def test_exec_detaches_by_its_keys(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "c1", "busybox", "sleep", "1000")
    with docker(daemon, "exec", "-it", "c1", "sh", "-c", "echo up; sleep 777") as terminal:
        terminal.expect("up\r\n")
        terminal.send(CTRL_P + CTRL_Q)
        terminal.wait()
    assert "sleep 777" in daemon.docker("exec", "c1", "ps").stdout


def test_terminal_output_is_raw_in_the_log(daemon: Daemon) -> None:
    with docker(daemon, "run", "-t", "--name", "c1", "busybox", "echo", "hello") as terminal:
        terminal.expect("hello\r+\n")  # docker leaves this terminal cooked, so it adds a \r of its own
        assert terminal.wait() == 0
    assert daemon.docker("logs", "c1").stdout in ("hello\r\n", "hello\n")


def wait_for_attached(daemon: Daemon, count: int, since: float) -> None:
    """Until that many clients are the container's: who attaches later does not see what was said before."""

    def attached() -> int:
        query = f"since={since:.6f}&until={time.time():.6f}&filters={json.dumps({'event': ['attach']})}"
        events = daemon.api("GET", f"/events?{query}").body  # a dict, lines of text, or nothing
        return len(events.splitlines()) if isinstance(events, str) else 1

    assert eventually(lambda: attached() >= count, 20)


def test_two_terminals_see_the_same(daemon: Daemon) -> None:
    since = time.time()
    daemon.docker("run", "-dit", "--name", "c1", "busybox", "sh")
    with docker(daemon, "attach", "c1") as one, docker(daemon, "attach", "c1") as two:
        wait_for_attached(daemon, 2, since)
        one.send("echo $((40+2)) both\n")
        one.expect("42 both")
        two.expect("42 both")
