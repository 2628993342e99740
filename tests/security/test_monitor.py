"""The monitor and the daemon as targets: signals, ptrace, lingering children, floods, clients that come and go."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from pathlib import Path

import pytest

from tests.harness.daemon import Daemon
from tests.harness.waiting import eventually
from tests.security.image import results, run


def monitors(daemon: Daemon) -> list[int]:
    """Pids of the monitors: processes of the daemon's mount namespace with the launcher's name."""
    return [pid for pid in daemon.sandbox.processes() if name_of(pid) == "wherry-monitor"]


def name_of(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def resident(pid: int) -> int:
    """Memory in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def start(daemon: Daemon, *options: str, command: tuple[str, ...] = ("sleep", "600")) -> str:
    return daemon.docker("run", "-d", *options, "attacker", *command).stdout.strip()


def test_signals_do_not_reach_the_monitor(besieged: Daemon) -> None:
    """From inside there is no name for it: neither -1, nor the parent, nor a process group."""
    script = "kill -9 -1; kill -9 1; kill -9 $PPID; kill -9 0"
    container = start(besieged, command=("sh", "-c", "trap '' TERM; sleep 600 & wait; sleep 600"))
    besieged.docker("exec", container, "sh", "-c", script, check=False)
    assert besieged.docker("exec", container, "sh", "-c", "grep PPid /proc/1/status").stdout.split() == [
        "PPid:",
        "0",
    ]
    found = results(besieged.docker("exec", container, "/attacker", "process", "1").stdout)
    assert found["pidfd_getfd"] == "EPERM"
    assert besieged.inspect(container)["State"]["Running"] and len(monitors(besieged)) == 1
    run(besieged, "attacker", "sh", "-c", script)
    besieged.docker("kill", container)
    assert besieged.api("POST", f"/containers/{container}/wait").body["StatusCode"] == 137


@pytest.mark.parametrize("options", [(), ("--user", "1000"), ("--cap-drop", "ALL"), ("--network", "host")])
def test_a_host_pid_container_does_not_get_into_the_daemon(
    besieged: Daemon, options: tuple[str, ...]
) -> None:
    """With ``--pid host`` it sees us; memory, environment, root and descriptors stay shut: we have more rights."""
    start(besieged)
    targets = [besieged.pid, *monitors(besieged)]
    assert len(targets) == 2
    for target in targets:
        words = ("/attacker", "process", str(target))
        found = results(run(besieged, "--pid", "host", *options, "attacker", *words).stdout)
        assert set(found) == {"mem", "environ", "root", "fd", "attach", "pidfd_getfd"}
        assert "ok" not in found.values(), (target, found)


def test_a_killed_monitor_takes_its_container_along(besieged: Daemon) -> None:
    """Root in a host-pid container may kill any process of root's, as with Docker; nothing runs on unwatched."""
    container = start(besieged)
    inside = besieged.inspect(container)["State"]["Pid"]
    run(besieged, "--pid", "host", "attacker", "kill", "-9", str(monitors(besieged)[0]))
    assert eventually(lambda: not besieged.inspect(container)["State"]["Running"])
    assert eventually(lambda: not Path(f"/proc/{inside}").exists())
    assert besieged.inspect(container)["State"]["ExitCode"] != 0
    assert besieged.docker("start", container).returncode == 0


def test_execs_whose_children_keep_stdout(besieged: Daemon) -> None:
    """CVE-2026-53495, CVE-2022-23471: the exec ends with its command; nothing piles up for what is left behind."""
    container = start(besieged)
    besieged.docker("exec", container, "sh", "-c", "sleep 600 & echo warm")
    before = resident(besieged.pid), descriptors(besieged.pid)
    for _ in range(100):
        body = {"Cmd": ["sh", "-c", "sleep 600 & echo done"], "AttachStdout": True}
        made = besieged.api("POST", f"/containers/{container}/exec", body).body["Id"]
        answer = besieged.api("POST", f"/exec/{made}/start", {"Detach": False}, timeout=5)
        assert "done" in str(answer.body)
    assert eventually(lambda: len(monitors(besieged)) == 1)
    assert resident(besieged.pid) - before[0] < 6 << 10
    assert eventually(lambda: descriptors(besieged.pid) <= before[1] + 2)


