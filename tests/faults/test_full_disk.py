"""A disk that is full, or nearly: clear words, nothing half done, and what makes room again works."""

from __future__ import annotations

import io
import os
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.sweep import unreadable, words
from tests.harness.daemon import Daemon
from tests.harness.images import add_file, docker_archive
from tests.harness.waiting import eventually

BODY = {"Image": "busybox", "Cmd": ["sh", "-c", "echo hello; exit 7"]}


def fill(daemon: Daemon, kilobytes: int) -> None:
    """Leave so much on the file system of both roots."""
    state = daemon.sandbox.state
    free = int(daemon.run_in_ns(["stat", "-f", "-c", "%a", state]).stdout) * 4
    total = int(daemon.run_in_ns(["stat", "-f", "-c", "%b", state]).stdout) * 4
    daemon.run_in_ns(["mount", "-o", f"remount,size={total - free + kilobytes}k", state])


def make_room(daemon: Daemon) -> None:
    daemon.run_in_ns(["mount", "-o", "remount,size=80%", daemon.sandbox.state])


def names(daemon: Daemon) -> set[str]:
    return {name for c in daemon.api("GET", "/containers/json?all=1").body for name in c["Names"]}


@pytest.mark.parametrize("kilobytes", [0, 4, 12, 20, 28, 40])
def test_nearly_full(fresh_daemon: Callable[..., Daemon], kilobytes: int) -> None:
    daemon = fresh_daemon()
    for name in ("old", "again"):
        assert daemon.api("POST", f"/containers/create?name={name}", BODY).status == 201
    fill(daemon, kilobytes)
    here = {"/old", "/again"}
    for _ in range(3):
        answer = daemon.api("POST", "/containers/create?name=new", BODY)
        assert not unreadable(answer), answer
        here |= {"/new"} if answer.status == 201 else set()
        assert names(daemon) == here
        answer = daemon.api("POST", "/containers/again/start", timeout=15)
        assert not unreadable(answer), answer
        waited = daemon.api("POST", "/containers/again/wait", timeout=15)
        assert waited.body["StatusCode"] == (7 if answer.status == 204 else 128), (answer, waited)
        answer = daemon.api("POST", "/containers/again/rename?name=other")
        assert (answer.status == 204) == (names(daemon) == here - {"/again"} | {"/other"}), words(answer)
        if answer.status == 204:
            assert daemon.api("POST", "/containers/other/rename?name=again").status == 204
    for name in here:
        answer = daemon.api("DELETE", f"/containers{name}?force=1")
        assert answer.status == 204, f"{name} cannot be removed: {words(answer)}"
    assert names(daemon) == set()
    make_room(daemon)
    assert daemon.docker("run", "--rm", "busybox", "echo", "again").stdout == "again\n"
    assert daemon.stop() == 0
    assert daemon.leaks() == []


@pytest.mark.parametrize("kilobytes", [0, 8, 12, 20, 40])
def test_what_a_user_does_on_a_full_disk(fresh_daemon: Callable[..., Daemon], kilobytes: int) -> None:
    """Runs fail by 125 and leave nothing, or work; who waits is answered; containers and images can be removed."""
    daemon = fresh_daemon()
    daemon.docker("tag", "busybox", "other")
    daemon.docker("run", "-d", "--name", "runs", "busybox", "sleep", "600")
    daemon.docker("run", "-d", "--name", "ends", "busybox", "sh", "-c", "sleep 2; exit 3")
    waiting = daemon.docker_popen("wait", "ends")
    fill(daemon, kilobytes)
    for _ in range(4):
        done = daemon.docker("run", "--rm", "busybox", "echo", "on", check=False, timeout=20)
        assert done.returncode in (0, 125), done  # its process may have been under way when the disk was full
        assert done.returncode == 0 or "cannot" in done.stderr or "no space left" in done.stderr, done
        assert names(daemon) == {"/runs", "/ends"}
    said, _ = waiting.communicate(timeout=20)
    assert (waiting.returncode, said) == (0, "3\n")
    daemon.docker("rm", "-f", "runs", timeout=20)
    daemon.docker("rm", "ends", timeout=20)
    daemon.docker("rmi", "other", "busybox", timeout=20)
    assert names(daemon) == set() and daemon.docker("images", "-q").stdout == ""
    assert daemon.stop() == 0 and daemon.leaks() == []


def test_a_run_that_cannot_be_planned_ends(fresh_daemon: Callable[..., Daemon]) -> None:
    """Also for a client that waits for its removal: with the host's /etc/resolv.conf a directory."""
    daemon = fresh_daemon()
    etc = daemon.sandbox.state / "etc"
    daemon.run_in_ns(
        f"mkdir -p {etc}/resolv.conf && cp /etc/hosts /etc/passwd {etc} && mount --bind {etc} /etc"
    )
    done = daemon.docker("run", "--rm", "busybox", "true", check=False, timeout=20)
    assert (
        done.returncode == 126 and "is a directory: /etc/resolv.conf" in done.stderr
    )  # the client's reading of it
    assert names(daemon) == set()
    daemon.run_in_ns(["umount", "/etc"])


