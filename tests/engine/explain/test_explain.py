"""Explain: what the kernel holds for a container, each line with its cause, against real containers."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.explain.tampering import SLEEP, Container
from tests.harness.daemon import Daemon
from tests.harness.waiting import eventually

Run = Callable[..., Container]
Json = dict[str, Any]

SET_THERE = ("Namespaces", "Mounts", "Limits", "Rights", "Interfaces", "Routes", "Processes", "Layers")


@pytest.fixture
def run(daemon: Daemon) -> Iterator[Run]:
    yield lambda *arguments: Container(daemon, *arguments)


def named(items: list[Json], name: str, key: str = "Name") -> Json:
    return next(item for item in items if item[key] == name)


def test_every_line_names_its_cause(run: Run) -> None:
    explained = run("-p", "8080:80", "-m", "64m", "--cpus", "0.5", *SLEEP).explain()
    assert explained["Running"] and explained["Drift"] == [] and explained["Notes"] == []
    for part in (*SET_THERE, "Ports"):
        assert explained[part], part
        assert all(item["Cause"] for item in explained[part]), part


OPTIONS = """
    --tty --interactive --init --shm-size 8m --dns 10.0.0.1 --add-host db:10.0.0.9 --log-opt max-size=1m
    --group-add 77 --cap-drop ALL --cap-add CHOWN --env A=1 --stop-signal SIGINT --label tier=front --expose 9000
