"""What reaches the host is said at the top of explanations, pages and dry runs, with what could be done with it."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.engine.explain.test_causes import body
from tests.harness.daemon import Daemon
from wherry.engine.explain.reach_paths import Kind, Place, bound
from wherry.runtime.mounts import MountPoint

Warnings = list[tuple[str, str]]

REACHING = {
    "--privileged": "root on the host in all but name",
    "--network host": "connect to what listens on the host's 127.0.0.1",
    "--pid host": "see every process of the host",
    "--ipc host": "shared memory",
    "--volume /:/host": "the host's whole filesystem, which is enough to become root on the host; and talk to",
    "--volume /etc:/data:ro": "It can read all files in the host's /etc, secrets among them.",
    "--mount type=bind,source=/usr,target=/data": "files in the host's /usr, which is enough to become root",
    "--volume /srv/made:/data": "It can change, add and delete files in the host's /srv/made.",
    "--volume /etc/hostname:/data": "It can change the host's file /etc/hostname.",
    "--volume /run:/data:ro": "the services whose sockets are there",
    "--cap-add SYS_ADMIN": "mount filesystems and administer most of the kernel",
    "--cap-add WAKE_ALARM": "wake the host from sleep (CAP_WAKE_ALARM)",
    "--cap-add ALL": "other capabilities.",
    "--security-opt seccomp=unconfined": "every system call",
    "--security-opt writable-cgroups=true": "change its own limits",
    "--device /dev/kmsg:/dev/log": "a device of the host, as /dev/log",
    "--device /dev/null:/dev/mem": "a device of the host, as /dev/mem",
    "--device-cgroup-rule 'c 13:* rwm'": "those of the host's devices that match c 13:* rwm",
}
# A path below, a file, one behind a link: of each, whether it is enough to become root.
BELOW = {
    "/etc/cron.d": True, "/usr/bin": True, "/bin": True, "/root/.ssh": True, "/var/lib/docker/overlay2": True,
    "/etc/passwd": True, "/proc/sys": True, "/etc/hostname": False, "/usr/share/doc": False,
    "/srv": False, "/opt/app": False,
}  # fmt: skip
SYSTEM_PATHS = "--security-opt systempaths=unconfined"
CONFINED = (
    "",
    "--publish 8080:80 --memory 64m --init --tty",
    "--volume /usr:/data:ro --tmpfs /scratch",
    "--network none --cap-drop ALL --read-only",
    "--uts host --cgroupns host",
)


def warnings(daemon: Daemon, options: str) -> Warnings:
    answer = daemon.api("POST", "/containers/create?dryRun=1", body(options))
    assert answer.status == 200, answer
    return [(found["Could"], found["Cause"]) for found in answer.body["Reach"]]


@pytest.mark.parametrize("options", REACHING)
def test_what_could_be_done_with_it(daemon: Daemon, options: str) -> None:
    ((could, cause),) = warnings(daemon, options)
    assert could.startswith("It ") and REACHING[options] in could
    assert cause.split()[0].lstrip("-")[0] == options.lstrip("-")[0]


@pytest.mark.parametrize("path", BELOW)
def test_where_writing_is_enough_to_become_root(daemon: Daemon, path: str) -> None:
    ((could, _),) = warnings(daemon, f"--volume {path}:/data")
    assert ("enough to become root" in could) == BELOW[path], could


def test_a_link_is_judged_by_where_it_leads(daemon: Daemon) -> None:
    for name, path in (("whole", "/"), ("settings", "/etc")):
        (daemon.base / name).symlink_to(path)
    ((could, _),) = warnings(daemon, f"--volume {daemon.base}/settings:/data")
    assert f"the host's /etc (by {daemon.base}/settings), which is enough to become root" in could
    ((could, _),) = warnings(daemon, f"--volume {daemon.base}/whole:/data:ro")
    assert could.startswith(
        f"It can read all files in the host's whole filesystem (by {daemon.base}/whole), secrets"
    )


def test_the_engines_own_folders_are_everybodys_files(daemon: Daemon) -> None:
    for folder in (
        daemon.data_root,
        daemon.data_root / "layers",
        daemon.exec_root,
        daemon.exec_root / "containers",
    ):
        ((could, _),) = warnings(daemon, f"--volume {folder}:/data")
        assert could.endswith(f"files in the host's {folder}, which is enough to become root on the host.")


def test_what_is_mounted_below_a_read_only_bind_can_be_changed(daemon: Daemon) -> None:
    folder = daemon.base / "outer"
    (folder / "inner").mkdir(parents=True)
    mount = f"--mount type=bind,source={folder},target=/data,readonly,bind-recursive="
    daemon.run_in_ns(["mount", "-t", "tmpfs", "inner", folder / "inner"])
    try:
        ((could, _),) = warnings(daemon, f"{mount}writable")
        assert could.endswith(", and change those on other filesystems that are mounted below it.")
        assert warnings(daemon, f"--volume {folder}:/data:ro") == []
    finally:
        daemon.run_in_ns(["umount", folder / "inner"])
    assert warnings(daemon, f"{mount}writable") == []


@pytest.mark.parametrize("kind", ["network", "pid", "ipc"])
def test_what_another_container_has_of_the_hosts_is_lent_too(daemon: Daemon, kind: str) -> None:
    (said,) = (could for could, _ in warnings(daemon, f"--{kind} host"))
    daemon.docker("run", "-d", "--name", "first", f"--{kind}", "host", "busybox", "sleep", "600")
    joined = ["run", "-d", f"--{kind}", "container:first", "--name", "second", "busybox", "sleep", "600"]
    ((could, cause),) = warnings(daemon, f"--{kind} container:first")
    assert could == said and cause.startswith(f"--{kind} container:")
    daemon.docker(*joined)
    for asked in ("explain", "plan"):
        (found,) = daemon.api("GET", f"/containers/second/{asked}").body["Reach"]
        assert found["Could"] == said
    if kind != "ipc":
        ((could, _),) = warnings(daemon, f"--{kind} container:second")
        assert could == said


def test_disks_memory_and_directories_of_devices(daemon: Daemon, tmp_path: Path) -> None:
    nodes = {"disk": (stat.S_IFBLK, 254, 0), "mem": (stat.S_IFCHR, 1, 1)}
    for name, (kind, major, minor) in nodes.items():
        os.mknod(tmp_path / name, kind | 0o600, os.makedev(major, minor))
    said = {
        f"{tmp_path}/disk:/dev/disk": "It can use a disk of the host, as /dev/disk, without regard to",
        f"{tmp_path}/mem:/dev/mem": "It can read and change the host's memory through /dev/mem.",
        f"{tmp_path}:/dev/all": "It can use 2 devices of the host, as /dev/all/disk and others.",
    }
    for given, words in said.items():
        ((could, cause),) = warnings(daemon, f"--device {given}")
        assert could.startswith(words) and cause == f"--device {given}:rwm"


def test_hidden_paths_that_are_not(daemon: Daemon) -> None:
    assert {cause for _, cause in warnings(daemon, SYSTEM_PATHS)} == {SYSTEM_PATHS}


@pytest.mark.parametrize("options", CONFINED)
def test_what_is_given_nothing_of_the_hosts_is_not_warned_of(daemon: Daemon, options: str) -> None:
    assert warnings(daemon, options) == []


def test_a_socket_is_told_from_a_file_also_where_it_is_read_only(daemon: Daemon, tmp_path: Path) -> None:
    for name, said in (("docker.sock", "start a privileged container"), ("db.sock", "talk to the service")):
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(str(tmp_path / name))
            ((could, _),) = warnings(daemon, f"--volume {tmp_path}/{name}:/door:ro")
            assert said in could


def test_a_shared_bind_shows_the_host_what_is_mounted_in_it() -> None:
    point = MountPoint("bind", "/data", source="/srv/made", propagation="rshared")
    could = bound(Place(point, "/srv/made", Kind.DIRECTORY), "")
    assert could.endswith("; what it mounts there, if it may mount, appears on the host.")


def test_rights_of_another_user_come_with_becoming_root(daemon: Daemon) -> None:
    ((could, _),) = warnings(daemon, "--user 1000:5 --cap-add SYS_ADMIN")
    assert could.startswith("If it becomes root (it runs as user 1000), it can mount filesystems")
    ((could, _),) = warnings(daemon, "--user 1000 --privileged")
    assert could.startswith("If it becomes root (it runs as user 1000), it is root on the host")


def test_what_another_user_may_not_is_not_promised(daemon: Daemon) -> None:
    ((could, _),) = warnings(daemon, "--user 1000 --volume /etc:/data")
    assert could == "It can change, add and delete files in the host's /etc, as far as user 1000 may."


DEAD = """
import ctypes, os, sys
door = os.open("/dev/fuse", os.O_RDWR)
mode = f"fd={door},rootmode=40000,user_id=0,group_id=0".encode()
if ctypes.CDLL(None, use_errno=True).mount(b"dead", sys.argv[1].encode(), b"fuse", 0, mode):
    sys.exit(os.strerror(ctypes.get_errno()))
