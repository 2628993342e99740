"""``--ipc``: who shares memory with whom, and for how long."""

from __future__ import annotations

import pytest

from tests.harness.daemon import Daemon

pytestmark = pytest.mark.usefixtures("docker_cli")

DONOR = ("run", "-d", "--name", "donor", "--ipc")
WRITE = ("busybox", "sh", "-c", "echo hello > /dev/shm/f; sleep 1000")


def share(daemon: Daemon, *options: str) -> None:
    daemon.docker("run", "-d", "--name", "donor", "--ipc", "shareable", *options, *WRITE)


def refused(daemon: Daemon, mode: str) -> str:
    done = daemon.docker("run", "--rm", "--ipc", mode, "busybox", "true", check=False)
    assert done.returncode == 125
    return done.stderr


def test_who_joins_has_the_same_memory(daemon: Daemon) -> None:
    share(daemon, "--shm-size", "1m")
    script = "cat /dev/shm/f; echo back > /dev/shm/g; df -k /dev/shm | tail -1"
    joined = daemon.docker("run", "--rm", "--ipc", "container:donor", "busybox", "sh", "-c", script).stdout
    assert joined.splitlines()[0] == "hello"
    assert joined.splitlines()[1].split()[:2] == ["shm", "1024"]
    assert daemon.docker("exec", "donor", "cat", "/dev/shm/g").stdout == "back\n"


def test_the_memory_is_mounted_as_docker_does(daemon: Daemon) -> None:
    share(daemon, "--read-only", "-u", "1000")
    (line,) = daemon.docker("exec", "donor", "grep", " /dev/shm ", "/proc/mounts").stdout.splitlines()
    name, target, fstype, options, *_ = line.split()
    assert (name, target, fstype) == ("shm", "/dev/shm", "tmpfs")
    assert {"rw", "nosuid", "nodev", "noexec", "size=65536k"} <= set(options.split(","))
    assert daemon.docker("exec", "donor", "stat", "-c", "%a %u:%g", "/dev/shm").stdout == "1777 0:0\n"
    assert daemon.docker("exec", "donor", "sh", "-c", "echo > /dev/shm/mine").returncode == 0


def test_who_joined_keeps_the_memory_when_the_other_ends(daemon: Daemon) -> None:
    share(daemon)
    daemon.docker("run", "-d", "--name", "guest", "--ipc", "container:donor", "busybox", "sleep", "1000")
    daemon.docker("rm", "-f", "donor")
    assert daemon.docker("exec", "guest", "cat", "/dev/shm/f").stdout == "hello\n"
    assert not any("/containers/" in point for point in daemon.sandbox.mounts())


def test_each_start_has_new_memory_also_under_a_new_daemon(daemon: Daemon) -> None:
    share(daemon)
    daemon.kill9()
    daemon.start()
    assert daemon.docker("exec", "donor", "cat", "/dev/shm/f").stdout == "hello\n"
    guest = daemon.docker("run", "--rm", "--ipc", "container:donor", "busybox", "cat", "/dev/shm/f")
    assert guest.stdout == "hello\n"
    daemon.docker("exec", "donor", "touch", "/dev/shm/old")
    daemon.docker("restart", "-t", "0", "donor")
    assert "old" not in daemon.docker("exec", "donor", "ls", "/dev/shm").stdout
    daemon.docker("kill", "donor")
    assert not any("/containers/" in point for point in daemon.sandbox.mounts())


def test_a_lost_journal_leaves_no_memory_behind(daemon: Daemon) -> None:
    share(daemon)
    daemon.kill9()
    for journal in daemon.sandbox.outside(daemon.exec_root).glob("containers/*/launch.json"):
        journal.unlink()
    daemon.start()
    daemon.docker("rm", "-f", "donor")
    assert not any("/containers/" in point for point in daemon.sandbox.mounts())


@pytest.mark.parametrize("mode", ["private", "none"])
def test_private_memory_is_not_joined(daemon: Daemon, mode: str) -> None:
    id = daemon.docker(*DONOR, mode, *WRITE).stdout.strip()
    assert (
        f"failed to join IPC namespace: container {id}: non-shareable IPC "
        "(hint: use IpcMode:shareable for the donor container)" in refused(daemon, "container:donor")
    )


def test_memory_is_joined_at_whoever_shares_it_while_it_is_there(daemon: Daemon) -> None:
    share(daemon)
    daemon.docker("run", "-d", "--name", "guest", "--ipc", "container:donor", "busybox", "sleep", "1000")
    third = daemon.docker("run", "--rm", "--ipc", "container:guest", "busybox", "cat", "/dev/shm/f")
    assert third.stdout == "hello\n"
    daemon.docker("stop", "-t", "0", "donor")
    assert "non-shareable IPC" in refused(daemon, "container:guest")
    daemon.docker("rm", "donor")
    assert "non-shareable IPC" in refused(daemon, "container:guest")


def test_who_joins_a_container_on_the_hosts_memory_has_that(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "donor", "--ipc", "host", "busybox", "sleep", "1000")
    found = [
        daemon.docker("run", "--rm", "--ipc", mode, "busybox", "stat", "-c", "%d", "/dev/shm").stdout
        for mode in ("host", "container:donor")
    ]
    assert found[0] == found[1]


def test_what_cannot_be_joined_is_refused(daemon: Daemon) -> None:
    id = daemon.docker("create", "--name", "donor", "--ipc", "shareable", *WRITE).stdout.strip()
    assert f"failed to join IPC namespace: container {id} is not running" in refused(
        daemon, "container:donor"
    )
    for option in ("--ipc", "--pid"):
        done = daemon.docker("create", option, "container:nosuch", "busybox", check=False)
        assert (done.returncode, done.stderr) == (
            1,
            "Error response from daemon: No such container: nosuch\n",
        )
    assert (
        daemon.api(
            "POST", "/containers/create", {"Image": "busybox", "HostConfig": {"PidMode": "container:x"}}
        ).status
        == 400
    )


@pytest.mark.parametrize("kind", ["ipc", "pid", "network"])
def test_a_shared_namespace_is_that_of_the_same_container_whatever_it_is_called(
    daemon: Daemon, kind: str
) -> None:
    share(daemon)
    id = daemon.docker(
        "create", "--name", "guest", f"--{kind}", "container:donor", "busybox", "true"
    ).stdout.strip()
    daemon.docker("rename", "donor", "elsewhere")
    daemon.docker("run", "-d", "--name", "donor", "busybox", "sleep", "1000")
    assert daemon.docker("start", "-a", "guest").returncode == 0
    mode = daemon.inspect(id)["HostConfig"][
        {"ipc": "IpcMode", "pid": "PidMode", "network": "NetworkMode"}[kind]
    ]
    assert mode == f"container:{daemon.inspect('elsewhere')['Id']}"


def test_without_memory_there_is_no_directory(daemon: Daemon) -> None:
    done = daemon.docker("run", "--rm", "--ipc", "none", "busybox", "ls", "/dev/shm", check=False)
    assert (done.returncode, done.stderr) == (1, "ls: /dev/shm: No such file or directory\n")
