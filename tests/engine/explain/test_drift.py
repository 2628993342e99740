"""Drift, made for real: somebody changes by hand what the engine has set up, and ``check`` names just that."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engine.explain.tampering import SLEEP, Container, Drifts
from tests.harness.daemon import Daemon
from tests.harness.waiting import eventually

Run = Callable[..., Container]


@pytest.fixture
def run(daemon: Daemon) -> Iterator[Run]:
    yield lambda *arguments: Container(daemon, *arguments)


def kinds(drifts: Drifts) -> set[tuple[str, str]]:
    return {(drift["Kind"], drift["What"]) for drift in drifts}


v1_only = pytest.mark.skipif(
    Path("/sys/fs/cgroup/cgroup.controllers").exists(), reason="these files are of cgroup version 1"
)

# ---------------------------------------------------------------- no false alarms

SETTINGS: dict[str, tuple[str, ...]] = {
    "default": SLEEP,
    "privileged": ("--privileged", *SLEEP),
    "read-only with tmpfs and binds": (
        "--read-only", "--tmpfs", "/t", "--tmpfs", "/small:ro,size=1m", "-v", "/etc:/e:ro", "-v", "/usr/share:/u",
        "-v", "/usr/share/doc:/var/run/through-a-link", "--mount", "type=tmpfs,target=/m", *SLEEP,
    ),
    "the host's root bound": ("-v", "/:/host:ro", *SLEEP),
    "a bind that follows the host": ("-v", "/tmp:/outside:rslave", *SLEEP),
    "host network": ("--network", "host", *SLEEP),
    "no network": ("--network", "none", *SLEEP),
    "limits and ports": (
        "-m", "64m", "--memory-reservation", "32m", "--cpus", "0.5", "--pids-limit", "20", "--cpu-shares", "1",
        "--cpuset-cpus", "0", "--ulimit", "nofile=100:200", "--oom-score-adj", "100",
        "-p", "8080:80", "-p", "127.0.0.1:8081:81/udp", "-p", "82", *SLEEP,
    ),
    "tty": ("-t", *SLEEP),
    "init": ("--init", *SLEEP),
    "a user": ("--user", "65534:65534", *SLEEP),
    "capabilities": (
        "--cap-add", "NET_ADMIN", "--cap-drop", "CHOWN", "--security-opt", "no-new-privileges", *SLEEP,
    ),
    "no protections": (
        "--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined", *SLEEP,
    ),
    "memory for others": ("--ipc", "shareable", "--shm-size", "1m", *SLEEP),
    "volumes of its own": ("--read-only", "-v", "/data", "-v", "/data/below", *SLEEP),
    "odd mounts": (
        "--tmpfs", "/t:shared,sync", "-v", "/:/all", "-v", "/usr:/usr2:private",
        "--mount", "type=bind,src=/,dst=/some,readonly,bind-recursive=writable",
        "--mount", "type=bind,src=/,dst=/top,readonly,bind-recursive=disabled", *SLEEP,
    ),
    "a cgroup namespace": ("--cgroupns", "private", *SLEEP),
    "the host's processes": ("--pid", "host", "--ipc", "host", "busybox", "sh", "-c", "sleep 1000 & sleep 1000"),
    "sysctls": ("--sysctl", "net.ipv4.ip_forward=1", "--hostname", "other", "-w", "/a/b", *SLEEP),
}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_nothing_is_found_where_nothing_was_done(run: Run, name: str) -> None:
    assert run(*SETTINGS[name]).drift() == []


def test_containers_that_share_namespaces_have_no_drift(run: Run) -> None:
    first = run("--name", "first", "--ipc", "shareable", *SLEEP)
    network = run("--network", "container:first", *SLEEP)
    rest = run(
        "--pid", "container:first", "--ipc", "container:first", "busybox", "sh", "-c", "sleep 99 & sleep 99"
    )
    assert [container.drift() for container in (first, network, rest)] == [[], [], []]


def test_no_drift_with_execs_and_after_a_crash_of_the_daemon(run: Run, daemon: Daemon) -> None:
    container = run("-p", "8080:80", "-m", "64m", *SLEEP)
    daemon.docker("exec", "-d", container.id, "sleep", "1000")
    daemon.docker("exec", "-d", "--privileged", container.id, "sleep", "1000")
    assert container.drift() == []
    daemon.kill9()
    daemon.start()
    assert container.drift() == []


def test_execs_on_their_way_in_are_no_strays(run: Run, daemon: Daemon) -> None:
    container = run(*SLEEP)
    execs = [daemon.docker_argv("exec", container.id, "true") for _ in range(10)]
    script = "; ".join(" ".join(argv) for argv in execs)
    busy = daemon.sandbox.popen(["sh", "-c", script], env={**os.environ, **daemon.client_environment()})
    found = []
    while busy.poll() is None:
        found += container.drift()
    assert found == []


# ---------------------------------------------------------------- limits


@v1_only
@pytest.mark.parametrize(
    ("options", "file", "value", "planned", "actual", "cause"),
    [
        (
            ("-m", "64m"),
            "memory.limit_in_bytes",
            "50331648",
            "67108864",
            "50331648",
            "request: --memory 64m",
        ),
        ((), "memory.limit_in_bytes", "67108864", "unlimited", "67108864", "default"),
        (("--pids-limit", "20"), "pids.max", "max", "20", "unlimited", "request: --pids-limit 20"),
        (("--cpus", "0.5"), "cpu.cfs_quota_us", "-1", "50000", "unlimited", "request: --cpus 0.5"),
        ((), "cpu.shares", "2", "1024", "2", "default"),
        (("--cpuset-cpus", "0"), "cpuset.cpus", "0-1", "0", "0-1", "request: --cpuset-cpus 0"),
    ],
)
def test_a_limit_changed_by_hand(
    run: Run, options: tuple[str, ...], file: str, value: str, planned: str, actual: str, cause: str
) -> None:
    if file == "cpuset.cpus" and (os.cpu_count() or 1) < 2:
        pytest.skip("one CPU only")
    container = run(*options, *SLEEP)
    container.cgroup_file(file).write_text(value)
    assert container.drift() == [
        {"Kind": "limit", "What": file, "Planned": planned, "Actual": actual, "Cause": cause}
    ]


@v1_only
def test_a_device_allowed_and_one_denied_by_hand(run: Run) -> None:
    container = run(*SLEEP)
    container.cgroup_file("devices.allow").write_text("b 8:0 rw")
    container.cgroup_file("devices.deny").write_text("c 1:3 rwm")
    added, taken = "b 8:0 rw", "c 1:3 rwm"
    assert {(d["What"], d["Planned"], d["Actual"]) for d in container.drift()} == {
        ("devices.list", "", added),
        ("devices.list", taken, ""),
    }


# ---------------------------------------------------------------- mounts


def test_a_mount_added_through_nsenter(run: Run) -> None:
    container = run(*SLEEP)
    container.inside("--mount", "mkdir -p /mnt/new && mount -t tmpfs tmpfs /mnt/new")
    assert container.drift() == [
        {"Kind": "mount", "What": "/mnt/new", "Planned": "", "Actual": "tmpfs rw", "Cause": ""}
    ]


def test_a_mount_on_top_of_another(run: Run) -> None:
    container = run("-v", "/etc:/data:ro", *SLEEP)
    container.inside("--mount", "mount -t tmpfs tmpfs /data")
    assert kinds(container.drift()) == {("mount", "/data")}


def test_a_mount_below_a_recursive_bind(run: Run) -> None:
    container = run("-v", "/usr:/data", *SLEEP)
    container.inside("--mount", "mount -t tmpfs tmpfs /data/share")
    assert kinds(container.drift()) == {("mount", "/data/share")}


def test_a_mask_taken_away(run: Run) -> None:
    container = run(*SLEEP)
    container.inside("--mount", "umount /proc/keys")
    (drift,) = container.drift()
    assert (drift["Kind"], drift["What"], drift["Actual"]) == ("mount", "/proc/keys", "")
    assert drift["Planned"] and drift["Cause"] == "default"


def test_a_bind_taken_away(run: Run) -> None:
    container = run("-v", "/etc:/data:ro", *SLEEP)
    container.inside("--mount", "umount /data")
    (drift,) = container.drift()
    assert drift == {
        "Kind": "mount", "What": "/data", "Planned": "/etc ro", "Actual": "", "Cause": "request: -v /etc:/data:ro",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "command", "target", "planned", "actual"),
    [
        (("-v", "/etc:/data:ro"), "mount -o remount,bind,rw none /data", "/data", "ro", "rw"),
        (("-v", "/etc:/data"), "mount -o remount,bind,ro none /data", "/data", "rw", "ro"),
        ((), "mount -o remount,bind,rw,nosuid,nodev,noexec none /proc/sys", "/proc/sys", "ro", "rw"),
        (("--read-only",), "mount -o remount,bind,rw none /", "/", "ro", "rw"),
        (("--tmpfs", "/t"), "mount -o remount,bind,rw,nosuid,nodev none /t", "/t", "noexec", "exec"),
    ],
)
def test_a_mounts_flags_changed(
    run: Run, options: tuple[str, ...], command: str, target: str, planned: str, actual: str
) -> None:
    container = run(*options, *SLEEP)
    container.inside("--mount", command)
    (drift,) = container.drift()
    assert (drift["Kind"], drift["What"], drift["Planned"], drift["Actual"]) == (
        "mount",
        target,
        planned,
        actual,
    )


# ---------------------------------------------------------------- network


TAMPERED = {
    "a port taken": "nft delete element ip wherry published_any '{ tcp . 8080 }'",
    "all ports taken": "nft flush map ip wherry published_any",
    "a port added": "nft add element ip wherry published_any '{ tcp . 9999 : ADDRESS . 22 }'",
}


@pytest.mark.parametrize("how", TAMPERED)
def test_what_somebody_does_to_published_ports_does_not_last(run: Run, daemon: Daemon, how: str) -> None:
    """The engine's watch puts ports back; what is drift until then has a test without the kernel: test_pure.py."""
    container = run("-p", "8080:80", *SLEEP)
    daemon.run_in_ns(TAMPERED[how].replace("ADDRESS", container.address))
    assert eventually(lambda: container.drift() == []), container.drift()


