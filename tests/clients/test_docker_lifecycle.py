"""What docker's command line does with containers that exist: ps, logs, exec, stop, kill, restart, wait, events, rm."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pytest

from tests.harness.daemon import Daemon
from tests.harness.waiting import eventually
from wherry.runtime import cgroups

pytestmark = pytest.mark.usefixtures("docker_cli")

POLITE = "trap 'echo bye; exit 4' TERM; echo up; while :; do sleep 0.05; done"


def out(daemon: Daemon, *arguments: str) -> str:
    return daemon.docker(*arguments).stdout.strip()


def status(daemon: Daemon, name: str) -> str:
    return str(daemon.inspect(name)["State"]["Status"])


def wait_for_log(daemon: Daemon, name: str, text: str) -> None:
    assert eventually(lambda: text in daemon.docker("logs", name).stdout), f"not in the log of {name}"


@contextmanager
def following(daemon: Daemon, *arguments: str) -> Iterator[IO[str]]:
    """A docker command that goes on, and its output."""
    process = subprocess.Popen(
        daemon.docker_argv(*arguments), env=daemon.client_environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_create_start_and_wait(daemon: Daemon) -> None:
    daemon.docker("create", "--name", "c1", "busybox", "sh", "-c", "exit 6")
    assert status(daemon, "c1") == "created"
    assert out(daemon, "start", "c1") == "c1"
    assert out(daemon, "wait", "c1") == "6"
    assert status(daemon, "c1") == "exited"


def test_start_attached_gives_output_and_exit_code(daemon: Daemon) -> None:
    daemon.docker("create", "--name", "c1", "busybox", "sh", "-c", "echo hello; exit 6")
    for _ in range(2):
        done = daemon.docker("start", "-a", "c1", check=False)
        assert (done.stdout, done.returncode) == ("hello\n", 6)


def test_ps_columns_and_filters(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "runs", "-l", "kind=a", "busybox", "sleep", "1000")
    daemon.docker("run", "--name", "ended", "-l", "kind=b", "busybox", "sh", "-c", "exit 3", check=False)
    daemon.docker("create", "--name", "made", "busybox")

    def names(*filters: str) -> list[str]:
        options = [word for f in filters for word in ("--filter", f)]
        return out(daemon, "ps", "-a", *options, "--format", "{{.Names}}").split()

    assert names() == ["made", "ended", "runs"]
    assert names("status=running") == ["runs"]
    assert names("status=exited", "status=created") == ["made", "ended"]
    assert names("label=kind") == ["ended", "runs"]
    assert names("label=kind=b") == ["ended"]
    assert names("name=run") == ["runs"]
    assert names("exited=3") == ["ended"]
    assert names("ancestor=busybox") == ["made", "ended", "runs"]
    assert names("since=runs") == ["made", "ended"]
    assert names("before=ended") == ["runs"]
    assert out(daemon, "ps", "--format", "{{.Names}}") == "runs"
    assert out(daemon, "ps", "-a", "-n", "1", "--format", "{{.Names}}") == "made"
    table = out(daemon, "ps", "-a")
    assert re.search(r'"sleep 1000"\s+.*Up (Less than a|\d+) second', table)
    assert "Exited (3)" in table and "Created" in table


def test_ids_may_be_shortened_until_they_are_ambiguous(daemon: Daemon) -> None:
    full = out(daemon, "run", "-d", "busybox", "sleep", "1000")
    assert out(daemon, "inspect", "-f", "{{.Id}}", full[:6]) == full
    done = daemon.docker("inspect", "no-such", check=False)
    assert done.returncode == 1 and "No such object: no-such" in done.stderr


def test_inspect_reports_what_was_asked(daemon: Daemon) -> None:
    daemon.docker(
        "create", "--name", "c1", "-m", "100m", "--cpus", "1.5", "-e", "A=b", "-p", "127.0.0.1:0:80", "-h", "box",
        "--restart", "no", "--stop-signal", "USR1", "busybox", "sleep", "1",
    )  # fmt: skip
    info = json.loads(out(daemon, "inspect", "c1"))[0]
    assert info["Name"] == "/c1" and info["Path"] == "sleep" and info["Args"] == ["1"]
    assert info["HostConfig"]["Memory"] == 100 << 20 and info["HostConfig"]["NanoCpus"] == 1_500_000_000
    assert "A=b" in info["Config"]["Env"] and info["Config"]["Hostname"] == "box"
    assert info["Config"]["StopSignal"] == "USR1" and info["Config"]["Image"] == "busybox"
    assert info["State"]["Status"] == "created" and info["State"]["StartedAt"] == "0001-01-01T00:00:00Z"
    assert info["HostConfig"]["PortBindings"] == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "0"}]}


def test_logs_tail_since_and_timestamps(daemon: Daemon) -> None:
    daemon.docker(
        "run", "--name", "c1", "busybox", "sh", "-c", "echo 1; echo 2; sleep 1.1; echo 3; echo 4 >&2"
    )
    done = daemon.docker("logs", "c1")
    assert (done.stdout, done.stderr) == ("1\n2\n3\n", "4\n")
    assert out(daemon, "logs", "--tail", "2", "c1") == "3"
    stamped = daemon.docker("logs", "-t", "c1").stdout.splitlines()
    stamp, text = stamped[2].split(" ")
    assert text == "3" and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", stamp)
    assert out(daemon, "logs", "--since", stamp, "c1") == "3"
    assert out(daemon, "logs", "--until", stamped[1].split(" ")[0], "c1") in ("1", "1\n2")


def test_logs_follow_until_the_end(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "c1", "busybox", "sh", "-c", "echo 1; sleep 0.7; echo 2; sleep 0.3")
    begin = time.monotonic()
    assert out(daemon, "logs", "-f", "c1") == "1\n2"
    assert time.monotonic() - begin > 0.5


def test_logs_follow_brings_lines_at_once(daemon: Daemon) -> None:
    script = "while read line; do echo got $line; done"
    daemon.docker("run", "-di", "--name", "c1", "busybox", "sh", "-c", script)
    with following(daemon, "logs", "-f", "c1") as lines:
        writer = subprocess.Popen(
            daemon.docker_argv("attach", "--no-stdin=false", "c1"), env=daemon.client_environment(),
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert writer.stdin is not None
        try:
            for n in range(3):
                writer.stdin.write(f"{n}\n")
                writer.stdin.flush()
                assert lines.readline() == f"got {n}\n"
        finally:
            writer.kill()
            writer.communicate()


def test_stop_lets_the_process_end_well(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "c1", "busybox", "sh", "-c", POLITE)
    wait_for_log(daemon, "c1", "up")
    assert out(daemon, "stop", "c1") == "c1"
    assert daemon.inspect("c1")["State"]["ExitCode"] == 4
    assert out(daemon, "logs", "c1") == "up\nbye"


def test_stop_kills_what_does_not_listen(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "c1", "busybox", "sleep", "1000")
    begin = time.monotonic()
    daemon.docker("stop", "-t", "1", "c1")
    assert 0.9 < time.monotonic() - begin < 4
    assert daemon.inspect("c1")["State"]["ExitCode"] == 137


def test_stop_uses_the_signal_that_was_asked_for(daemon: Daemon) -> None:
    script = "trap 'exit 9' USR1; echo up; while :; do sleep 0.05; done"
    daemon.docker("run", "-d", "--name", "c1", "--stop-signal", "SIGUSR1", "busybox", "sh", "-c", script)
    wait_for_log(daemon, "c1", "up")
    daemon.docker("stop", "c1")
    assert daemon.inspect("c1")["State"]["ExitCode"] == 9


def test_kill(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "c1", "busybox", "sleep", "1000")
    assert out(daemon, "kill", "c1") == "c1"
    assert out(daemon, "wait", "c1") == "137"
    done = daemon.docker("kill", "c1", check=False)
    assert done.returncode == 1 and "is not running" in done.stderr
    daemon.docker("start", "c1")
    done = daemon.docker("kill", "-s", "NONSENSE", "c1", check=False)
    assert done.returncode == 1 and "invalid signal: NONSENSE" in done.stderr


def test_restart(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "c1", "busybox", "sh", "-c", POLITE)
    wait_for_log(daemon, "c1", "up")
    pid = daemon.inspect("c1")["State"]["Pid"]
    daemon.docker("restart", "c1")
    after = daemon.inspect("c1")["State"]
    assert after["Running"] is True and after["Pid"] != pid
    daemon.docker("restart", "-t", "0", "c1")


def test_what_a_container_wrote_is_there_after_a_restart(daemon: Daemon) -> None:
    daemon.docker("run", "--name", "c1", "busybox", "sh", "-c", "cat /kept 2>/dev/null; echo data > /kept")
    assert out(daemon, "start", "-a", "c1") == "data"


def test_exec(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "c1", "-e", "A=1", "-w", "/tmp", "busybox", "sleep", "1000")
    assert out(daemon, "exec", "c1", "sh", "-c", "echo $A; pwd; id -u") == "1\n/tmp\n0"
    assert out(
        daemon, "exec", "-e", "B=2", "-w", "/etc", "-u", "user", "c1", "sh", "-c", "echo $A$B; pwd; id -u"
    ) == ("12\n/etc\n1000")
    done = daemon.docker("exec", "c1", "sh", "-c", "echo o; echo e >&2; exit 5", check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("o\n", "e\n", 5)
    assert daemon.docker("exec", "-i", "c1", "cat", input="typed").stdout == "typed"


def test_exec_exit_codes(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "c1", "busybox", "sleep", "1000")
    codes = [
        daemon.docker("exec", "c1", *command, check=False).returncode
        for command in (["no-such-program"], ["/etc/passwd"], ["sh", "-c", "kill -9 $$"])
    ]
    assert codes == [127, 126, 137]
    daemon.docker("kill", "c1")
    done = daemon.docker("exec", "c1", "true", check=False)
    assert done.returncode == 1 and "is not running" in done.stderr


def test_detached_exec_goes_on(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "c1", "busybox", "sleep", "1000")
    daemon.docker("exec", "-d", "c1", "sh", "-c", "sleep 0.2; echo done > /tmp/flag")
    look = ("exec", "c1", "cat", "/tmp/flag")
    assert eventually(lambda: daemon.docker(*look, check=False).stdout == "done\n")


def test_exec_is_bound_by_the_containers_limits(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "c1", "--cap-drop", "ALL", "busybox", "sleep", "1000")
    grep = ["grep", "-E", "^(CapEff|Seccomp):", "/proc/self/status"]
    assert out(daemon, "exec", "c1", *grep) == "CapEff:\t0000000000000000\nSeccomp:\t2"
    ours = out(daemon, "exec", "c1", "cat", "/proc/self/cgroup")
    assert ours == out(daemon, "exec", "c1", "cat", "/proc/1/cgroup")


def test_remove(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "c1", "busybox", "sleep", "1000")
    done = daemon.docker("rm", "c1", check=False)
    assert (
        done.returncode == 1
        and "container is running: stop the container before removing or force remove" in (done.stderr)
    )
    assert out(daemon, "rm", "-f", "c1") == "c1"
    assert out(daemon, "ps", "-aq") == ""
    daemon.docker("run", "--name", "c1", "busybox", "true")


def test_events(daemon: Daemon) -> None:
    since = str(time.time())
    daemon.docker("run", "--rm", "--name", "c1", "-l", "tag=x", "busybox", "sh", "-c", "exit 2", check=False)
    until = str(time.time() + 0.2)
    lines = out(daemon, "events", "--since", since, "--until", until, "--format", "{{json .}}").splitlines()
    events = [json.loads(line) for line in lines]
    actions = [e["Action"] for e in events if e["Type"] == "container"]
    assert actions == ["create", "attach", "start", "die", "destroy"]
    assert [e["Action"] for e in events if e["Type"] == "network"] == ["connect", "disconnect"]
    died = next(e for e in events if e["Action"] == "die")
    attributes = died["Actor"]["Attributes"]
    assert (attributes["exitCode"], attributes["name"], attributes["tag"]) == ("2", "c1", "x")
    only = out(
        daemon,
        "events",
        "--since",
        since,
        "--until",
        until,
        "--filter",
        "event=die",
        "--format",
        "{{.Action}}",
    )
    assert only == "die"


def test_events_arrive_as_they_happen(daemon: Daemon) -> None:
    with following(daemon, "events", "--filter", "type=container", "--format", "{{.Action}}") as lines:
        time.sleep(0.3)
        daemon.docker("run", "-d", "--name", "c1", "busybox", "sleep", "1000")
        assert [lines.readline().strip() for _ in range(2)] == ["create", "start"]
        daemon.docker("kill", "c1")
        assert [lines.readline().strip() for _ in range(2)] == ["kill", "die"]


def test_wait_for_a_container_that_is_removed(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "c1", "busybox", "sh", "-c", "sleep 0.4; exit 8")
    assert out(daemon, "wait", "c1") == "8"


def test_slow_reader_holds_nobody_up(daemon: Daemon) -> None:
    script = "yes 0123456789012345678901234567890123456789 | head -n 1000000; echo end"
    daemon.docker("create", "--name", "c1", "busybox", "sh", "-c", script)
    with following(daemon, "start", "-a", "c1") as lines:
        assert lines.readline().startswith("0123")
        begin = time.monotonic()
        daemon.docker("run", "--rm", "busybox", "true")
        assert time.monotonic() - begin < 3
        with following(daemon, "logs", "-f", "c1") as other:
            assert other.readline().startswith("0123")


HOG = "x=$(head -c 100000000 /dev/zero | tr '\\0' a); echo ${#x}"


@pytest.mark.skipif(cgroups.detect().version == 2, reason="version 2 has no --oom-kill-disable")
def test_running_out_of_memory_is_told_where_nobody_is_killed(daemon: Daemon) -> None:
    limits = ("-m", "16m", "--memory-swap", "16m", "--oom-kill-disable")
    daemon.docker("run", "-d", "--name", "hog", *limits, "busybox", "sh", "-c", HOG)
    daemon.docker("run", "-d", "--name", "modest", *limits, "busybox", "true")
    assert eventually(lambda: daemon.inspect("hog")["State"]["OOMKilled"])
    assert daemon.inspect("hog")["State"]["Running"]
    daemon.restart()
    assert eventually(lambda: daemon.inspect("hog")["State"]["OOMKilled"])
    daemon.docker("kill", "hog")
    assert daemon.inspect("hog")["State"]["OOMKilled"]
    assert not daemon.inspect("modest")["State"]["OOMKilled"]
    daemon.docker("start", "modest")
    assert not daemon.inspect("modest")["State"]["OOMKilled"]


@pytest.mark.skipif(cgroups.detect().version == 2, reason="version 2 has no --oom-kill-disable")
def test_running_out_of_memory_is_one_event(daemon: Daemon) -> None:
    since = str(int(time.time()))
    limits = ("-m", "16m", "--memory-swap", "16m", "--oom-kill-disable")
    daemon.docker("run", "-d", "--name", "glutton", *limits, "busybox", "sh", "-c", HOG)
    assert eventually(lambda: daemon.inspect("glutton")["State"]["OOMKilled"])
    daemon.docker("kill", "glutton")
    period = ("--since", since, "--until", str(int(time.time()) + 1))
    only = ("--filter", "event=oom", "--filter", "container=glutton")
    assert daemon.docker("events", *period, *only, "--format", "{{.Action}}").stdout == "oom\n"


def test_a_restart_that_fails_says_so(daemon: Daemon) -> None:
    daemon.docker("create", "--name", "c1", "busybox", "nosuch")
    failed = daemon.docker("restart", "c1", check=False)
    assert failed.returncode == 1
    assert "Cannot restart container c1: " in failed.stderr and "executable file not found" in failed.stderr