"""


def test_lines_name_the_options_that_they_come_from(run: Run) -> None:
    explained = run(*OPTIONS.split(), *SLEEP).explain()
    parts = ("Mounts", "Rights", "Policies", "Processes")
    causes = {
        str(i.get("Target") or i.get("Name") or i["Command"]): i["Cause"]
        for part in parts
        for i in explained[part]
    }
    assert causes["/dev/console"] == "request: --tty"
    assert causes["streams"] == "request: --tty, --interactive"
    assert causes["/dev/shm"] == "request: --shm-size 8m"
    assert causes["/etc/resolv.conf"] == "request: --dns 10.0.0.1"
    assert causes["/etc/hosts"] == "request: --add-host db:10.0.0.9"
    assert causes["log"] == "request: --log-opt max-size=1m"
    assert causes["user"] == "request: --group-add 77"
    assert causes["bounding capabilities"] == "request: --cap-add CAP_CHOWN --cap-drop ALL"
    assert causes["sleep 1000"] == "request: the command, --env A, --tty"
    assert causes["to stop it"] == "request: --stop-signal SIGINT"
    assert causes["labels"] == "request: --label tier=front"
    assert causes["exposed, not published"] == "request: --expose 9000/tcp"
    assert explained["Processes"][0]["Cause"] == "request: --init"


def test_the_daemons_own_options_are_named_as_such(fresh_daemon: Daemon) -> None:
    options = ("--init", "--dns", "10.0.0.1", "--log-opt", "max-size=1m", "--no-new-privileges")
    explained = Container(fresh_daemon(*options), *SLEEP).explain()
    assert explained["Processes"][0]["Cause"] == "daemon: --init"
    assert named(explained["Mounts"], "/etc/resolv.conf", "Target")["Cause"] == "daemon: --dns 10.0.0.1"
    assert named(explained["Policies"], "log")["Cause"] == "daemon: --log-opt max-size=1m"
    assert named(explained["Rights"], "no new privileges")["Cause"] == "daemon: --no-new-privileges"


def test_namespaces_are_the_kernels(run: Run) -> None:
    first = run("--name", "first", *SLEEP)
    second = run("--network", "container:first", "--pid", "host", *SLEEP)
    spaces = {space["Kind"]: space for space in second.explain()["Namespaces"]}
    for kind, space in spaces.items():
        assert space["Inode"] == Path(f"/proc/{second.pid}/ns/{kind}").stat().st_ino
    assert spaces["net"]["SharedWith"] == "first"
    assert spaces["net"]["Cause"] == f"request: --network container:{first.id[:12]}"
    assert (spaces["pid"]["SharedWith"], spaces["pid"]["Cause"]) == ("host", "request: --pid host")
    assert (spaces["mnt"]["SharedWith"], spaces["ipc"]["SharedWith"]) == ("", "")
    assert named(first.explain()["Namespaces"], "net", "Kind")["SharedWith"] == second.explain()["Name"]


def test_layers_with_their_commands_and_users(daemon: Daemon, run: Run) -> None:
    one = run(*SLEEP)
    (layer,) = one.explain()["Layers"]
    history = [h for h in daemon.api("GET", "/images/busybox/history").body if h["Size"]]
    assert (layer["Size"], layer["CreatedBy"]) == (history[0]["Size"], history[0]["CreatedBy"])
    assert layer["Digest"] == daemon.api("GET", "/images/busybox/json").body["RootFS"]["Layers"][0]
    assert layer["SharedBy"] == 0
    run(*SLEEP)
    assert one.explain()["Layers"][0]["SharedBy"] == 1


def test_mounts_with_the_options_they_have(run: Run) -> None:
    container = run("--read-only", "-v", "/etc:/data:ro", "--tmpfs", "/t:size=1m", *SLEEP)
    mounts = container.explain()["Mounts"]
    lines = Path(f"/proc/{container.pid}/mountinfo").read_text().splitlines()
    assert [m["Target"] for m in mounts] == [line.split()[4] for line in lines]
    data, t, root = (named(mounts, target, "Target") for target in ("/data", "/t", "/"))
    assert (data["Source"], data["ReadOnly"], data["Cause"]) == ("/etc", True, "request: -v /etc:/data:ro")
    assert "size=1024k" in t["Options"] and t["Cause"] == "request: --tmpfs /t:size=1m"
    assert root["ReadOnly"] and root["Cause"] == "request: --read-only"


@pytest.mark.skipif(Path("/sys/fs/cgroup/cgroup.controllers").exists(), reason="the names are version 1's")
def test_limits_with_what_is_used_of_them(run: Run) -> None:
    container = run("-m", "64m", "--pids-limit", "20", "busybox", "sh", "-c", "sleep 1000 & sleep 1000")
    container.process("sleep 1000")
    limits = container.explain()["Limits"]
    memory, processes, swap = (named(limits, n) for n in ("memory", "processes", "memory reservation"))
    assert (memory["Limit"], memory["Unit"], memory["Cause"]) == (
        64 << 20,
        "bytes",
        "request: --memory 64m",
    )
    assert 0 < memory["Used"] < memory["Limit"]
    assert (processes["Limit"], processes["Used"]) == (20, 2)
    assert (swap["Limit"], swap["Cause"]) == (None, "default")
    assert Path(memory["File"]).read_text() == f"{64 << 20}\n"


@pytest.mark.skipif(Path("/sys/fs/cgroup/cgroup.controllers").exists(), reason="the names are version 1's")
def test_throttling_is_told(run: Run) -> None:
    container = run("--cpus", "0.05", "busybox", "sh", "-c", "while :; do :; done")
    assert eventually(
        lambda: re.fullmatch(
            r"0\.05 CPUs; throttled in [1-9]\d* of \d+ periods",
            named(container.explain()["Limits"], "CPU quota")["Note"],
        )
    )


def test_rights(run: Run) -> None:
    rights = run(
        "--ulimit", "nofile=100:200", "--ulimit", "core=0:-1", "--cap-add", "NET_ADMIN", *SLEEP
    ).explain()["Rights"]
    bounding, seccomp = named(rights, "bounding capabilities"), named(rights, "seccomp")
    assert bounding["Value"] == "15" and "CAP_CHOWN" in bounding["Values"]
    assert seccomp["Value"] == "filter" and "from the plan's program" in " ".join(seccomp["Values"])
    assert named(rights, "no new privileges")["Value"] == "no"
    files = named(rights, "rlimit nofile")
    assert files["Value"] == "100 files, which can be raised to 200"
    assert files["Cause"] == "request: --ulimit nofile=100:200"
    assert named(rights, "rlimit core")["Value"] == "0 bytes, which can be raised without limit"
    assert bounding["Cause"] == "request: --cap-add CAP_NET_ADMIN"
    assert named(rights, "ambient capabilities")["Cause"] == "default"
    assert "the host's own" in named(rights, "user ids")["Value"]


def test_rights_of_a_privileged_and_of_a_confined_container(run: Run) -> None:
    privileged = run("--privileged", *SLEEP).explain()["Rights"]
    confined = run("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "-u", "7:8", *SLEEP).explain()[
        "Rights"
    ]
    assert named(privileged, "seccomp")["Value"] == "off"
    assert named(privileged, "seccomp")["Cause"] == "request: --privileged"
    assert len(named(privileged, "bounding capabilities")["Values"]) > 30
    assert named(confined, "bounding capabilities")["Values"] == []
    assert named(confined, "no new privileges")["Value"] == "yes"
    assert (named(confined, "user")["Value"], named(confined, "user")["Cause"]) == (
        "7:8",
        "request: --user 7:8",
    )


def test_the_filter_read_back_from_the_kernel(daemon: Daemon, run: Run) -> None:
    """Asked for by name, as it stops the process for a moment; which then runs on."""
    container = run("busybox", "sh", "-c", "while :; do sleep 0.05; echo on; done")
    answer = daemon.api("GET", f"/containers/{container.id}/explain?filter=1").body
    words = " ".join(named(answer["Rights"], "seccomp")["Values"])
    assert "read from the kernel" in words and "the kernel's program and the plan's are the same" in words
    lines = len(daemon.docker("logs", container.id).stdout)
    assert eventually(lambda: len(daemon.docker("logs", container.id).stdout) > lines)
    assert container.drift() == []


@pytest.mark.skipif(
    Path("/sys/fs/cgroup/cgroup.controllers").exists(), reason="version 2 stops frozen processes"
)
def test_a_frozen_container_is_left_alone(daemon: Daemon, run: Run) -> None:
    """Its process cannot be stopped to read its filter; nor is it found stopped when it has thawed."""
    container = run("busybox", "sh", "-c", "while :; do sleep 0.05; echo on; done")
    container.cgroup_file("freezer.state").write_text("FROZEN")
    answer = daemon.api("GET", f"/containers/{container.id}/explain?filter=1", timeout=10).body
    assert "from the plan's program" in " ".join(named(answer["Rights"], "seccomp")["Values"])
    container.cgroup_file("freezer.state").write_text("THAWED")
    lines = len(daemon.docker("logs", container.id).stdout)
    assert eventually(lambda: len(daemon.docker("logs", container.id).stdout) > lines)


def test_the_way_of_a_packet(daemon: Daemon, run: Run) -> None:
    container = run("-p", "8080:80", "busybox", "httpd", "-f", "-p", "80")
    command = "curl -s -o /dev/null --retry 30 --retry-connrefused --retry-delay 0 http://127.0.0.1:8080/"
    daemon.run_in_ns(command, check=False)
    explained = container.explain()
    eth0, (port,) = named(explained["Interfaces"], "eth0"), explained["Ports"]
    assert (port["Host"], port["Protocol"]) == ("0.0.0.0:8080", "tcp")
    assert port["Container"] == f"{container.address}:80" and port["Packets"] >= 1 and port["Bytes"] > 0
    assert eth0["Addresses"] == [f"{container.address}/16"] and eth0["Bridge"] == "wherry0"
    assert eth0["HostEnd"] in daemon.sandbox.links() and eth0["RxBytes"] > 0 and eth0["State"] == "up"
    assert [(r["Destination"], r["Interface"]) for r in explained["Routes"]] == [
        ("default", "eth0"), ("172.17.0.0/16", "eth0"),
    ]  # fmt: skip


def test_the_hosts_network_is_not_listed_as_the_containers(run: Run) -> None:
    explained = run("--network", "host", *SLEEP).explain()
    assert explained["Interfaces"] == explained["Routes"] == explained["Ports"] == []


def test_what_it_costs(run: Run) -> None:
    container = run("busybox", "sh", "-c", "head -c 3000000 /dev/zero >/big; echo 12345; sleep 1000")
    container.process("sleep 1000")
    assert eventually(lambda: container.explain()["Cost"]["Log"])  # once the monitor gets round to it
    explained = container.explain()
    cost, processes = explained["Cost"], explained["Processes"]
    assert cost["Writable"] == 3_000_000 and cost["Log"] > 5
    assert cost["Processes"] == len(processes) == 1
    assert cost["Descriptors"] == sum(p["Descriptors"] for p in processes) >= 3
    assert abs(cost["Private"] + cost["Shared"] - sum(p["Pss"] for p in processes)) < 10_000
    assert 0 < cost["Monitor"] < 1_000_000


def test_files_in_memory_are_part_of_the_cost(run: Run) -> None:
    container = run("busybox", "sh", "-c", "head -c 20000000 /dev/zero >/dev/shm/big; exec sleep 1000")
    container.process("sleep 1000")
    cost = container.explain()["Cost"]
    assert cost["Charged"] >= cost["Tmpfs"] >= 19_000_000 > cost["Private"]
    assert cost["Charged"] >= cost["Anonymous"] + cost["Tmpfs"]


def test_many_processes_and_long_commands_have_bounds(run: Run) -> None:
    script = 'for i in $(seq 550); do sleep 1000 & done; exec sh -c "sleep 1000; true" $(seq 10000)'
    container = run("busybox", "sh", "-c", script)
    assert eventually(lambda: len(container.explain()["Processes"][0]["Command"]) >= 4000, 20)
    explained = container.explain()
    assert len(explained["Processes"]) == 500
    more = explained["Cost"]["Processes"] - 500
    assert 51 <= more <= 53  # with the shell's child, and what has ended and is not waited for yet
    assert explained["Notes"] == [f"{more} more processes are not listed, and their memory is not counted"]
    assert max(len(process["Command"]) for process in explained["Processes"]) <= 4096
    assert explained["Drift"] == []


def test_added_by_hand_means_without_a_cause(run: Run) -> None:
    container = run(*SLEEP)
    container.inside("--mount", "mkdir /mnt && mount -t tmpfs tmpfs /mnt")
    container.inside("--net", "ip route add 10.0.0.0/8 dev eth0; ip link add hand1 type veth peer name hand2")
    container.inside("--net", "ip link set hand1 up")
    explained = container.explain()
    assert named(explained["Mounts"], "/mnt", "Target")["Cause"] == ""
    assert named(explained["Routes"], "10.0.0.0/8", "Destination")["Cause"] == ""
    assert named(explained["Interfaces"], "hand1")["Cause"] == ""
    assert {d["Kind"] for d in explained["Drift"]} == {"mount", "route", "interface"}


# ---------------------------------------------------------------- bad input


def test_a_procfs_of_the_containers_own_making(run: Run) -> None:
    """What it shows there instead of processes is no reason to fail."""
    script = (
        "mount -t tmpfs none /proc && mkdir /proc/² /proc/٣ /proc/99999999999 && touch /ready; sleep 1000"
    )
    container = run("--privileged", "busybox", "sh", "-c", script)
    assert eventually(
        lambda: container.daemon.docker("exec", container.id, "ls", "/ready", check=False).stdout
    )
    assert container.explain()["Processes"]


def test_unknown_containers_and_questions(daemon: Daemon) -> None:
    for path in (
        "/containers/nope/explain",
        "/containers/nope/explain?check=1",
        "/explain?check=1&container=nope",
    ):
        answer = daemon.api("GET", path)
        assert (answer.status, answer.body) == (404, {"message": "No such container: nope"})
    assert daemon.api("GET", "/explain").status == 400


def test_a_stopped_container_has_what_is_left_of_it(daemon: Daemon, run: Run) -> None:
    container = run("busybox", "sh", "-c", "echo 12345; echo abc >/file")
    daemon.api("POST", f"/containers/{container.id}/wait")
    explained = container.explain()
    assert (explained["Running"], explained["Status"], explained["Pid"]) == (False, "exited", 0)
    assert explained["Layers"] and explained["Cost"]["Writable"] == 4 and explained["Cost"]["Log"] > 5
    assert explained["Mounts"] == explained["Namespaces"] == explained["Drift"] == []
    assert container.drift() == []


def test_one_that_was_never_started(daemon: Daemon) -> None:
    daemon.docker("create", "--name", "waiting", *SLEEP)
    answer = daemon.api("GET", "/containers/waiting/explain")
    assert answer.status == 200 and answer.body["Status"] == "created" and not answer.body["Running"]


def test_an_exit_while_it_is_read(daemon: Daemon) -> None:
    """Many containers that end soon, asked about all the time: each answer is whole, and nothing is blamed."""
    stop, answers = threading.Event(), list[Any]()

    def ask() -> None:
        while not stop.is_set():
            for container in daemon.api("GET", "/containers/json?all=1").body:
                answers.append(daemon.api("GET", f"/containers/{container['Id']}/explain"))
            answers.append(daemon.api("GET", "/explain?check=1"))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(40):
        body = {"Image": "busybox", "Cmd": ["sleep", "0.02"], "HostConfig": {"AutoRemove": True}}
        id = daemon.api("POST", "/containers/create", body).body["Id"]
        daemon.api("POST", f"/containers/{id}/start")
    stop.set()
    for thread in threads:
        thread.join()
    assert [a for a in answers if a.status not in (200, 404)] == []
    explained = [a.body for a in answers if a.status == 200 and isinstance(a.body, dict)]
    checked = [c for a in answers if a.status == 200 and isinstance(a.body, list) for c in a.body]
    assert explained and checked
    assert [item["Drift"] for item in (*explained, *checked) if item["Drift"]] == []
    assert all(item["Running"] == bool(item["Namespaces"]) for item in explained)
    assert "Traceback" not in daemon.log_tail(1000)


def test_an_answer_goes_on_while_containers_are_started(daemon: Daemon, run: Run) -> None:
    """Starts go first, but no answer waits for ever."""
    container = run(*SLEEP)
    stop = threading.Event()

    def start() -> None:
        while not stop.is_set():
            id = daemon.api("POST", "/containers/create", {"Image": "busybox", "Cmd": ["true"]}).body["Id"]
            daemon.api("POST", f"/containers/{id}/start")

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    explained = [container.explain() for _ in range(5)]
    took = time.monotonic() - began
    stop.set()
    for thread in threads:
        thread.join()
    assert all(e["Running"] for e in explained) and took < 5


def test_texts_that_mean_something_elsewhere_come_through_as_data(run: Run, daemon: Daemon) -> None:
    script = "<script>alert(1)</script>\x1b[31mred\x07\n\u202e"
    body = {
        "Image": "busybox",
        "Cmd": ["sh", "-c", "sleep 1000; true", script, "\u00e9"],
        "Labels": {script: script},
        "HostConfig": {"Binds": ["/etc:/<b>data:ro"]},
    }
    id = daemon.api("POST", "/containers/create?name=plain", body).body["Id"]
    assert daemon.api("POST", f"/containers/{id}/start").status == 204
    explained = daemon.api("GET", f"/containers/{id}/explain").body
    assert script in explained["Command"] and script in explained["Processes"][0]["Command"]
    assert named(explained["Mounts"], "/<b>data", "Target")["Cause"] == "request: -v /etc:/<b>data:ro"
    assert explained["Drift"] == []


def test_names_of_the_containers_own_making(run: Run) -> None:
    """Bytes that are no text, in a command line and in a mount point, break no answer."""
    container = run("--privileged", "busybox", "sh", "-c", (
        'd=$(printf "/x\\377 \\\\ <i>\\033[1m"); mkdir "$d"; mount -t tmpfs tmpfs "$d"; '
        'sh -c "sleep 1000; true" "$(printf "\\377\\033[31m")"'
    ))  # fmt: skip
    assert eventually(lambda: any("\ufffd\x1b[31m" in p["Command"] for p in container.explain()["Processes"]))
    explained = container.explain()
    (drift,) = explained["Drift"]
    assert drift["What"] == "/x\ufffd \\ <i>\x1b[1m"
    assert json.loads(json.dumps(explained)) == explained