print("dead", flush=True)
sys.stdin.read()
"""


@contextmanager
def dead(daemon: Daemon, path: Path) -> Iterator[None]:
    """A filesystem that answers nothing is mounted there meanwhile, as one of a server that is gone."""
    program = [sys.executable, "-c", DEAD, str(path)]
    with daemon.sandbox.popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None and server.stdout is not None
        assert server.stdout.readline() == b"dead\n"
        try:
            yield
        finally:
            server.stdin.close()
            server.wait()
            daemon.run_in_ns(["umount", path])


def test_a_disk_that_does_not_answer_holds_nobody_else(daemon: Daemon) -> None:
    """Eight ask what could be done with a bind of it, and have no answer until it is gone; the engine goes on."""
    path = daemon.base / "disk"
    path.mkdir()
    daemon.docker("run", "-d", "--name", "it", "-v", f"{path}:/data", "busybox", "sleep", "600")
    with ThreadPoolExecutor(8) as clients:
        with dead(daemon, path):
            asked = [clients.submit(daemon.api, "GET", "/containers/it/plan") for _ in range(8)]
            for _ in range(3):
                assert daemon.docker("run", "--rm", "busybox", "echo", "on", timeout=20).stdout == "on\n"
                assert daemon.docker("logs", "it", timeout=20).stdout == ""
            assert not any(each.done() for each in asked)
        for each in asked:
            (found,) = each.result(20).body["Reach"]
            assert found["Could"] == f"It can change, add and delete files in the host's {path}."


def test_a_dry_run_is_headed_by_the_name(daemon: Daemon) -> None:
    said = daemon.wherry("run", "--dry-run", "--name", "shop", "busybox").stdout
    assert said.startswith("run busybox as shop, a dry run: none of this has been done.\n")


def test_it_stands_at_the_top_everywhere(daemon: Daemon) -> None:
    options = ("--pid", "host", "-v", "/etc:/data")
    daemon.wherry("run", "-d", "--name", "open", *options, "busybox", "sleep", "60")
    page = daemon.wherry("explain", "--html", "-", "open").stdout
    assert page.index('id="reach"') < page.index('id="cost"') and "which is enough to become root" in page
    for words in (("run", "--dry-run", *options, "busybox"), ("explain", "open"), ("plan", "show", "open")):
        text = daemon.wherry(*words).stdout
        block = text.split("\n\n")[1]
        assert block.startswith("WARNING: WHAT IT CAN DO TO THE HOST\n")
        said = " ".join(block.split())
        assert "--pid host" in said and "-v /etc:/data" in said
    daemon.wherry("run", "-d", "--name", "calm", "busybox", "sleep", "60")
    for words in (("explain", "calm"), ("explain", "--html", "-", "calm"), ("run", "--dry-run", "busybox")):
        assert "WARNING" not in daemon.wherry(*words).stdout.upper()


def test_it_is_told_of_what_has_ended_too(daemon: Daemon) -> None:
    daemon.docker("run", "--name", "ended", "--privileged", "busybox", "true")
    explained: dict[str, Any] = daemon.api("GET", "/containers/ended/explain").body
    assert [found["Cause"] for found in explained["Reach"]] == ["--privileged"]
