"""Cases of two things at once that went wrong before; ``tests/engine/histories`` looks for others."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.harness.daemon import Answer, Daemon, UnixConnection

LONG = ["sleep", "1000"]


def start(daemon: Daemon, name: str, command: list[str], **host: object) -> None:
    create(daemon, name, command, **host)
    assert daemon.api("POST", f"/containers/{name}/start").status == 204


def create(daemon: Daemon, name: str, command: list[str], **host: object) -> None:
    body = {"Image": "busybox", "Cmd": command, "HostConfig": {"NetworkMode": "none", **host}}
    assert daemon.api("POST", f"/containers/create?name={name}", body).status == 201


def attach(daemon: Daemon, name: str) -> tuple[int, socket.socket]:
    """The answer's status, and the stream behind it."""
    connection = UnixConnection(daemon.socket, timeout=10)
    connection.request("POST", f"/containers/{name}/attach?stream=1&stdout=1&stderr=1", None,
                       {"Connection": "Upgrade", "Upgrade": "tcp"})  # fmt: skip
    stream = connection.sock
    return connection.getresponse().status, stream


def beside(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Do it in a thread; what it returns is in the list when the thread has ended."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()
    return thread, results


def test_exec_in_a_container_that_ends_meanwhile(daemon: Daemon) -> None:
    """409, or 404 as when it has ended a moment earlier; not the launcher's trouble with its namespaces."""
    answers: list[Answer] = []
    for number in range(20):
        name = f"ends{number}"
        start(daemon, name, LONG)
        prepared = [daemon.api("POST", f"/containers/{name}/exec", {"Cmd": ["true"]}) for _ in range(3)]
        killer, _ = beside(lambda name=name: daemon.api("POST", f"/containers/{name}/kill"))
        answers += [daemon.api("POST", f"/exec/{p.body['Id']}/start", {"Detach": True}) for p in prepared]
        killer.join()
        daemon.api("DELETE", f"/containers/{name}")
    assert {answer.status for answer in answers} <= {200, 404, 409}, answers
    refused = [answer.body["message"] for answer in answers if answer.status == 409]
    assert all(text.startswith("container ") and text.endswith(" is not running") for text in refused)


def test_attach_to_a_container_that_is_told_to_restart(daemon: Daemon) -> None:
    """It runs still, so that there is something to attach to, as with Docker."""
    start(daemon, "again", ["sh", "-c", "trap 'sleep 0.5; exit 0' TERM; while :; do sleep 0.05; done"])
    restart, _ = beside(lambda: daemon.api("POST", "/containers/again/restart?t=10"))
    time.sleep(0.1)
    status, stream = attach(daemon, "again")
    assert status == 101
    restart.join()
    assert stream.recv(100) == b""
    stream.close()


def test_a_container_that_is_being_killed_for_its_removal_is_running(daemon: Daemon) -> None:
    """Docker's word is "running" as long as there is a process, and "removing" only then."""
    statuses = set()
    for number in range(10):
        name = f"goes{number}"
        start(daemon, name, LONG)
        removal, _ = beside(lambda name=name: daemon.api("DELETE", f"/containers/{name}?force=1"))
        while (answer := daemon.api("GET", f"/containers/{name}/json")).status == 200:
            statuses.add((answer.body["State"]["Status"], answer.body["State"]["Running"]))
        removal.join()
    assert statuses <= {("running", True), ("removing", False)}


def test_attach_while_it_is_started(daemon: Daemon) -> None:
    """Who attaches belongs to the run, be it before, after or in the midst of its start."""
    for number in range(30):
        name = f"begins{number}"
        create(daemon, name, LONG)
        starting, _ = beside(lambda name=name: daemon.api("POST", f"/containers/{name}/start"))
        time.sleep(0.0005 * (number % 10))
        status, stream = attach(daemon, name)
        starting.join()
        assert status == 101
        assert daemon.api("POST", f"/containers/{name}/kill").status == 204
        assert stream.recv(100) == b"", f"no end of the stream in round {number}"
        stream.close()


def test_a_new_daemon_finds_a_monitor_whose_container_has_ended(
    fresh_daemon: Callable[..., Daemon],
) -> None:
    """The monitor waits for a client that does not read. That is no run of the container's, and no obstacle."""
    daemon = fresh_daemon()
    create(daemon, "talks", ["sh", "-c", "head -c 8000000 /dev/zero; exit 5"])
    status, stream = attach(daemon, "talks")
    assert status == 101
    daemon.api("POST", "/containers/talks/start")
    assert daemon.api("POST", "/containers/talks/wait").body["StatusCode"] == 5
    ended = daemon.inspect("talks")["State"]
    daemon.kill9()
    daemon.start()
    assert daemon.inspect("talks")["State"] == ended
    stream.close()
    assert daemon.api("POST", "/containers/talks/start").status == 204
    daemon.remove_containers()
    assert daemon.stop() == 0
    assert daemon.leaks() == []


def test_renamed_twice_under_a_name_that_is_no_more(daemon: Daemon) -> None:
    """The second comes to a name that means nothing any more, whatever it meant when it began to wait."""
    for number in range(15):
        old, new = f"old{number}", f"new{number}"
        create(daemon, old, LONG)
        started, _ = beside(lambda old=old: daemon.api("POST", f"/containers/{old}/start"))
        path = f"/containers/{old}/rename?name={new}"
        first, answers = beside(lambda path=path: daemon.api("POST", path))
        answers += [daemon.api("POST", path)]
        for thread in (first, started):
            thread.join()
        assert sorted(answer.status for answer in answers) == [204, 404], answers


def test_clients_that_wait_for_a_start_and_go(daemon: Daemon) -> None:
    """Each cost the daemon a descriptor until the container was started or removed."""
    create(daemon, "later", ["echo", "here"])
    status, stays = attach(daemon, "later")
    assert status == 101
    stays.shutdown(socket.SHUT_WR)  # it will send nothing, and wants to hear all the same
    descriptors = Path(f"/proc/{daemon.pid}/fd")
    before = len(list(descriptors.iterdir()))
    for _ in range(30):
        attach(daemon, "later")[1].close()
    assert len(list(descriptors.iterdir())) < before + 10
    daemon.api("POST", "/containers/later/start")
    assert b"here" in stays.recv(100)
    stays.close()


def test_a_restart_and_a_removal_of_the_same_container(daemon: Daemon) -> None:
    """It is gone, whoever comes first, and its name is free; no ghost comes back, also not with the next daemon."""
    for number in range(40):
        start(daemon, "box", LONG, AutoRemove=number % 3 == 0)
        restart, restarted = beside(lambda: daemon.api("POST", "/containers/box/restart?t=0"))
        time.sleep(number % 8 * 0.002)
        removal = daemon.api("DELETE", "/containers/box?force=1")
        restart.join()
        assert removal.status in (204, 404), removal
        assert restarted[0].status in (204, 404, 409), restarted
        assert daemon.api("GET", "/containers/json?all=1").body == []
    daemon.restart()
    assert daemon.api("GET", "/containers/json?all=1").body == []


def test_two_clients_with_the_same_name(daemon: Daemon) -> None:
    """Starting, stopping, renaming and removing as they like: every answer is one that a client knows."""
    verbs = [
        ("POST", "/start"), ("POST", "/restart?t=0"), ("POST", "/stop?t=0"), ("POST", "/kill"), ("DELETE", "?force=1"),
        ("POST", "/rename?name=other"), ("DELETE", ""),
    ]  # fmt: skip
    seen: list[Answer] = []

    def client(seed: int) -> None:
        choose = random.Random(seed)
        for _ in range(60):
            if choose.random() < 0.3:
                body = {"Image": "busybox", "Cmd": LONG, "HostConfig": {"AutoRemove": choose.random() < 0.3}}
                seen.append(daemon.api("POST", "/containers/create?name=box", body))
            method, verb = choose.choice(verbs)
            name = choose.choice(["box", "box", "other"])
            seen.append(daemon.api(method, f"/containers/{name}{verb}"))

    clients = [beside(lambda seed=seed: client(seed))[0] for seed in range(3)]
    for thread in clients:
        thread.join()
    assert {answer.status for answer in seen} <= {201, 204, 304, 400, 404, 409}, [
        a for a in seen if a.status >= 500
    ]
    daemon.remove_containers()
    assert daemon.api("GET", "/containers/json?all=1").body == []
    for name in ("box", "other"):
        create(daemon, name, LONG)


def test_a_name_is_given_once_however_long_a_profile_takes(daemon: Daemon) -> None:
    """A profile of its own is compiled before a container is made, which takes a while."""
    profile = '{"defaultAction": "SCMP_ACT_ALLOW", "comment": "compiled for this test alone"}'
    body = {"Image": "busybox", "HostConfig": {"SecurityOpt": [f"seccomp={profile}"]}}
    answers: list[Answer] = []

    def create() -> None:
        answers.append(daemon.api("POST", "/containers/create?name=same", body))

    creators = [threading.Thread(target=create) for _ in range(6)]
    for creator in creators:
        creator.start()
    for creator in creators:
        creator.join()
    assert sorted(answer.status for answer in answers) == [201, *[409] * 5]
    assert all(
        "already in use by container" in answer.body["message"] for answer in answers if answer.status == 409
    )
    assert daemon.api("GET", "/containers/same/json").status == 200
