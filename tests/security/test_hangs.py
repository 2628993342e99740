"""What a container does hangs neither a client nor the daemon: monitors and joining processes that are stopped or held,
filters that forbid everything. Every verb is answered, in words, and nothing is left."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.harness.daemon import Daemon
from tests.harness.hold import child_stopped, held
from tests.harness.waiting import eventually
from tests.runtime.test_spawner import alive
from tests.security.test_monitor import monitors, name_of

ANSWERED = 45.0  # seconds: a bound against a hang, no more
SLEEPER = ("busybox", "sleep", "600")


@pytest.fixture(autouse=True)
def nothing_is_left(daemon: Daemon) -> Iterator[None]:
    """After each: the containers can be removed, and then there is no process, cgroup or directory of theirs."""
    yield
    daemon.remove_containers()
    assert eventually(lambda: left(daemon) == [], 20), left(daemon)


def left(daemon: Daemon) -> list[str]:
    alive = [f"monitor {pid}" for pid in monitors(daemon)]
    groups = [str(f) for f in daemon.sandbox.cgroups() if len(f.name) == 64]
    return [*alive, *groups, *daemon.directories()]


def run(daemon: Daemon, *arguments: str) -> str:
    return daemon.docker("run", "-d", *arguments, timeout=ANSWERED).stdout.strip()


# ---------------------------------------------------------------- filters


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("SCMP_ACT_ERRNO", "lets the process neither become the command nor say why not"),
        ("SCMP_ACT_TRACE", "lets the process neither become the command nor say why not"),
        ("SCMP_ACT_KILL_PROCESS", "killed the process before it became the command"),
        ("SCMP_ACT_TRAP", "killed the process before it became the command"),
    ],
)
@pytest.mark.parametrize(
    "options", [(), ("--init",), ("--pid", "host"), ("-t",)], ids=lambda o: " ".join(o) or "plain"
)
def test_a_filter_that_forbids_everything(
    daemon: Daemon, tmp_path: Path, action: str, words: str, options: tuple[str, ...]
) -> None:
    profile = tmp_path / "nothing.json"
    profile.write_text(json.dumps({"defaultAction": action}))
    security = ("--security-opt", f"seccomp={profile}")
    done = daemon.docker("run", "--rm", *options, *security, "busybox", check=False, timeout=ANSWERED)
    assert done.returncode == 125 and f"its seccomp filter {words}" in done.stderr


NO_EXIT = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [{"names": ["exit", "exit_group"], "action": "SCMP_ACT_ERRNO"}],
}


def test_a_filter_that_forbids_everything_beside_another_container(daemon: Daemon, tmp_path: Path) -> None:
    """What joins a PID namespace has its filter before it is there, and makes way for another process."""
    target = run(daemon, *SLEEPER)
    for profile, words in (
        ({"defaultAction": "SCMP_ACT_ERRNO"}, "neither become the command nor say why not"),
        ({"defaultAction": "SCMP_ACT_KILL_PROCESS"}, "killed the process before it became the command"),
    ):
        file = tmp_path / "nothing.json"
        file.write_text(json.dumps(profile))
        joins = ("--pid", f"container:{target}", "--security-opt", f"seccomp={file}")
        done = daemon.docker("run", "--rm", *joins, "busybox", "true", check=False, timeout=10)
        assert done.returncode == 125 and words in done.stderr


def test_a_command_enters_where_nothing_may_exit(daemon: Daemon, tmp_path: Path) -> None:
    profile = tmp_path / "no-exit.json"
    profile.write_text(json.dumps(NO_EXIT))
    name = run(daemon, "--security-opt", f"seccomp={profile}", *SLEEPER)
    assert (
        daemon.docker("exec", name, "sh", "-c", "echo on; kill -9 $$", check=False, timeout=10).stdout
        == "on\n"
    )


def test_a_daemon_starts_beside_such_a_container(daemon: Daemon, tmp_path: Path) -> None:
    """One whose program runs, and may not even exit."""
    profile = tmp_path / "no-exit.json"
    profile.write_text(json.dumps(NO_EXIT))
    spins = run(daemon, "--security-opt", f"seccomp={profile}", "busybox", "true")
    daemon.kill9()
    daemon.start()
    daemon.docker("rm", "-f", spins, timeout=ANSWERED)


# ---------------------------------------------------------------- monitors that are stopped


VERBS: dict[str, Callable[[Daemon, str], object]] = {
    "stop": lambda daemon, name: daemon.docker("stop", "-t", "0", name, timeout=ANSWERED),
    "kill": lambda daemon, name: daemon.docker("kill", name, timeout=ANSWERED),
    "rm": lambda daemon, name: daemon.docker("rm", "-f", name, timeout=ANSWERED),
    "restart": lambda daemon, name: daemon.docker("restart", "-t", "0", name, timeout=ANSWERED),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_monitor_that_was_stopped_once(daemon: Daemon, verb: str) -> None:
    """By root in a container that shares the host's PID namespace."""
    name = run(daemon, *SLEEPER)
    (monitor,) = monitors(daemon)
    daemon.docker("run", "--rm", "--pid", "host", "busybox", "kill", "-STOP", str(monitor))
    assert daemon.docker("exec", name, "echo", "on").stdout == "on\n"
    daemon.api("POST", f"/containers/{name}/resize?h=10&w=10", timeout=ANSWERED)
    VERBS[verb](daemon, name)
    if verb == "restart":
        assert daemon.inspect(name)["State"]["Running"]
    elif verb != "rm":
        assert daemon.inspect(name)["State"]["ExitCode"] == 137


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
def test_a_monitor_that_is_held(daemon: Daemon, verb: str) -> None:
    """As a debugger holds it: nothing but SIGKILL gets through. Its client is answered too."""
    name = run(daemon, "-i", *SLEEPER)
    attached = threading.Thread(
        target=lambda: daemon.docker("attach", name, check=False, input="", timeout=3 * ANSWERED)
    )
    (monitor,) = monitors(daemon)
    with held(monitor):
        attached.start()
        VERBS[verb](daemon, name)
        attached.join(ANSWERED)
        assert not attached.is_alive()
    if verb in ("stop", "kill"):
        state = daemon.inspect(name)["State"]
        assert (state["ExitCode"], state["Running"]) == (137, False)
        assert "its monitor did not say how its process has ended" in state["Error"]


