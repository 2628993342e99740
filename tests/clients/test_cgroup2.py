"""Control groups of version 2, as docker's command line and a container see them.

They run where the machine has that hierarchy; elsewhere ``python -m scripts.try_cgroup2`` runs them in a virtual
machine.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.harness.daemon import Daemon
from tests.harness.waiting import eventually
from tests.truth.trace import Tracer, parse

TOP = Path("/sys/fs/cgroup")
pytestmark = [
    pytest.mark.usefixtures("docker_cli"),
    pytest.mark.skipif(not (TOP / "cgroup.controllers").exists(), reason="this machine has cgroup version 1"),
]
MIB = 1 << 20
EATER = "x=$(dd if=/dev/zero bs=1M count=200 2>/dev/null | tr '\\0' x); echo survived"


def out(daemon: Daemon, *arguments: str, check: bool = True) -> str:
    return daemon.docker(*arguments, check=check).stdout.strip()


def detached(daemon: Daemon, *options: str, command: tuple[str, ...] = ("sleep", "1000")) -> Path:
    """Start a container; its folder in the hierarchy."""
    made = out(daemon, "run", "-d", "--name", "c1", *options, "busybox", *command)
    return TOP / daemon.sandbox.cgroup_parent / made


def values(folder: Path, *files: str) -> dict[str, str]:
    return {file: (folder / file).read_text().strip() for file in files}


def test_info_says_version_2(daemon: Daemon) -> None:
    assert out(daemon, "info", "--format", "{{.CgroupVersion}} {{.CgroupDriver}}") == "2 cgroupfs"
    assert (
        out(daemon, "info", "--format", "{{.MemoryLimit}} {{.SwapLimit}} {{.PidsLimit}}") == "true true true"
    )


def test_limits_outside_and_inside(daemon: Daemon) -> None:
    folder = detached(
        daemon, "-m", "64m", "--memory-swap", "96m", "--memory-reservation", "32m", "--cpus", "0.5",
        "--cpu-shares", "512", "--pids-limit", "33", "--cpuset-cpus", "0", "--cpuset-mems", "0",
    )  # fmt: skip
    wanted = {
        "memory.max": str(64 * MIB), "memory.swap.max": str(32 * MIB), "memory.low": str(32 * MIB),
        "cpu.max": "50000 100000", "cpu.weight": "59", "pids.max": "33", "cpuset.cpus": "0", "cpuset.mems": "0",
    }  # fmt: skip
    assert values(folder, *wanted) == wanted
    inside = out(daemon, "exec", "c1", "sh", "-c", f"cd /sys/fs/cgroup; cat {' '.join(wanted)}").splitlines()
    assert dict(zip(wanted, inside, strict=True)) == wanted
    assert out(daemon, "exec", "c1", "nproc") == "1"


def test_without_limits_there_are_none(daemon: Daemon) -> None:
    folder = detached(daemon)
    wanted = {"memory.max": "max", "memory.swap.max": "max", "cpu.max": "max 100000", "cpu.weight": "100"}
    assert values(folder, *wanted) == wanted


def births(file: Path) -> list[str]:
    """The clones that begin in a cgroup, and all writes that move a process into one."""
    calls = parse(file.read_text(errors="replace"))
    moves = [str(c) for c in calls if c.name == "write" and "/cgroup.procs>" in c.args and not c.failed]
    return [c.name for c in calls if "CLONE_INTO_CGROUP" in c.args and not c.failed] + moves


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_processes_are_born_in_their_group(daemon: Daemon, tmp_path: Path) -> None:
    with Tracer(daemon.pid, tmp_path / "start"):
        folder = detached(daemon, "--pids-limit", "2")
    assert births(tmp_path / "start") == ["clone3"]
    (first,) = (folder / "cgroup.procs").read_text().split()
    assert Path(f"/proc/{first}/cgroup").read_text() == f"0::/{folder.relative_to(TOP)}\n"
    with Tracer(daemon.pid, tmp_path / "exec"):
        assert out(daemon, "exec", "c1", "cat", "/proc/self/cgroup") == "0::/"
    assert births(tmp_path / "exec") == ["clone3"]
    (folder / "pids.max").write_text("1")  # full: nothing is born there, but what is moved there is let in
    with Tracer(daemon.pid, tmp_path / "full"):
        assert out(daemon, "exec", "c1", "cat", "/proc/self/cgroup") == "0::/"
    (moved,) = births(tmp_path / "full")
    assert f"/{folder.name}/cgroup.procs>" in moved


def test_its_own_namespace(daemon: Daemon) -> None:
    folder = detached(daemon)
    assert out(daemon, "exec", "c1", "cat", "/proc/1/cgroup", "/proc/self/cgroup") == "0::/\n0::/"
    mounted = out(daemon, "exec", "c1", "grep", " /sys/fs/cgroup ", "/proc/self/mountinfo").split()
    assert mounted[3] == "/" and mounted[5].startswith("ro") and mounted[mounted.index("-") + 1] == "cgroup2"
    members = out(daemon, "exec", "c1", "cat", "/sys/fs/cgroup/cgroup.procs").split()
    assert "1" in members and (folder / "cgroup.procs").read_text().split()
    done = daemon.docker("exec", "c1", "sh", "-c", "echo max > /sys/fs/cgroup/pids.max", check=False)
    assert "Read-only file system" in done.stderr


def test_the_hosts_namespace(daemon: Daemon) -> None:
    folder = detached(daemon, "--cgroupns", "host")
    path = str(folder.relative_to(TOP))
    assert out(daemon, "exec", "c1", "cat", "/proc/1/cgroup") == f"0::/{path}"
    assert out(daemon, "exec", "c1", "cat", f"/sys/fs/cgroup/{path}/pids.max") == "max"


def test_out_of_memory(daemon: Daemon) -> None:
    done = daemon.docker("run", "--name", "c1", "-m", "16m", "busybox", "sh", "-c", EATER, check=False)
    assert done.returncode == 137 and "survived" not in done.stdout
    assert out(daemon, "inspect", "c1", "--format", "{{.State.OOMKilled}} {{.State.ExitCode}}") == "true 137"


def test_a_limit_on_processes(daemon: Daemon) -> None:
    script = "for n in 1 2 3 4 5 6 7 8; do sleep 5 & done; echo reached"
    done = daemon.docker("run", "--rm", "--pids-limit", "4", "busybox", "sh", "-c", script, check=False)
    assert done.returncode != 0 and "reached" not in done.stdout


def test_devices(daemon: Daemon) -> None:
    """A node can be made, as Docker's rules have it; whether it opens is the filter's matter."""
    script = (
        "for node in 'null c 1 3' 'full c 1 7' 'kmsg c 1 11' 'loop b 7 0'; do set -- $node;"
        " mknod /x$1 $2 $3 $4 || echo no node $1;"
        " if ( : < /x$1 ) 2>/tmp/why; then echo $1 read; else sed 's/.*: //' /tmp/why; fi;"
        " if ( : >> /x$1 ) 2>/tmp/why; then echo $1 write; else sed 's/.*: //' /tmp/why; fi; done"
    )
    denied = "Operation not permitted"
    syslog = ("run", "--rm", "--cap-add", "SYSLOG")
    plain = out(daemon, *syslog, "busybox", "sh", "-c", script).splitlines()
    assert plain == ["null read", "null write", "full read", "full write", *[denied] * 4]
    for letter, answers in {"r": ["kmsg read", denied], "w": [denied, "kmsg write"]}.items():
        rule = ("--device-cgroup-rule", f"c 1:11 {letter}")
        assert out(daemon, *syslog, *rule, "busybox", "sh", "-c", script).splitlines()[4:6] == answers
    every = ("--device-cgroup-rule", "c *:* rw")
    assert out(daemon, *syslog, *every, "busybox", "sh", "-c", script).splitlines()[4:7] == [
        "kmsg read", "kmsg write", denied,
    ]  # fmt: skip
    privileged = out(daemon, "run", "--rm", "--privileged", "busybox", "sh", "-c", script)
    assert privileged.splitlines()[4:6] == ["kmsg read", "kmsg write"]


def test_a_device_that_is_given(daemon: Daemon) -> None:
    given = (
        "run",
        "--rm",
        "--cap-add",
        "SYSLOG",
        "--device",
        "/dev/kmsg:/dev/given:r",
        "busybox",
        "sh",
        "-c",
    )
    assert out(daemon, *given, ": < /dev/given && echo read") == "read"
    done = daemon.docker(*given, ": >> /dev/given", check=False)
    assert done.returncode != 0 and "Operation not permitted" in done.stderr


def test_exec_is_in_the_same_group(daemon: Daemon) -> None:
    folder = detached(daemon, "-m", "32m")
    daemon.docker("exec", "-d", "c1", "sleep", "500")
    assert len((folder / "cgroup.procs").read_text().split()) == 2
    assert daemon.docker("exec", "c1", "sh", "-c", EATER, check=False).returncode == 137
    assert out(daemon, "inspect", "c1", "--format", "{{.State.Running}}") == "true"


def test_exec_where_the_container_has_groups_of_its_own(daemon: Daemon) -> None:
    """As systemd and Docker itself do in a container: behind that, none may be in the outer group any more."""
    script = (
        "cd /sys/fs/cgroup && mkdir init && echo 1 > init/cgroup.procs &&"
        " echo '+memory +pids' > cgroup.subtree_control && touch /ready; exec sleep 1000"
    )
    folder = detached(daemon, "--privileged", command=("sh", "-c", script))

    def ready() -> bool:
        return (folder / "init").exists() and not (folder / "cgroup.procs").read_text()

    assert eventually(ready, 30), out(daemon, "logs", "c1")
    time.sleep(0.5)
    assert (folder / "cgroup.subtree_control").read_text().split() == ["memory", "pids"]
    assert out(daemon, "exec", "c1", "cat", "/proc/self/cgroup") == "0::/init"
    daemon.docker("rm", "-f", "c1")
    assert not folder.exists()


def test_weights_and_rates_of_blocks(daemon: Daemon) -> None:
    folder = detached(daemon, "--blkio-weight", "500")
    assert (folder / "io.weight").read_text().split()[:2] == ["default", "4950"]


def test_top_lists_members(daemon: Daemon) -> None:
    detached(daemon)
    assert "sleep 1000" in out(daemon, "top", "c1")


def test_another_parent(daemon: Daemon) -> None:
    parent = f"{daemon.sandbox.cgroup_parent}/below"
    made = out(
        daemon, "run", "-d", "--name", "c1", "-m", "64m", "--cgroup-parent", parent, "busybox", "sleep", "99"
    )
    assert values(TOP / parent / made, "memory.max") == {"memory.max": str(64 * MIB)}
    daemon.docker("rm", "-f", "c1")
    assert not (TOP / parent / made).exists()
    (TOP / parent).rmdir()  # who named it keeps it


def test_stop_and_remove_take_the_group_along(daemon: Daemon) -> None:
    folder = detached(daemon, "--init")
    daemon.docker("stop", "-t", "5", "c1")
    assert not folder.exists()
    daemon.docker("start", "c1")
    assert (folder / "cgroup.procs").read_text().split()
    daemon.docker("rm", "-f", "c1")
    assert not folder.exists()


def test_the_daemon_is_killed(fresh_daemon: object) -> None:
    daemon: Daemon = fresh_daemon()  # type: ignore[operator]
    folder = detached(daemon, "-m", "64m")
    before = (folder / "cgroup.procs").read_text().split()
    daemon.kill9()
    daemon.start()
    assert (folder / "cgroup.procs").read_text().split() == before
    assert out(daemon, "exec", "c1", "cat", "/sys/fs/cgroup/memory.max") == str(64 * MIB)
    daemon.kill9()
    subprocess.run(["kill", "-9", *before], check=True)
    daemon.start()
    assert out(daemon, "inspect", "c1", "--format", "{{.State.ExitCode}} {{.State.Running}}") == "137 false"
    assert not folder.exists()
    daemon.docker("rm", "c1")
    assert daemon.stop() == 0
    assert daemon.leaks() == []
    assert not (TOP / daemon.sandbox.cgroup_parent).exists()
