"""The cgroup that containers' own are made in."""

from __future__ import annotations

from glob import glob
from pathlib import Path

from tests.harness.daemon import Daemon
from tests.harness.waiting import eventually


def test_a_parent_that_somebody_removed_is_made_again(daemon: Daemon) -> None:
    daemon.docker("run", "--rm", "busybox", "true")
    parent = daemon.sandbox.cgroup_parent
    folders = list(Path("/sys/fs/cgroup").glob(f"*/{parent}"))
    inner = [f"{folder}/*/" for folder in folders]
    assert eventually(
        lambda: not any(map(glob, inner))
    )  # the monitor removes them when it has told of the end
    for folder in folders:
        folder.rmdir()
    assert daemon.docker("run", "--rm", "busybox", "echo", "again").stdout == "again\n"


def test_the_parent_stands_in_the_plan_with_its_cause(daemon: Daemon) -> None:
    parent = f"{daemon.sandbox.cgroup_parent}/own"
    body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"CgroupParent": parent}}
    steps = daemon.api("POST", "/containers/create?dryRun=1", body).body["Steps"]
    (step,) = [s for s in steps if s["Name"] == "parent-cgroup"]
    assert (step["Arguments"], step["Cause"]) == ({"path": parent}, f"--cgroup-parent {parent}")


def test_a_parent_below_the_daemons_own_outlives_the_daemon(daemon: Daemon) -> None:
    """The next daemon sweeps cgroups that no container owns; this one is a container's parent."""
    parent = f"/{daemon.sandbox.cgroup_parent}/own"
    daemon.docker("run", "-d", "--name", "inside", "--cgroup-parent", parent, "busybox", "sleep", "1000")
    before = daemon.inspect("inside")["State"]
    daemon.restart()
    assert daemon.inspect("inside")["State"] == before
    assert daemon.docker("exec", "inside", "echo", "alive").stdout == "alive\n"


def test_the_hosts_own_group_as_a_parent_is_left_as_it_is(daemon: Daemon) -> None:
    """Where version 1 hands no processors on by itself, the container gets all of them; the next daemon knows it."""
    settings = Path("/sys/fs/cgroup/cpuset/cgroup.clone_children")
    before = settings.read_text() if settings.exists() else None
    for number, parent in enumerate(("/", "//", "/.", "./")):
        name = f"top-{number}"
        daemon.docker("run", "-d", "--name", name, "--cgroup-parent", parent, "busybox", "sleep", "1000")
        assert f":/{daemon.inspect(name)['Id']}\n" in Path(f"/proc/{pid_of(daemon, name)}/cgroup").read_text()
    assert (settings.read_text() if settings.exists() else None) == before
    daemon.restart()
    for number in range(4):
        assert daemon.docker("exec", f"top-{number}", "echo", "alive").stdout == "alive\n"
    id = daemon.inspect("top-0")["Id"]
    daemon.remove_containers()
    assert eventually(lambda: not glob(f"/sys/fs/cgroup/*/{id}") and not glob(f"/sys/fs/cgroup/{id}"))


def pid_of(daemon: Daemon, name: str) -> int:
    return int(daemon.inspect(name)["State"]["Pid"])


def test_a_name_that_the_kernel_has_a_file_of_is_refused(daemon: Daemon) -> None:
    """Each file that there is, in each hierarchy, at its top and below: it would be in the way at the start."""
    daemon.docker("run", "-d", "--name", "below", "busybox", "sleep", "1000")
    tops = [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*/")]
    below = [at for top in tops for at in top.glob(f"{daemon.sandbox.cgroup_parent}/*/")]
    names = {file.name for folder in (*tops, *below) for file in folder.iterdir() if file.is_file()}
    assert {"cgroup.procs", "memory.stat"} <= names
    for name in sorted(names):
        body = {"Image": "busybox", "HostConfig": {"CgroupParent": f"/{daemon.sandbox.cgroup_parent}/{name}"}}
        answer = daemon.api("POST", "/containers/create", body)
        assert answer.status == 400 and "CgroupParent" in answer.body["message"], (name, answer)