def test_an_address_added_and_one_removed(run: Run) -> None:
    container = run(*SLEEP)
    address = container.address
    container.inside("--net", "ip addr add 10.1.2.3/24 dev eth0")
    assert container.drift() == [
        {"Kind": "address", "What": "eth0", "Planned": "", "Actual": "10.1.2.3/24", "Cause": ""}
    ]
    container.inside("--net", f"ip addr del {address}/16 dev eth0")
    assert kinds(container.drift()) >= {("address", "eth0"), ("route", "172.17.0.0/16")}
    assert ("", "10.1.2.3/24") in {(d["Planned"], d["Actual"]) for d in container.drift()}
    assert (f"{address}/16", "") in {(d["Planned"], d["Actual"]) for d in container.drift()}


def test_a_route_gone_and_another_added(run: Run) -> None:
    container = run(*SLEEP)
    container.inside("--net", "ip route del default; ip route add 10.0.0.0/8 dev eth0")
    assert [(d["Kind"], d["What"], d["Planned"], d["Actual"]) for d in container.drift()] == [
        ("route", "default", "via 172.17.0.1 on eth0", ""),
        ("route", "10.0.0.0/8", "", "on eth0"),
    ]


def test_an_interface_down_and_unplugged(run: Run, daemon: Daemon) -> None:
    container = run(*SLEEP)
    end = next(i["HostEnd"] for i in container.explain()["Interfaces"] if i["Name"] == "eth0")
    daemon.run_in_ns(f"ip link set {end} nomaster")
    (drift,) = container.drift()
    assert (drift["Kind"], drift["What"]) == ("interface", f"{end} on the host")
    assert (drift["Planned"], drift["Actual"]) == ("on wherry0", "on no bridge")
    container.inside("--net", "ip link set eth0 down")
    assert ("interface", "eth0") in kinds(container.drift())