@pytest.mark.slow
def test_an_end_of_its_own_while_the_monitor_is_held(daemon: Daemon) -> None:
    """``wait`` and ``--rm`` come to their end, with the code that the kernel has."""
    name = run(daemon, "--rm", "busybox", "sh", "-c", "sleep 1; exit 6")
    (monitor,) = monitors(daemon)
    with held(monitor):
        assert daemon.api("POST", f"/containers/{name}/wait?condition=removed", timeout=ANSWERED).body == {
            "StatusCode": 6
        }


@pytest.mark.slow
def test_an_exec_whose_monitor_is_held(daemon: Daemon) -> None:
    name = run(daemon, *SLEEPER)
    (own,) = monitors(daemon)
    said: list[int] = []
    command = ("exec", name, "sh", "-c", "sleep 3; exit 6")
    client = threading.Thread(
        target=lambda: said.append(daemon.docker(*command, check=False, timeout=60).returncode)
    )
    client.start()
    # Until it runs, there are more processes of that name, and other words that are owed.
    assert eventually(lambda: "sleep 3" in daemon.docker("top", name).stdout)
    (other,) = set(monitors(daemon)) - {own}
    with held(other):
        client.join(ANSWERED)
    assert said == [6]


# ---------------------------------------------------------------- a start that is stopped


@contextmanager
def stopping(find: Callable[[], list[int]]) -> Iterator[None]:
    """A neighbour that stops whatever it finds, as fast as it can."""
    over = threading.Event()

    def stop() -> None:
        while not over.is_set():
            for pid in find():
                try:
                    os.kill(pid, signal.SIGSTOP)
                except ProcessLookupError:
                    continue

    thread = threading.Thread(target=stop)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def spawner(daemon: Daemon) -> int:
    (found,) = [pid for pid in children(daemon.pid) if name_of(pid) == "wherry-spawner"]
    return found


