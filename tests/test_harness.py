"""The sandbox itself: it isolates, and it leaves nothing, even when its maker is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.cover import KERNELS, mount_points
from tests.harness.daemon import Daemon
from tests.harness.sandbox import CGROUPS, Sandbox
from tests.harness.waiting import eventually

ROOT = Path(__file__).resolve().parents[1]
HIERARCHY = next((f for f in (CGROUPS / "pids", CGROUPS) if f.is_dir()), CGROUPS)
FOLDERS = (*map(Path, ("/etc", "/usr/share", "/var/lib", "/root", "/tmp", "/dev")), ROOT)
MAKER = """
from tests.harness.sandbox import Sandbox
box = Sandbox()
box.popen(["sleep", "1000"])
print(box.base, box.cgroup_parent, box._keeper.pid, flush=True)
import time; time.sleep(1000)
"""


def test_sandbox_has_no_way_out_and_goes_without_a_trace() -> None:
    with Sandbox() as box:
        assert box.links() == []
        assert box.run("ip route").stdout == ""
        assert box.leaks() == []
        sleeper = box.popen(["sleep", "1000"])
        box.run("ip link add wherry9 type bridge; nft add table inet wherry9")
        cgroup = HIERARCHY / box.cgroup_parent
        cgroup.mkdir()
        kinds = {line.split()[0] for line in box.leaks()}
        assert kinds == {"process", "link", "cgroup", "nft"}
    assert sleeper.wait(timeout=10) == -signal.SIGKILL
    assert not cgroup.exists()
    assert not box.base.exists()


def test_sandbox_goes_when_its_maker_is_killed() -> None:
    maker = subprocess.Popen([sys.executable, "-c", MAKER], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert maker.stdout is not None
    base, _, keeper = maker.stdout.readline().split()
    maker.kill()
    maker.wait()
    assert eventually(lambda: not Path(base).exists() and not Path(f"/proc/{keeper}").exists(), 20)
    maker.stdout.close()


@pytest.fixture
def name() -> Iterator[str]:
    """A name that nothing on this machine has, nor has afterwards."""
    made = f"made-{uuid.uuid4()}"
    yield made
    for left in (folder / made for folder in {*FOLDERS, *mounted()} if (folder / made).exists()):
        left.rmdir()


def mounted() -> list[Path]:
    return [point.path for point in mount_points() if point.fstype not in KERNELS and point.path.is_dir()]


def test_nothing_of_the_machine_changes(name: str) -> None:
    """What is made, written, given away or removed inside a sandbox is so there, and nowhere else."""
    null, passwd = os.stat("/dev/null"), Path("/etc/passwd").read_text()
    with Sandbox() as box:
        for folder in {*FOLDERS, *mounted()}:
            box.run(["mkdir", folder / name])
            assert box.outside(folder / name).is_dir() and not (folder / name).exists()
        box.run("echo x >>/etc/passwd; chown 7:7 /etc/passwd; chmod 600 /dev/null; rm /etc/hosts")
        assert box.outside("/etc/passwd").stat().st_uid == 7 and not box.outside("/etc/hosts").exists()
    assert Path("/etc/passwd").read_text() == passwd and Path("/etc/hosts").exists()
    assert os.stat("/dev/null").st_mode == null.st_mode


def test_nothing_of_the_machine_changes_through_a_container(daemon: Daemon, name: str) -> None:
    for folder in FOLDERS:
        daemon.docker("run", "--rm", "-v", f"{folder}:/given", "busybox", "mkdir", f"/given/{name}")
        assert daemon.sandbox.outside(folder / name).is_dir() and not (folder / name).exists()


def test_the_machine_keeps_its_name(daemon: Daemon) -> None:
    """Who may name the host that a container shares names the sandbox's."""
    before = Path("/proc/sys/kernel/hostname").read_text()
    daemon.docker("run", "--rm", "--uts", "host", "--cap-add", "SYS_ADMIN", "busybox", "hostname", "renamed")
    assert daemon.docker("run", "--rm", "--uts", "host", "busybox", "hostname").stdout == "renamed\n"
    assert Path("/proc/sys/kernel/hostname").read_text() == before