def test_an_interface_added(run: Run) -> None:
    container = run("--network", "none", *SLEEP)
    container.inside("--net", "ip link add veth8 type veth peer name veth9 && ip link set veth8 up")
    assert kinds(container.drift()) == {("interface", "veth8")}


# ---------------------------------------------------------------- processes and namespaces


def moved_out(container: Container, pid: int) -> None:
    """Into the parent of its cgroup, in one hierarchy."""
    parent = container.cgroup_file("cgroup.procs").parent.parent
    (parent / "cgroup.procs").write_text(str(pid))


def test_a_process_moved_out_of_its_cgroup(run: Run) -> None:
    container = run("busybox", "sh", "-c", "sleep 1001 & sleep 1000")
    pid = container.process("sleep 1001")
    moved_out(container, pid)
    (drift,) = container.drift()
    assert (drift["Kind"], drift["What"]) == ("process", f"{pid} sleep 1001")
    assert drift["Actual"]


@v1_only
def test_cgroups_that_a_container_makes_inside_its_own(run: Run) -> None:
    here = "/sys/fs/cgroup/pids/inner/most"
    script = f"mkdir -p {here}; sleep 1001 & echo $! >{here}/cgroup.procs; exec sleep 1000"
    container = run("--privileged", "busybox", "sh", "-c", script)
    pid = container.process("sleep 1001")
    container.process("sleep 1000")
    inner = container.cgroup_file("inner/most/cgroup.procs")  # the shell has made it by now
    assert inner.read_text().split() == [str(pid)]
    assert container.drift() == []


