"""What other users of the host reach of our files, and who may speak to the API."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from tests.harness.daemon import Daemon, Finished
from tests.harness.waiting import eventually

SEARCH = "find {place} -mindepth 1 2>/dev/null; find {place} -type f -exec cat {{}} + 2>/dev/null; true"


def as_nobody(daemon: Daemon, command: str) -> Finished:
    """A shell command of an unprivileged user of the host."""
    daemon.base.chmod(0o755)  # the test's own folder must not be what protects us
    words = [
        "setpriv",
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
        "--inh-caps=-all",
        "--",
        "sh",
        "-c",
        command,
    ]
    return daemon.sandbox.run(words, check=False)


def test_nobody_reaches_images_and_containers(besieged: Daemon) -> None:
    """CVE-2024-25621, CVE-2021-41091, CVE-2021-41103: a setuid file of an image is no way to become root."""
    container = besieged.docker(
        "run", "-d", "-v", f"{besieged.sandbox.state}/volume:/v", "attacker",
        "sh", "-c", "cp -p /attacker-setuid /tmp/s; chmod 4755 /tmp/s; echo secret; sleep 600",
    ).stdout.strip()  # fmt: skip
    besieged.docker("exec", container, "true")
    for place in (besieged.data_root, besieged.exec_root):
        names = as_nobody(besieged, SEARCH.format(place=place)).stdout.split()
        assert [n for n in names if "containers/" in n or "layers/" in n or n == "secret"] == [], names
    seen = besieged.sandbox.outside(besieged.data_root)
    found = [path for path in seen.rglob("attacker-setuid") if path.stat().st_mode & stat.S_ISUID]
    upper = seen / "containers" / container / "upper/tmp/s"
    assert found and upper.stat().st_mode & stat.S_ISUID, "there is no setuid file: the test shows nothing"
    for path in (*found, upper):
        inside = besieged.data_root / path.relative_to(seen)
        done = as_nobody(besieged, f"{inside} status")
        assert done.returncode in {126, 127}, done
        assert "Permission denied" in done.stderr


def test_modes_of_the_roots(besieged: Daemon) -> None:
    besieged.docker("run", "-d", "busybox", "sleep", "600")
    outside = besieged.sandbox.outside
    assert stat.S_IMODE(outside(besieged.data_root).stat().st_mode) == 0o700
    assert stat.S_IMODE(outside(besieged.exec_root).stat().st_mode) == 0o711
    for folder in outside(besieged.exec_root).iterdir():
        if folder.is_dir():
            assert stat.S_IMODE(folder.stat().st_mode) & 0o077 == 0, folder
    for path in [*outside(besieged.exec_root).rglob("*"), *outside(besieged.data_root).glob("*")]:
        mode = path.lstat().st_mode
        assert stat.S_ISLNK(mode) or not stat.S_IMODE(mode) & 0o022, path


def test_roots_that_were_open_are_closed(fresh_daemon: Callable[..., Daemon]) -> None:
    """A data root that somebody made beforehand, as a package or an administrator does."""
    daemon = fresh_daemon(load=False)
    daemon.stop()
    for root in (daemon.data_root, daemon.exec_root):
        daemon.sandbox.outside(root).chmod(0o777)
    daemon.start()
    assert stat.S_IMODE(daemon.sandbox.outside(daemon.data_root).stat().st_mode) == 0o700
    assert stat.S_IMODE(daemon.sandbox.outside(daemon.exec_root).stat().st_mode) == 0o711


def test_who_may_speak_to_the_api(besieged: Daemon) -> None:
    status = os.stat(besieged.socket)
    assert stat.S_IMODE(status.st_mode) == 0o660 and status.st_uid == 0
    done = as_nobody(besieged, f"curl -s --unix-socket {besieged.socket} http://x/_ping || python3 -c \"import socket; "
                     f"socket.socket(socket.AF_UNIX).connect('{besieged.socket}')\"")  # fmt: skip
    assert done.returncode != 0 and "OK" not in done.stdout


def test_the_monitors_socket_is_roots(besieged: Daemon) -> None:
    container = besieged.docker("run", "-d", "busybox", "sleep", "600").stdout.strip()
    runtime = besieged.sandbox.outside(besieged.exec_root) / "containers" / container
    assert stat.S_IMODE(runtime.stat().st_mode) == 0o700
    assert stat.S_IMODE((runtime / "m").stat().st_mode) == 0o600


def test_logs_are_not_for_everybody(besieged: Daemon) -> None:
    container = besieged.docker("run", "-d", "busybox", "sh", "-c", "echo secret; sleep 600").stdout.strip()
    log = Path(besieged.sandbox.outside(besieged.data_root), "containers", container, f"{container}-json.log")
    assert eventually(log.exists)
    assert stat.S_IMODE(log.stat().st_mode) & 0o007 == 0


def test_a_container_has_no_way_to_the_api(besieged: Daemon) -> None:
    for options in (
        (),
        ("--network", "host"),
        ("--pid", "host"),
        ("--network", "host", "--pid", "host", "--ipc", "host"),
    ):
        script = f"ls {besieged.base} {besieged.data_root} /run/wherry /var/lib/wherry 2>&1 | grep -v 'No such'; true"
        assert besieged.docker("run", "--rm", *options, "busybox", "sh", "-c", script).stdout == ""


def test_what_a_container_writes_does_not_fill_run(besieged: Daemon) -> None:
    """/etc/hosts and its like lie on the data root's disk, not in the tmpfs that all of the host shares."""
    script = "for f in hosts hostname resolv.conf; do head -c 1000000 /dev/zero >> /etc/$f; done; sleep 600"
    container = besieged.docker("run", "-d", "busybox", "sh", "-c", script).stdout.strip()
    besieged.docker(
        "exec", container, "sh", "-c", "until [ $(wc -c < /etc/resolv.conf) -gt 1000000 ]; do :; done"
    )
    large = [
        p for p in besieged.sandbox.outside(besieged.exec_root).rglob("*") if p.lstat().st_size > 500_000
    ]
    assert large == []