@pytest.mark.parametrize("made", ["mkfifo", "ln -s /dev/zero", "truncate -s 3G"])
def test_what_is_no_file_where_the_host_has_one_holds_nobody(
    fresh_daemon: Callable[..., Daemon], made: str
) -> None:
    daemon = fresh_daemon()
    etc = daemon.sandbox.state / "etc"
    daemon.run_in_ns(
        f"mkdir -p {etc} && cp /etc/hosts /etc/passwd {etc} && {made} {etc}/resolv.conf && mount --bind {etc} /etc"
    )
    done = daemon.docker("run", "--rm", "busybox", "true", check=False, timeout=20)
    assert done.returncode == 125 and "no regular file of at most" in done.stderr
    assert names(daemon) == set()
    daemon.run_in_ns(["umount", "/etc"])
    assert daemon.docker("run", "--rm", "busybox", "true").returncode == 0


def test_a_daemon_on_a_full_disk_comes_up_or_says_why_not(fresh_daemon: Callable[..., Daemon]) -> None:
    daemon = fresh_daemon()
    assert daemon.api("POST", "/containers/create?name=kept", BODY).status == 201
    daemon.kill9()
    fill(daemon, 0)
    try:
        daemon.start()
        assert names(daemon) == {"/kept"}
        daemon.kill9()
    except RuntimeError as error:
        assert "cannot" in str(error) and "Traceback" not in str(error), error
    make_room(daemon)
    daemon.start()
    assert names(daemon) == {"/kept"}


def test_a_directory_where_the_host_has_a_file(fresh_daemon: Callable[..., Daemon]) -> None:
    daemon = fresh_daemon()
    assert daemon.api("POST", "/containers/create?name=again", BODY).status == 201
    etc = daemon.sandbox.state / "etc"
    daemon.run_in_ns(
        f"mkdir -p {etc}/resolv.conf && cp /etc/hosts /etc/passwd {etc} && mount --bind {etc} /etc"
    )
    answer = daemon.api("POST", "/containers/again/start")
    assert answer.status == 500 and not unreadable(answer)
    assert words(answer) == "cannot plan the container: is a directory: /etc/resolv.conf"
    assert daemon.inspect("again")["State"]["Error"] == words(answer)
    daemon.run_in_ns(["umount", "/etc"])
    assert daemon.api("POST", "/containers/again/start").status == 204
    assert daemon.api("POST", "/containers/again/wait").body == {"StatusCode": 7}


def test_compression_of_logs_leaves_the_log_its_room(fresh_daemon: Callable[..., Daemon]) -> None:
    """What is left of the disk is for new lines; there is compressed again when there is room for both."""
    daemon = fresh_daemon()
    options = {"compress": "true", "max-size": "400k", "max-file": "9"}
    body = {"Image": "busybox", "Cmd": ["seq", "1", "16000"]}
    body["HostConfig"] = {"LogConfig": {"Type": "json-file", "Config": options}}
    assert daemon.api("POST", "/containers/create?name=c1", body).status == 201
    fill(daemon, 1900)
    assert daemon.api("POST", "/containers/c1/start").status == 204
    assert daemon.api("POST", "/containers/c1/wait").body["StatusCode"] == 0
    home = daemon.sandbox.outside(daemon.data_root / "containers" / daemon.inspect("c1")["Id"])
    lines = [str(number) for number in range(1, 16001)]
    time.sleep(3)  # two times of looking for something to compress
    assert daemon.docker("logs", "c1").stdout.split() == lines
    assert len(rotated(home)) >= 2 and not any(name.endswith(".gz") for name in rotated(home))
    make_room(daemon)
    assert eventually(lambda: all(name.endswith(".gz") for name in rotated(home)), 30)
    assert daemon.docker("logs", "c1").stdout.split() == lines


def rotated(home: Path) -> list[str]:
    return [name for name in os.listdir(home) if "json.log." in name]


def thirty_files() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for number in range(30):
            add_file(tar, f"file{number}", b"hello")
    return buffer.getvalue()


def leave_inodes(daemon: Daemon, count: int) -> None:
    """Let no more than so many files be made on the file system of both roots."""
    state = daemon.sandbox.state
    total, free = map(int, daemon.run_in_ns(["stat", "-f", "-c", "%c %d", state]).stdout.split())
    daemon.run_in_ns(["mount", "-o", f"remount,nr_inodes={total - free + count}", state])


@pytest.mark.parametrize("quiet", ["0", "1"])
def test_what_comes_in_where_no_file_can_be_made(fresh_daemon: Callable[..., Daemon], quiet: str) -> None:
    """The answer says what could not be done, and where; for the log it is nothing that nobody foresaw."""
    daemon = fresh_daemon()
    layer = thirty_files()
    archive = docker_archive([layer], ["some:1"], {"Cmd": ["true"]})
    for inodes in range(24):
        leave_inodes(daemon, inodes)
        for path, body, verb in (
            (f"/images/load?quiet={quiet}", archive, "load"),
            ("/images/create?fromSrc=-&repo=import:1", layer, "import"),
        ):
            said = str(daemon.api("POST", path, raw=body).body)
            assert "no space left on device" in said.lower(), said
            assert f"cannot {verb} the archive: " in said or "cannot write the layer's" in said, said
    assert "Traceback" not in daemon.log.read_text()
    leave_inodes(daemon, 10_000)
    daemon.load(archive)
