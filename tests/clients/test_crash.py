"""SIGKILL of the daemon at any time: what was acknowledged stays so, containers go on, and nothing leaks."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.harness.daemon import Answer, Daemon
from tests.harness.waiting import eventually

COUNTER = "n=0; while :; do n=$((n+1)); echo $n; sleep 0.05; done"
WEB = "echo here >/tmp/index.html; exec httpd -f -p 80 -h /tmp"
NETWORKS: tuple[dict[str, Any], ...] = (
    {"NetworkMode": "none"},
    {"NetworkMode": "bridge"},
    {"NetworkMode": "bridge", "PortBindings": {"80/tcp": [{"HostPort": ""}]}},
)


class Killed(Exception):
    """The daemon went away in mid request, so nobody knows how it ended."""


@dataclass
class Ledger:
    """What the daemon has acknowledged, by container id."""

    created: set[str] = field(default_factory=set)
    started: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)


class Worker(threading.Thread):
    """A client that makes, runs, stops and removes containers until the daemon dies."""

    def __init__(self, daemon: Daemon, ledger: Ledger, seed: int) -> None:
        super().__init__(daemon=True)
        self._daemon, self._ledger, self._random = daemon, ledger, random.Random(seed)
        self.faults: list[str] = []

    def run(self) -> None:
        try:
            while True:
                self.one_container()
        except Killed:
            pass
        except Exception as error:
            self.faults.append(repr(error))

    def call(self, method: str, path: str, body: object = None) -> Answer:
        try:
            return self._daemon.api(method, path, body, timeout=20)
        except (OSError, http.client.HTTPException) as error:
            raise Killed from error

    def acknowledged(self, container: str, book: set[str], method: str, path: str) -> None:
        """Do it, and enter it in the book once it is acknowledged; in doubt in between."""
        self._ledger.unsure.add(container)
        answer = self.call(method, path)
        if answer.status not in (204, 304):
            raise AssertionError(f"{method} {path}: {answer}")
        book.add(container)
        self._ledger.unsure.discard(container)

    def one_container(self) -> None:
        command = self._random.choice([["true"], ["sleep", "1000"], ["sh", "-c", "sleep 0.1; exit 3"]])
        body = {
            "Image": "busybox", "Cmd": command, "ExposedPorts": {"80/tcp": {}},
            "HostConfig": self._random.choice(NETWORKS),
        }  # fmt: skip
        made = self.call("POST", "/containers/create", body)
        if made.status != 201:
            raise AssertionError(f"create: {made}")
        container = made.body["Id"]
        self._ledger.created.add(container)
        self.acknowledged(container, self._ledger.started, "POST", f"/containers/{container}/start")
        if self._random.random() < 0.5:
            self.acknowledged(container, self._ledger.started, "POST", f"/containers/{container}/stop?t=0")
        if self._random.random() < 0.7:
            self.acknowledged(container, self._ledger.removed, "DELETE", f"/containers/{container}?force=1")


def start(daemon: Daemon, name: str, script: str, **host: object) -> str:
    daemon.api("POST", f"/containers/create?name={name}", {"Image": "busybox", "Cmd": ["sh", "-c", script],
               "ExposedPorts": {"80/tcp": {}}, "HostConfig": host})  # fmt: skip
    assert daemon.api("POST", f"/containers/{name}/start").status == 204
    return name


def check(daemon: Daemon, ledger: Ledger) -> None:
    """The restarted daemon knows all that the killed one had acknowledged."""
    states = {c["Id"]: c["State"] for c in daemon.api("GET", "/containers/json?all=1").body}
    sure = ledger.created - ledger.unsure
    lost = [c for c in sure - ledger.removed if c not in states]
    back = [c for c in ledger.removed if c in states]
    assert not lost, f"acknowledged but lost: {lost}"
    assert not back, f"removed but here again: {[(c, states[c]) for c in back]}"
    unstarted = [c for c in sure & ledger.started - ledger.removed if states[c] == "created"]
    assert not unstarted, f"started but taken for created: {unstarted}"


def crash(daemon: Daemon, seed: int) -> None:
    """One round: clients at work, SIGKILL at a random time, a new daemon, everything still right."""
    ledger = Ledger()
    workers = [Worker(daemon, ledger, seed * 10 + n) for n in range(3)]
    for worker in workers:
        worker.start()
    time.sleep(random.Random(seed).uniform(0.005, 0.4))
    daemon.kill9()
    for worker in workers:
        worker.join(timeout=30)
    faults = [fault for worker in workers for fault in worker.faults]
    assert not faults, faults
    daemon.start()
    check(daemon, ledger)
    for container in daemon.api("GET", "/containers/json?all=1").body:
        if not container["Names"][0].startswith("/steady"):
            path = f"/containers/{container['Id']}?force=1"
            assert daemon.api("DELETE", path).status in (204, 404), container


def counted(daemon: Daemon, name: str) -> list[int]:
    return [int(line) for line in daemon.docker("logs", name).stdout.split()]


@pytest.mark.slow
def test_killed_many_times_at_random_points(fresh_daemon: Callable[..., Daemon]) -> None:
    daemon = fresh_daemon()
    start(daemon, "steady-counter", COUNTER)
    start(daemon, "steady-web", WEB, PortBindings={"80/tcp": [{"HostPort": "8080"}]})
    pid = daemon.inspect("steady-counter")["State"]["Pid"]
    for seed in range(30):
        crash(daemon, seed)
        assert daemon.inspect("steady-counter")["State"]["Pid"] == pid
        assert daemon.run_in_ns("curl -sSf -m 5 http://127.0.0.1:8080/").stdout == "here\n"
    numbers = counted(daemon, "steady-counter")
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) > 100
    daemon.remove_containers()
    assert daemon.stop() == 0
    assert daemon.leaks() == []


def test_containers_go_on_while_there_is_no_daemon(fresh_daemon: Callable[..., Daemon]) -> None:
    daemon = fresh_daemon()
    start(daemon, "counter", COUNTER)
    start(daemon, "ends", "sleep 0.5; exit 7")
    pid = daemon.inspect("counter")["State"]["Pid"]
    daemon.kill9()
    time.sleep(1.2)
    daemon.start()
    ended = daemon.inspect("ends")["State"]
    assert (ended["Status"], ended["ExitCode"]) == ("exited", 7)
    assert ended["FinishedAt"] > ended["StartedAt"]
    assert daemon.inspect("counter")["State"]["Pid"] == pid
    numbers = counted(daemon, "counter")
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) > 15
    before = len(numbers)
    assert eventually(lambda: len(counted(daemon, "counter")) > before)
    assert daemon.docker("stop", "-t", "0", "counter").stdout == "counter\n"
    assert daemon.inspect("counter")["State"]["ExitCode"] == 137


def test_new_daemon_controls_old_containers(fresh_daemon: Callable[..., Daemon]) -> None:
    daemon = fresh_daemon()
    start(daemon, "old", "trap 'exit 5' TERM; while :; do sleep 0.05; done")
    daemon.kill9()
    daemon.start()
    assert daemon.docker("exec", "old", "echo", "still reachable").stdout == "still reachable\n"
    daemon.docker("stop", "old")
    assert daemon.inspect("old")["State"]["ExitCode"] == 5
    daemon.docker("start", "old")
    assert daemon.inspect("old")["State"]["Running"] is True


def test_automatic_removal_is_made_up_for(fresh_daemon: Callable[..., Daemon]) -> None:
    daemon = fresh_daemon()
    start(daemon, "brief", "sleep 0.3", AutoRemove=True)
    daemon.kill9()
    time.sleep(0.6)
    daemon.start()
    assert eventually(lambda: daemon.api("GET", "/containers/json?all=1").body == [])


def test_orderly_stop_leaves_containers_running_too(fresh_daemon: Callable[..., Daemon]) -> None:
    daemon = fresh_daemon()
    start(daemon, "counter", COUNTER)
    pid = daemon.inspect("counter")["State"]["Pid"]
    assert daemon.stop() == 0
    daemon.start()
    assert daemon.inspect("counter")["State"]["Pid"] == pid


def test_nothing_is_left_after_a_plain_day(fresh_daemon: Callable[..., Daemon]) -> None:
    daemon = fresh_daemon()
    start(daemon, "web", WEB, PortBindings={"80/tcp": [{"HostPort": "8080"}]})
    daemon.docker("run", "--rm", "busybox", "true")
    daemon.docker("exec", "web", "true")
    daemon.docker("rm", "-f", "web")
    assert daemon.stop() == 0
    assert daemon.leaks() == []