@pytest.mark.slow
def test_what_joins_a_pid_namespace_and_is_stopped_there(daemon: Daemon) -> None:
    """Neighbours stop every process that they do not know, as soon as it appears among them."""
    script = "while :; do for p in /proc/[0-9]*; do p=${p#/proc/}; [ $p -gt 1 ] && kill -STOP $p; done; done"
    target = run(daemon, "busybox", "sh", "-c", script)
    for command in (
        ("exec", target, "true"),
        ("run", "--rm", "--pid", f"container:{target}", "busybox", "true"),
    ):
        client = threading.Thread(target=lambda c=command: daemon.docker(*c, check=False, timeout=100))  # type: ignore[misc]
        client.start()
        time.sleep(1)
        ids = daemon.api("GET", "/containers/json?all=1", timeout=5).body
        assert ids, "the daemon answers others meanwhile"
        daemon.docker("rm", "-f", *(c["Id"] for c in ids if c["Id"] != target), check=False, timeout=ANSWERED)
        if command[0] == "run":
            daemon.docker("rm", "-f", target, timeout=ANSWERED)
            client.join(ANSWERED)
            assert not client.is_alive()


STOPPER = """
while :; do
    for p in /proc/[0-9]*; do p=${p#/proc/}; [ $p = 1 ] || [ $p = $$ ] || kill -STOP $p 2>/dev/null; done
done
"""


@pytest.mark.slow
def test_starts_beside_who_stops_everything(daemon: Daemon) -> None:
    """Each process that comes in may be stopped: the command's, and before it the one that fetches a procfs."""
    target = run(daemon, *SLEEPER)
    run(daemon, "--pid", f"container:{target}", "--cpus", "0.5", "busybox", "sh", "-c", STOPPER)
    for _ in range(6):
        run(daemon, "--pid", f"container:{target}", "busybox", "true")
        made = daemon.api("POST", f"/containers/{target}/exec", {"Cmd": ["true"]}).body["Id"]
        assert daemon.api("POST", f"/exec/{made}/start", {"Detach": True}, timeout=ANSWERED).status == 200


@pytest.mark.slow
def test_starts_while_the_spawner_is_held(daemon: Daemon) -> None:
    name = run(daemon, *SLEEPER)
    first = spawner(daemon)
    with held(first, *(pid for pid in children(first) if name_of(pid) == "wherry-spawner")):
        done = daemon.docker("run", "--rm", "busybox", "true", check=False, timeout=ANSWERED)
        assert done.returncode == 125 and "did not say that the command runs" in done.stderr
        assert daemon.docker("exec", name, "echo", "on", timeout=ANSWERED).stdout == "on\n"


# ---------------------------------------------------------------- programs that the engine asks


@pytest.mark.slow
def test_a_seccomp_worker_that_is_held(fresh_daemon: Callable[..., Daemon], tmp_path: Path) -> None:
    """The start that waits for it is answered, others come to theirs, and the daemon ends when it is told to."""
    daemon = fresh_daemon()
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps(SLOW))
    command = ("run", "--rm", "--security-opt", f"seccomp={profile}", "busybox", "true")
    with daemon.docker_popen(*command) as client, held(worker(daemon)):
        _, complaint = client.communicate(timeout=ANSWERED)
        assert "too much time or memory" in complaint
        profile.write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
        daemon.docker(*command, timeout=ANSWERED)
        assert daemon.stop() == 0


SLOW = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "syscalls": [
        {
            "names": ["read"],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": index, "value": 7 * rule, "op": "SCMP_CMP_GT"} for index in range(6)],
        }
        for rule in range(40)
    ],
}


def worker(daemon: Daemon) -> int:
    """The process that compiles a profile, as soon as there is one."""
    found = eventually(lambda: workers(daemon), ANSWERED)
    assert found, "there is no worker"
    return found[0]


def workers(daemon: Daemon) -> list[int]:
    found = []
    for task in Path(f"/proc/{daemon.pid}/task").iterdir():
        with suppress(OSError):
            for pid in map(int, (task / "children").read_text().split()):
                if b"seccomp_worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
    return found


# ---------------------------------------------------------------- a daemon that starts


@pytest.mark.slow
def test_a_daemon_starts_while_a_monitor_is_held(daemon: Daemon) -> None:
    """The others are taken over; that one's container is ended, and why is told."""
    name, other = run(daemon, *SLEEPER), ""
    (monitor,) = monitors(daemon)
    other = run(daemon, *SLEEPER)
    daemon.kill9()
    with held(monitor):
        daemon.start(wait=False)
        daemon.wait_ready(ANSWERED)
        assert daemon.inspect(other)["State"]["Running"]
        state = daemon.inspect(name)["State"]
        assert not state["Running"] and state["ExitCode"] != 0 and state["Error"]
    assert daemon.docker("start", name, timeout=ANSWERED).returncode == 0


