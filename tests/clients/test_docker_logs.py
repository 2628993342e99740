"""``--log-opt compress=true`` as a user sees it: gzip files, and ``docker logs`` of them, with kills between."""

from __future__ import annotations

import gzip
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.daemon import Daemon
from tests.harness.waiting import eventually

pytestmark = pytest.mark.usefixtures("docker_cli")

OPTIONS = ("--log-opt", "compress=true", "--log-opt", "max-size=8k", "--log-opt", "max-file=2000")
NAME = re.compile(r"[0-9a-f]{64}-json\.log(\.[0-9]+(\.gz)?)?")
# Lines with the number of this start: a container's own file counts those.
COUNTING = (
    "echo x >> /starts; s=$(wc -l < /starts); i=0; "
    "while :; do i=$((i + 1)); echo $s $i; [ $((i % 20)) = 0 ] && usleep 5000; done"
)


def folder(daemon: Daemon, name: str) -> Path:
    return daemon.sandbox.outside(daemon.data_root / "containers" / daemon.inspect(name)["Id"])


def log_names(daemon: Daemon, name: str) -> list[str]:
    return [entry for entry in os.listdir(folder(daemon, name)) if "json.log" in entry]


def plain(names: list[str]) -> list[str]:
    return [name for name in names if name[-1].isdigit()]


def packed(names: list[str]) -> list[str]:
    return [name for name in names if name.endswith(".gz")]


def logged(daemon: Daemon, *options: str) -> list[str]:
    return daemon.docker("logs", *options, "c1").stdout.splitlines()


def test_rotated_files_are_gzip_files_that_logs_reads(daemon: Daemon) -> None:
    daemon.docker("run", "--name", "c1", *OPTIONS, "busybox", "seq", "1", "3000")
    assert eventually(lambda: not plain(log_names(daemon, "c1")), 60)
    names, where = log_names(daemon, "c1"), folder(daemon, "c1")
    assert len(packed(names)) > 20 and all(map(NAME.fullmatch, names))
    assert b'{"log":"1\\n","stream":"stdout"' in gzip.decompress(
        max(
            (where / name for name in packed(names)), key=lambda path: int(path.suffixes[-2][1:])
        ).read_bytes()
    )
    lines = [str(number) for number in range(1, 3001)]
    assert logged(daemon) == lines
    assert logged(daemon, "--tail", "700") == lines[-700:]
    since = logged(daemon, "-t")[1000].partition(" ")[0]
    assert logged(daemon, "--since", since) == lines[1000:]
    assert logged(daemon, "--until", since)[-1] in lines[999:1001]
    daemon.docker("rm", "c1")
    assert eventually(lambda: not where.exists(), 60)


def test_following_goes_through_rotations_and_compression(daemon: Daemon) -> None:
    script = "for i in $(seq 1 3000); do echo $i; [ $((i % 20)) = 0 ] && usleep 20000; done; true"
    daemon.docker("run", "-d", "--name", "c1", *OPTIONS, "busybox", "sh", "-c", script)
    with daemon.docker_popen("logs", "-f", "c1") as logs:
        assert eventually(lambda: len(packed(log_names(daemon, "c1"))) > 3, 60)
        assert daemon.inspect("c1")["State"]["Running"]
        assert logs.communicate()[0].split() == [str(number) for number in range(1, 3001)]
    daemon.docker("rm", "c1")


def test_no_more_files_than_are_asked_for(daemon: Daemon) -> None:
    options = (*OPTIONS[:-1], "max-file=4")
    script = "for i in $(seq 1 3000); do echo $i; [ $((i % 20)) = 0 ] && usleep 20000; done; true"
    daemon.docker("run", "--name", "c1", *options, "busybox", "sh", "-c", script)
    assert eventually(lambda: not plain(log_names(daemon, "c1")), 60)
    stem = daemon.inspect("c1")["Id"] + "-json.log"
    assert sorted(log_names(daemon, "c1")) == [stem, f"{stem}.1.gz", f"{stem}.2.gz", f"{stem}.3.gz"]
    lines = [int(line) for line in logged(daemon)]
    assert lines == list(range(lines[0], 3001))
    daemon.docker("rm", "c1")


@pytest.mark.slow
def test_no_line_is_lost_or_doubled_by_kills(fresh_daemon: Callable[..., Daemon]) -> None:
    daemon = fresh_daemon()
    daemon.docker("create", "--name", "c1", *OPTIONS, "busybox", "sh", "-c", COUNTING)
    for round in range(6):
        daemon.docker("start", "c1")
        time.sleep(0.3 + 0.2 * round)
        daemon.kill9()
        time.sleep(0.1)
        daemon.start()
        time.sleep(0.7)
        os.kill(monitor_of(daemon, "c1"), signal.SIGKILL)
        daemon.docker("wait", "c1")
    assert eventually(lambda: not plain(unfinished(daemon, "c1")), 60)
    assert all(map(NAME.fullmatch, log_names(daemon, "c1")))
    found = [tuple(map(int, line.split())) for line in logged(daemon)]
    for start in range(1, 7):
        numbers = [number for which, number in found if which == start]
        assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) > 1000
    daemon.docker("rm", "c1")
    assert daemon.stop() == 0 and daemon.leaks() == []


def unfinished(daemon: Daemon, name: str) -> list[str]:
    """Those that are not compressed, and were not in the middle of it when somebody was killed."""
    names = log_names(daemon, name)
    return [name for name in names if f"{name}.gz" not in names]


def monitor_of(daemon: Daemon, name: str) -> int:
    state = daemon.inspect(name)["State"]
    assert state["Running"], (state, daemon.log_tail())
    pid = state["Pid"]
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.slow
def test_a_log_that_rotates_all_the_time_keeps_no_monitor_from_its_daemon(
    fresh_daemon: Callable[..., Daemon],
) -> None:
    """Thousands of small files are renamed for each that is full; a new daemon is heard nevertheless."""
    daemon = fresh_daemon()
    options = ("--log-opt", "max-size=1k", "--log-opt", "max-file=10000")
    daemon.docker("run", "-d", "--name", "c1", *options, "busybox", "yes")
    assert eventually(lambda: len(log_names(daemon, "c1")) > 1000, 60)
    daemon.kill9()
    daemon.start()
    assert daemon.inspect("c1")["State"]["Running"]