def test_execs_that_never_start_go_with_their_container(besieged: Daemon) -> None:
    """What a client prepares and forgets is not kept for ever, neither as exec nor as event: 25 of 4.8 MB, again and
    again. (The first time fills what the allocator keeps for the next.)"""
    body = {"Cmd": ["x" * 120_000] * 20, "Env": ["y" * 120_000] * 20}
    after = []
    for _ in range(3):
        container = start(besieged)
        made = [besieged.api("POST", f"/containers/{container}/exec", body).body["Id"] for _ in range(25)]
        besieged.docker("kill", container)
        assert eventually(lambda: {besieged.api("GET", f"/exec/{id}/json").status for id in made} == {404})  # noqa: B023
        assert {besieged.api("POST", f"/exec/{id}/start", {"Detach": True}).status for id in made} == {404}
        after.append(resident(besieged.pid))
    assert after[-1] - after[0] < 20 << 10, after


def test_execs_that_have_run_go_when_their_container_is_removed(besieged: Daemon) -> None:
    container = start(besieged)
    made = besieged.api("POST", f"/containers/{container}/exec", {"Cmd": ["true"]}).body["Id"]
    assert besieged.api("POST", f"/exec/{made}/start", {"Detach": True}).status == 200
    besieged.docker("kill", container)
    assert besieged.api("GET", f"/exec/{made}/json").status == 200
    besieged.docker("rm", container)
    assert besieged.api("GET", f"/exec/{made}/json").status == 404


def attach(daemon: Daemon, container: str, query: str = "stream=1&stdout=1&stderr=1") -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(10)
    client.connect(str(daemon.socket))
    upgrade = "Host: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
    head = f"POST /containers/{container}/attach?{query} HTTP/1.1\r\n{upgrade}"
    client.sendall(head.encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += client.recv(4096)
    assert answer.startswith(b"HTTP/1.1 101"), answer
    return client


def test_a_thousand_clients_come_and_go(besieged: Daemon) -> None:
    """CVE-2025-64329: memory and descriptors of daemon and monitor are what they were."""
    container = start(besieged, "-i", command=("sh", "-c", "while sleep 0.01; do echo line; done"))
    monitor = monitors(besieged)[0]
    for _ in range(200):
        attach(besieged, container).close()
    time.sleep(1)
    before = [resident(besieged.pid), resident(monitor), descriptors(besieged.pid), descriptors(monitor)]
    for number in range(1000):
        with attach(besieged, container) as client:
            if number % 3 == 0:
                client.recv(100)
            if number % 7 == 0:
                client.shutdown(socket.SHUT_WR)
    assert eventually(lambda: descriptors(monitor) <= before[3] and descriptors(besieged.pid) <= before[2])
    assert resident(besieged.pid) - before[0] < 3 << 10 and resident(monitor) - before[1] < 400


def test_more_clients_than_a_monitor_takes(besieged: Daemon) -> None:
    """Refused one by one; the container and the others go on."""
    container = start(besieged, command=("sh", "-c", "while sleep 0.05; do echo line; done"))
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(attach(besieged, container)) for _ in range(150)]
        assert clients[0].recv(4) and clients[100].recv(4)
        assert clients[149].recv(4) == b""
    assert eventually(lambda: descriptors(monitors(besieged)[0]) < 30)
    assert attach(besieged, container).recv(4)


