"""wherry's command line on a real engine: streams, terminals, signals, exit codes."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.daemon import Daemon, Finished
from tests.harness.terminal import Terminal

PROMPT = r"[#$] "


def in_terminal(daemon: Daemon, *words: str, rows: int = 30, columns: int = 100) -> Terminal:
    return Terminal(daemon.wherry_argv(*words), daemon.client_environment(), rows, columns)


def start(daemon: Daemon, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        daemon.wherry_argv(*words), env=daemon.client_environment(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def names(daemon: Daemon) -> list[str]:
    return daemon.wherry("ps", "-a", "--format", "{{.Names}}").stdout.split()


def test_run_keeps_the_streams_apart_and_the_exit_code(daemon: Daemon) -> None:
    done = daemon.wherry("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")
    assert names(daemon) == []


@pytest.mark.parametrize(("command", "code"), [("/nope", 127), ("nope", 127), ("/tmp", 126)])
def test_run_of_what_cannot_run(daemon: Daemon, command: str, code: int) -> None:
    done = daemon.wherry("run", "--rm", "busybox", command, check=False)
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("wherry: Error response from daemon: ") and "Traceback" not in done.stderr


def test_input_ends_when_it_is_closed_and_all_output_comes(daemon: Daemon) -> None:
    text = "0123456789abcdef" * 100_000
    done = daemon.wherry("run", "-i", "--rm", "busybox", "cat", input=text)
    assert done.stdout == text
    daemon.wherry("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    assert daemon.wherry("exec", "-i", "box", "wc", "-c", input=text).stdout.strip() == str(len(text))


def test_a_detached_container_through_its_life(daemon: Daemon) -> None:
    identity = daemon.wherry(
        "run", "-d", "--name", "box", "-l", "a=b", "busybox", "sh", "-c", "echo hi; sleep 1000"
    ).stdout.strip()
    assert len(identity) == 64
    assert daemon.wherry("ps", "-q", "--no-trunc", "--filter", "label=a=b").stdout.strip() == identity
    done = daemon.wherry(
        "exec", "-e", "A=1", "-w", "/tmp", "box", "sh", "-c", "echo $A $PWD; exit 3", check=False
    )
    assert (done.returncode, done.stdout) == (3, "1 /tmp\n")
    assert daemon.wherry("logs", "box").stdout == "hi\n"
    assert daemon.wherry("inspect", "-f", "{{.State.Status}} {{.Name}}", "box").stdout == "running /box\n"
    assert daemon.wherry("rename", "box", "other").stdout == ""
    assert daemon.wherry("stop", "-t", "0", "other").stdout == "other\n"
    assert daemon.wherry("wait", "other").stdout == "137\n"
    assert daemon.wherry("start", "other").stdout == "other\n"
    assert daemon.wherry("kill", "-s", "KILL", "other").stdout == "other\n"
    refused = daemon.wherry("exec", "other", "true", check=False)
    assert refused.returncode == 1 and "is not running" in refused.stderr
    assert daemon.wherry("rm", "other").stdout == "other\n"


def test_the_id_goes_to_the_file_once(daemon: Daemon, tmp_path: object) -> None:
    path = f"{tmp_path}/cid"
    daemon.wherry("run", "-d", "--cidfile", path, "busybox", "true")
    with open(path) as file:
        assert len(file.read()) == 64
    again = daemon.wherry("run", "-d", "--cidfile", path, "busybox", "true", check=False)
    assert again.returncode == 125 and "container ID file found" in again.stderr


def test_signals_go_to_the_container(daemon: Daemon) -> None:
    script = "trap 'echo got; exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    process = start(daemon, "run", "--rm", "busybox", "sh", "-c", script)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=20)[0] == "got\n"
    assert process.returncode == 9


def test_logs_follow_to_the_end(daemon: Daemon) -> None:
    daemon.wherry(
        "run", "-d", "--name", "box", "busybox", "sh", "-c", "for n in 1 2 3; do echo $n; sleep 0.2; done"
    )
    assert daemon.wherry("logs", "-f", "box").stdout == "1\n2\n3\n"
    assert daemon.wherry("logs", "-n", "1", "box").stdout == "3\n"
    stamped = daemon.wherry("logs", "-t", "-n", "1", "box").stdout
    assert stamped.endswith("Z 3\n") and len(stamped) == 33


def test_a_terminal_has_the_size_of_the_users(daemon: Daemon) -> None:
    with in_terminal(daemon, "run", "-it", "--rm", "busybox", "sh") as screen:
        screen.expect(PROMPT)
        screen.send("stty size\r")
        screen.expect("30 100")
        screen.resize(40, 120)
        screen.send("sleep 0.3; stty size\r")
        screen.expect("40 120")
        screen.send("exit 5\r")
        assert screen.wait() == 5


def test_detach_and_attach(daemon: Daemon) -> None:
    with in_terminal(daemon, "run", "-it", "--name", "box", "busybox", "sh") as screen:
        screen.expect(PROMPT)
        screen.send("\x10\x11")
        assert screen.wait() == 0
    with in_terminal(daemon, "attach", "--detach-keys", "ctrl-a,b", "box") as screen:
        screen.send("echo so$((1+1))\r")
        screen.expect("so2")
        screen.send("\x01b")
        assert screen.wait() == 1
        assert "read escape sequence" in screen.seen
    with in_terminal(daemon, "attach", "box") as screen:
        screen.send("exit 4\r")
        assert screen.wait() == 4
    with in_terminal(daemon, "start", "-ai", "box") as screen:
        screen.expect(PROMPT)
        screen.send("exit 6\r")
        assert screen.wait() == 6


def test_exec_in_a_terminal(daemon: Daemon) -> None:
    daemon.wherry("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    with in_terminal(daemon, "exec", "-it", "box", "sh") as screen:
        screen.expect(PROMPT)
        screen.send("tty; stty size\r")
        screen.expect(r"/dev/pts/\d+\s+30 100")
        screen.send("exit 3\r")
        assert screen.wait() == 3


def test_the_terminal_is_as_before_when_the_client_is_ended(daemon: Daemon) -> None:
    script = "stty -g >/tmp/before.$$; {run}; stty -g >/tmp/after.$$; cmp /tmp/before.$$ /tmp/after.$$ && echo sa''me; rm -f /tmp/*.$$"  # noqa: E501
    run = " ".join(
        f"'{word}'" for word in daemon.wherry_argv("run", "-it", "--sig-proxy=false", "busybox", "sh")
    )
    with Terminal(["sh", "-c", script.replace("{run}", run)], daemon.client_environment()) as screen:
        screen.expect(PROMPT)
        children = subprocess.run(
            ["pgrep", "-P", str(screen.pid)], capture_output=True, text=True, check=True
        )
        os.kill(int(children.stdout.split()[0]), signal.SIGTERM)
        screen.expect("same")


def test_images(daemon: Daemon, busybox_archive: bytes, busybox_tar: bytes, tmp_path: object) -> None:
    archive, root = f"{tmp_path}/a.tar", f"{tmp_path}/root.tar"
    for path, data in ((archive, busybox_archive), (root, busybox_tar)):
        with open(path, "wb") as file:
            file.write(data)
    assert daemon.wherry("load", "-i", archive).stdout == "Loaded image: busybox:latest\n"
    identity = daemon.wherry("import", "-c", 'CMD ["echo", "imported"]', root, "imp:1").stdout.strip()
    assert identity.startswith("sha256:")
    assert daemon.wherry("run", "--rm", "imp:1").stdout == "imported\n"
    assert daemon.wherry("rmi", "-f", "imp:0").returncode == 0
    assert daemon.wherry("rmi", "-f", "Not a name", "imp:0", check=False).returncode == 1
    daemon.wherry("tag", "imp:1", "imp:2")
    listed = daemon.wherry("images", "imp", "--format", "{{.Repository}}:{{.Tag}}").stdout.split()
    assert sorted(listed) == ["imp:1", "imp:2"]
    assert daemon.wherry("history", "-q", "--no-trunc", "imp:1").stdout.split()[0] == identity
    assert "Untagged: imp:1" in daemon.wherry("rmi", "imp:1").stdout
    assert f"Deleted: {identity}" in daemon.wherry("rmi", "imp:2").stdout
    missing = daemon.wherry("rmi", "imp:2", check=False)
    assert missing.returncode == 1 and "No such image: imp:2" in missing.stderr


def test_events(daemon: Daemon) -> None:
    since = str(time.time())
    daemon.wherry("run", "--rm", "--name", "box", "busybox", "true")
    said = daemon.wherry("events", "--since", since, "--until", str(time.time()), "--filter", "type=container",
                         "--format", "{{.Action}} {{.Actor.Attributes.name}}").stdout  # fmt: skip
    actions = [line.split()[0] for line in said.splitlines()]
    assert [a for a in actions if a in ("create", "start", "die", "destroy")] == [
        "create",
        "start",
        "die",
        "destroy",
    ]
    assert all(line.endswith(" box") for line in said.splitlines())


@pytest.mark.parametrize("line", ["top box", "top box -o pid,comm", "container top box -eo comm,pid"])
def test_top_is_as_dockers(daemon: Daemon, docker_cli: str, line: str) -> None:
    daemon.wherry("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    said = daemon.wherry(*line.split()).stdout
    assert "sleep" in said and said == daemon.docker(*line.split()).stdout


@pytest.mark.parametrize("content", [b"", b"hello\n", b"no archive at all " * 200, b"\x7fELF" * 500])
@pytest.mark.parametrize("verb", ["load -i", "import"])
def test_what_is_no_archive_is_called_so(daemon: Daemon, verb: str, content: bytes, tmp_path: object) -> None:
    if (verb, content) == ("import", b""):
        return  # an image without files, as with docker
    path = f"{tmp_path}/file"
    with open(path, "wb") as file:
        file.write(content)
    done = daemon.wherry(*verb.split(), path, check=False)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    expected = "this is not a tar archive" if content else "archive"
    assert expected in done.stderr, done.stderr


@pytest.mark.parametrize(
    "line",
    ["ps -a --no-trunc", "images --no-trunc", "inspect box", "inspect busybox", "port box", "logs box"],
)
def test_shows_what_docker_shows(daemon: Daemon, docker_cli: str, line: str) -> None:
    daemon.wherry("create", "--name", "box", "-l", "a=b", "busybox", "sh", "-c", "echo 'x'")
    assert daemon.wherry(*line.split()).stdout == daemon.docker(*line.split()).stdout


# What docker's command line prints and answers, asked of the same engine.
FAILURES = """
run --rm --cidfile /nosuch/x busybox true
create --cidfile /nosuch/x busybox
run -d --name taken busybox nosuch
run --rm busybox nosuch
run --rm busybox /tmp
run --rm busybox sh -c 'exit 7'
run --rm -u nosuch busybox true
run --rm --network nosuch busybox true
run --rm --log-driver nope busybox true
run --rm --pull never nosuch
run --rm -m 1k busybox true
exec box nosuch
exec box /tmp
exec box sh -c 'exit 3'
exec -u nosuch box true
exec -w /nosuch box true
exec nosuch true
logs --since foo box
logs --tail x box
events --since foo
events --filter foo=x --since 1h --until 1s
ps --filter status=nope
images --filter foo=x
inspect nosuch
inspect --type image box
stop -t x box
kill -s FOO box
rm box
rmi nosuch
tag busybox A
rename box ''
port box 99
wait nosuch
start nosuch
attach nosuch
top nosuch
load -i /nosuch
load -i /etc/passwd
import - A:b
pull A
version --format {{.Server.Os}}
""".strip().splitlines()


@pytest.mark.parametrize("line", FAILURES)
def test_answers_as_docker_does(daemon: Daemon, docker_cli: str, line: str) -> None:
    def answer(client: Callable[..., Finished]) -> tuple[int, str, int]:
        daemon.remove_containers()
        daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "1000")
        done = client(*shlex.split(line), check=False)
        first = (done.stderr.splitlines() or [""])[0].removeprefix("docker: ").removeprefix("wherry: ")
        return done.returncode, first.replace("docker", "wherry"), len(done.stdout)

    assert answer(daemon.wherry) == answer(daemon.docker)


def test_an_id_that_cannot_be_kept_is_no_containers(daemon: Daemon, tmp_path: Path) -> None:
    for verb in (["create"], ["run", "-d"], ["run", "--rm"]):
        refused = daemon.wherry(*verb, "--cidfile", f"{tmp_path}/no/id", "busybox", "true", check=False)
        assert "failed to create the container ID file" in refused.stderr
        failed = daemon.wherry(*verb, "--cidfile", f"{tmp_path}/id", "nosuch:latest", check=False)
        assert failed.returncode != 0 and not (tmp_path / "id").exists()
    assert names(daemon) == []


def test_an_id_that_cannot_be_written_is_told(daemon: Daemon, tmp_path: Path) -> None:
    path = f"{tmp_path}/id"
    limited = "ulimit -f 0; exec " + shlex.join(daemon.wherry_argv("create", "--cidfile", path, "busybox"))
    done = daemon.run_in_ns(["sh", "-c", limited], env=daemon.client_environment(), check=False)
    assert f"failed to write the container ID to the file: write {path}: file too large" in done.stderr
    assert done.returncode == 1 and not Path(path).exists()


def test_version_tells_what_the_engine_runs_on(daemon: Daemon) -> None:
    said = daemon.wherry("version").stdout
    assert re.search(r"^  Python version: +3\.\d+\.\d+$", said, re.MULTILINE) and "Go version" not in said
