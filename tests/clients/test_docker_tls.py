"""docker's command line over TCP with certificates on both sides: what works over the unix socket works there too."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.certificates import Certificates, make_certificates
from tests.harness.daemon import Daemon, Finished
from tests.harness.terminal import Terminal
from tests.harness.waiting import eventually

pytestmark = pytest.mark.usefixtures("docker_cli")

HOST = "tcp://127.0.0.1:2376"
CTRL_P, CTRL_Q = "\x10", "\x11"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def module_daemon(busybox_archive: bytes, certificates: Certificates) -> Iterator[Daemon]:
    with Daemon(["-H", HOST, *certificates.daemon_options()]).with_image(busybox_archive) as daemon:
        yield daemon


Argv = Callable[..., list[str]]


@pytest.fixture
def argv(daemon: Daemon, certificates: Certificates) -> Argv:
    """docker's command line, in the daemon's network namespace, with a client's certificate."""

    def make(*arguments: str | Path, who: str = "client") -> list[str]:
        whole = daemon.docker_argv("-H", HOST, *certificates.docker_options(who), *arguments)
        return daemon.sandbox.enter(whole)

    return make


@pytest.fixture
def docker(daemon: Daemon, argv: Argv) -> Callable[..., Finished]:
    def run(
        *arguments: str | Path, input: str | None = None, who: str = "client", check: bool = True
    ) -> Finished:
        done = subprocess.run(
            argv(*arguments, who=who), env=environment(daemon), input=input, timeout=60, text=True,
            capture_output=True, stdin=subprocess.DEVNULL if input is None else None, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{done.stdout}{done.stderr}{daemon.log_tail(15)}"
        return done

    return run


def environment(daemon: Daemon) -> dict[str, str]:
    return {k: v for k, v in daemon.client_environment().items() if k != "DOCKER_HOST"}


def terminal(daemon: Daemon, argv: list[str]) -> Terminal:
    return Terminal(argv, environment(daemon))


Docker = Callable[..., Finished]


def test_who_is_let_in(daemon: Daemon, docker: Docker) -> None:
    assert "Wherry" in docker("version").stdout
    refused = docker("version", who="stranger", check=False)
    assert refused.returncode != 0 and "tls" in refused.stderr.lower()
    nobody = daemon.run_in_ns(["curl", "-sS", "-k", "https://127.0.0.1:2376/_ping"], check=False, timeout=20)
    assert nobody.returncode != 0 and "OK" not in nobody.stdout
    plain = daemon.run_in_ns(["curl", "-sS", "http://127.0.0.1:2376/_ping"], check=False, timeout=20)
    assert plain.returncode != 0 and "OK" not in plain.stdout
    assert docker("version").returncode == 0


def test_run_with_input_that_ends(docker: Docker) -> None:
    text = "".join(f"line {n}\n" for n in range(50_000))
    assert docker("run", "-i", "--rm", "busybox", "cat", input=text).stdout == text
    counted = docker("run", "-i", "--rm", "busybox", "sh", "-c", "wc -c; echo done", input=text)
    assert counted.stdout == f"{len(text)}\ndone\n"


def test_exit_code_and_both_streams(docker: Docker) -> None:
    done = docker("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")


def test_much_output_to_a_slow_reader(daemon: Daemon, argv: Argv) -> None:
    command = argv("run", "--rm", "busybox", "sh", "-c", "yes 0123456789abcdef | head -c 33554432")
    with subprocess.Popen(command, env=environment(daemon), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        time.sleep(1)  # nobody reads: somewhere it has to stop
        received = 0
        while data := process.stdout.read(1 << 20):
            received += len(data)
        assert (received, process.wait()) == (33554432, 0)
    assert daemon.api("GET", "/_ping").status == 200


def test_terminal(daemon: Daemon, argv: Argv) -> None:
    with terminal(daemon, argv("run", "-it", "--name", "c1", "busybox", "sh")) as shell:
        shell.expect("# ")
        shell.send("stty size; word=kept\n")
        shell.expect(r"30 100\r\n.*# ")
        shell.resize(41, 120)
        shell.send("sleep 0.3; stty size\n")
        shell.expect(r"41 120\r\n.*# ")
        shell.send(CTRL_P + CTRL_Q)
        assert shell.wait() == 0
    assert daemon.inspect("c1")["State"]["Running"] is True
    with terminal(daemon, argv("attach", "c1")) as shell:
        shell.send("echo $word\n")
        shell.expect("kept\r\n")
        shell.send("exit 7\n")
        assert shell.wait() == 7


def test_exec(daemon: Daemon, argv: Argv, docker: Docker) -> None:
    docker("run", "-d", "--name", "c1", "busybox", "sleep", "1000")
    assert docker("exec", "-i", "c1", "cat", input="through\n").stdout == "through\n"
    assert docker("exec", "c1", "sh", "-c", "exit 3", check=False).returncode == 3
    with terminal(daemon, argv("exec", "-it", "c1", "sh")) as shell:
        shell.expect("# ")
        shell.send("echo $((6*7))\n")
        shell.expect("42\r\n")
        shell.send("exit 9\n")
        assert shell.wait() == 9


def test_attach_while_it_writes_and_a_client_that_is_killed(
    daemon: Daemon, argv: Argv, docker: Docker
) -> None:
    docker("run", "-d", "--name", "c1", "busybox", "sh", "-c", "while true; do echo tick; sleep 0.05; done")
    for _ in range(3):
        with subprocess.Popen(
            argv("attach", "c1"), env=environment(daemon), stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"tick\n"
            process.kill()
    assert daemon.inspect("c1")["State"]["Running"] is True


def test_logs_that_are_followed(daemon: Daemon, argv: Argv, docker: Docker) -> None:
    docker("run", "-d", "--name", "c1", "busybox", "sh", "-c", "echo one; sleep 1; echo two")
    assert docker("logs", "-f", "c1").stdout == "one\ntwo\n"


def test_events(daemon: Daemon, argv: Argv, docker: Docker) -> None:
    command = argv(
        "events", "--filter", "event=die", "--format", "{{.Action}} {{.Actor.Attributes.exitCode}}"
    )
    with subprocess.Popen(command, env=environment(daemon), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert eventually(lambda: daemon.api("GET", "/info").body["NEventsListener"])
        docker("run", "--rm", "busybox", "sh", "-c", "exit 4", check=False)
        assert process.stdout.readline() == "die 4\n"
        process.terminate()


def test_load(daemon: Daemon, docker: Docker, busybox_archive: bytes, tmp_path: Path) -> None:
    archive = tmp_path / "busybox.tar"
    archive.write_bytes(busybox_archive)
    assert "busybox:latest" in docker("load", "-i", archive).stdout


def connections(daemon: Daemon) -> list[str]:
    return daemon.run_in_ns(["ss", "-Htn", "state", "established", "sport", "=", ":2376"]).stdout.splitlines()


def test_the_daemon_ends_though_a_client_is_attached(argv: Argv, docker: Docker, daemon: Daemon) -> None:
    docker("run", "-d", "--name", "c1", "busybox", "sleep", "1000")
    with subprocess.Popen(argv("attach", "c1"), env=environment(daemon), stdout=subprocess.PIPE) as process:
        assert eventually(lambda: connections(daemon))
        assert daemon.stop() == 0
        process.wait(timeout=20)
    daemon.start()
    assert daemon.inspect("c1")["State"]["Running"] is True


def test_in_the_open_when_asked_for(fresh_daemon: Callable[..., Daemon]) -> None:
    daemon = fresh_daemon("-H", "tcp://127.0.0.1", "--tls=false")
    assert "Whoever can reach it is root on this machine" in daemon.log.read_text()
    docker = daemon.sandbox.enter(daemon.docker_argv("-H", "tcp://127.0.0.1:2375"))
    done = subprocess.run(
        [*docker, "run", "-i", "--rm", "busybox", "sh", "-c", "cat; echo err >&2; exit 3"],
        input="through\n", env=environment(daemon), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (3, "through\n", "err\n")
    with terminal(daemon, [*docker, "run", "-it", "--rm", "busybox", "sh"]) as shell:
        shell.expect("# ")
        shell.send("exit 9\n")
        assert shell.wait() == 9