@pytest.mark.slow
def test_a_flood_of_output(besieged: Daemon) -> None:
    """384 MB, with a client that never reads, and a log that may hold three times a megabyte."""
    options = ("--log-opt", "max-size=1m", "--log-opt", "max-file=3", "-i")
    flood = "read x; yes 0123456789abcdef0123456789abcdef | head -c 402653184"
    container = start(besieged, *options, command=("sh", "-c", flood))
    monitor = monitors(besieged)[0]
    with attach(besieged, container, "stream=1&stdout=1&stdin=1") as silent:
        silent.sendall(b"go\n")
        highest = [0, 0]
        while besieged.inspect(container)["State"]["Running"]:
            with contextlib.suppress(OSError, StopIteration):
                highest = [max(highest[0], resident(monitor)), max(highest[1], resident(besieged.pid))]
            time.sleep(0.05)
    assert highest[0] < 4 << 10 and highest[1] < 100 << 10
    logs = besieged.sandbox.outside(besieged.data_root / "containers" / container)
    sizes = {path.name: path.stat().st_size for path in logs.glob("*-json.log*")}
    assert len(sizes) == 3 and max(sizes.values()) < (1 << 20) + (128 << 10), sizes


def test_output_cannot_forge_log_entries(besieged: Daemon) -> None:
    """Control characters, quotes, what looks like an entry, bytes that are no UTF-8, a line of 20 MB."""
    hostile = (
        b'{"log":"forged\\n","stream":"stderr","time":"2020-01-01T00:00:00Z"}\n"}\n{"log":"\r\x1b[2J\x00\x07\xff\xfe\xc0\xaf'
        b'\xed\xa0\x80\xf4\x90\x80\x80</script>\xe2\x80\xa8&"\\\n'
    )
    script = f"printf '{''.join(f'{chr(92)}{byte:03o}' for byte in hostile)}'; "
    script += "head -c 20000000 /dev/zero | tr '\\0' 'x'"
    container = start(besieged, command=("sh", "-c", script))
    besieged.api("POST", f"/containers/{container}/wait")
    log = besieged.sandbox.outside(besieged.data_root / "containers" / container / f"{container}-json.log")
    entries = [json.loads(line) for line in log.read_bytes().split(b"\n")[:-1]]
    assert all(set(e) == {"log", "stream", "time"} and e["stream"] == "stdout" for e in entries)
    assert all(len(e["log"]) <= 16 << 10 and not e["time"].startswith("2020") for e in entries)
    whole = "".join(e["log"] for e in entries)
    assert whole[: whole.index("xxxx")].count("\n") == 3 and whole.endswith("x" * 1000)
    before = resident(besieged.pid)
    read = besieged.api("GET", f"/containers/{container}/logs?stdout=1", timeout=60).body
    assert len(read) > 20_000_000 and resident(besieged.pid) - before < 60 << 10


@pytest.mark.parametrize("rows, columns", [(2**31, 1), (-1, -1), (0, 0), (65536, 65536), (10**30, 5)])
def test_sizes_of_terminals(besieged: Daemon, rows: int, columns: int) -> None:
    """CVE-2022-23471: sizes out of range, many at once."""
    container = start(besieged, "-t")
    for _ in range(20):
        assert besieged.api("POST", f"/containers/{container}/resize?h={rows}&w={columns}").status in (
            200,
            400,
        )
    assert besieged.inspect(container)["State"]["Running"]


NEST = """
for folder in /sys/fs/cgroup/pids /sys/fs/cgroup; do
    [ -w $folder/cgroup.procs ] && cd $folder && break
done
i=0; while [ $i -lt 1000 ]; do mkdir a b; echo $$ > b/cgroup.procs; cd a; i=$((i+1)); done
sleep 1000 & echo $$ > cgroup.procs; echo nested; wait
"""


def test_cgroups_of_a_containers_own_however_deep_go_with_it(besieged: Daemon) -> None:
    """They are its processes' place, too: ``top`` shows what is at the bottom."""
    container = start(besieged, "--privileged", "--cgroupns", "private", command=("sh", "-c", NEST))
    assert eventually(lambda: "nested" in besieged.docker("logs", container).stdout, 20)
    shown = besieged.docker("top", container).stdout
    assert "sleep 1000" in shown and len(shown.splitlines()) == 3
    assert besieged.docker("kill", container).returncode == 0
    own = f"{besieged.sandbox.cgroup_parent}/{container}"
    assert eventually(
        lambda: not [*Path("/sys/fs/cgroup").glob(own), *Path("/sys/fs/cgroup").glob(f"*/{own}")]
    )
    besieged.docker("start", container)
    besieged.docker("rm", "-f", container)