def test_a_process_that_came_in_through_nsenter(run: Run, daemon: Daemon) -> None:
    container = run(*SLEEP)
    enter = ["nsenter", "-t", str(container.pid), "-m", "-p", "-n", "sleep", "1002"]
    intruder = daemon.sandbox.popen(enter)
    try:
        found: Drifts = []
        while not any(drift["What"].endswith(" sleep 1002") for drift in found):
            assert intruder.poll() is None
            found = container.drift()
        assert [drift["Kind"] for drift in found] == ["process"]
    finally:
        intruder.kill()
        intruder.wait()


def test_a_namespace_swapped(run: Run) -> None:
    """The first process leaves the host's namespaces, which the plan has it in."""
    container = run("--privileged", "--network", "host", "busybox", "unshare", "-n", "sleep", "1000")
    container.process("sleep 1000")
    (drift,) = container.drift()
    assert (drift["Kind"], drift["What"], drift["Planned"]) == ("namespace", "net", "the host's")


def test_one_that_shared_a_network_with_another_which_was_started_anew(run: Run, daemon: Daemon) -> None:
    """It is left in the old one's network, which its plan says nothing of. Docker leaves it there too, untold."""
    first = run("--name", "first", *SLEEP)
    second = run("--network", "container:first", *SLEEP)
    daemon.docker("restart", "-t", "0", "first")
    (drift,) = second.drift()
    assert (drift["Kind"], drift["What"], drift["Planned"]) == ("namespace", "net", "that of container first")
    assert drift["Cause"] == f"request: --network container:{first.id[:12]}"


# ---------------------------------------------------------------- many at once


def test_check_of_all(run: Run, daemon: Daemon) -> None:
    good, bad = run(*SLEEP), run(*SLEEP)
    stopped = run("busybox", "true")
    bad.inside("--net", "ip addr add 10.1.2.3/24 dev eth0")
    daemon.api("POST", f"/containers/{stopped.id}/wait")
    running = {c["Id"]: c["Drift"] for c in daemon.api("GET", "/explain?check=1").body}
    assert running.keys() == {good.id, bad.id}
    assert running[good.id] == [] and kinds(running[bad.id]) == {("address", "eth0")}
    every = {c["Id"]: c["Drift"] for c in daemon.api("GET", "/explain?check=1&all=1").body}
    assert every == {**running, stopped.id: []}
    chosen = daemon.api("GET", f"/explain?check=1&container={good.id}&container={stopped.id}").body
    assert [c["Id"] for c in chosen] == [good.id, stopped.id]