def test_a_daemon_starts_while_a_monitor_is_stopped(daemon: Daemon) -> None:
    name = run(daemon, *SLEEPER)
    daemon.kill9()
    (monitor,) = monitors(daemon)
    os.kill(monitor, signal.SIGSTOP)
    daemon.start()
    assert daemon.inspect(name)["State"]["Running"]


# ---------------------------------------------------------------- what a daemon that is killed leaves stopped


def asked_to_start(daemon: Daemon, names: Sequence[str], seconds: float = 0.5) -> list[threading.Thread]:
    """Clients that have asked for a start and wait for the answer, or for the daemon's end."""

    def ask(name: str) -> None:
        with suppress(OSError, HTTPException):
            daemon.api("POST", f"/containers/{name}/start")

    clients = [threading.Thread(target=ask, args=(name,)) for name in names]
    for client in clients:
        client.start()
    time.sleep(seconds)
    return clients


def test_starts_in_a_stopped_spawner_end_with_their_daemon(daemon: Daemon) -> None:
    """It would carry them out when it goes on, beside what the next daemon has started or removed."""
    run(daemon, "--name", "warm", *SLEEPER)
    names = ["one", "two", "three"]
    script = f"echo >>{daemon.base}/$0; sleep 600"
    for name in names:
        bind = ("-v", f"{daemon.base}:{daemon.base}")
        daemon.docker("create", "--name", name, *bind, "busybox", "sh", "-c", script, name)
    first = spawner(daemon)
    stopped = [first, *(pid for pid in children(first) if name_of(pid) == "wherry-spawner")]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    with held(*stopped):  # against the daemon, which looks twice a second and would let them go on
        clients = asked_to_start(daemon, names)
        daemon.kill9()
    daemon.start()
    for client in clients:
        client.join()
    assert eventually(lambda: not any(map(alive, stopped)))
    assert [daemon.inspect(name)["State"]["Status"] for name in names] == ["created"] * 3
    daemon.docker("start", "one", timeout=ANSWERED)
    daemon.docker("rm", "two")
    assert eventually((daemon.base / "one").exists)
    assert (daemon.base / "one").read_text() == "\n"
    assert not (daemon.base / "two").exists() and not (daemon.base / "three").exists()
    assert len(monitors(daemon)) == 2


def test_one_that_is_stopped_at_its_birth_ends_with_their_daemon(daemon: Daemon) -> None:
    """Before it could say by which death it wants to die, with what waits in the socket that it has from its parent."""
    run(daemon, *SLEEPER)
    name = daemon.docker("create", *SLEEPER).stdout.strip()
    first = spawner(daemon)
    # That one takes the next plan:
    assert eventually(lambda: "wherry-spawner" in map(name_of, children(first)))
    with child_stopped(first) as child:
        run(daemon, *SLEEPER)
        stopped = child()
    clients = asked_to_start(daemon, [name])
    daemon.kill9()
    daemon.start()
    for client in clients:
        client.join()
    assert eventually(lambda: not alive(stopped)), Path(f"/proc/{stopped}/status").read_text()[:100]
    assert "is not taken over: connection refused" in daemon.log_tail(5)  # and nobody waited for it
    assert daemon.inspect(name)["State"]["Status"] == "created"


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "begun"])
def test_what_dies_with_its_daemon_leaves_no_cgroup(daemon: Daemon, whole: bool) -> None:
    """Below a parent of its own, where nothing is swept; also where the journal came to no plan."""
    parent = f"{daemon.sandbox.cgroup_parent}/own"
    name = run(daemon, "--cgroup-parent", parent, *SLEEPER)
    folders = [folder for folder in daemon.sandbox.cgroups() if folder.name == name]
    assert folders
    (monitor,) = monitors(daemon)
    daemon.kill9()
    os.kill(monitor, signal.SIGKILL)
    if not whole:
        journal = daemon.sandbox.outside(daemon.exec_root / "containers" / name / "launch.json")
        steps = json.loads(journal.read_text())["preparation"]
        journal.write_text(json.dumps({"preparation": steps}))
    daemon.start()
    assert [folder for folder in folders if folder.exists()] == []
