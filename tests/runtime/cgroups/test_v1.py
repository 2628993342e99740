"""Version 1 on the kernel's own hierarchies, in a parent that is made for the test and removed."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.harness.waiting import eventually
from wherry.linux import cgroupfs, kernel_file
from wherry.runtime import oci_spec as oci
from wherry.runtime.cgroups import CgroupsV1, detect
from wherry.runtime.cgroups.v1 import CgroupsV1 as V1
from wherry.runtime.cgroups.v1 import detect_v1
from wherry.runtime.devices import docker_rules
from wherry.runtime.steps import Bind, CgroupAttach, CgroupCreate, CgroupWrite, Mount, ReadOnlyPath, Symlink

PURE = V1(
    "/cg",
    {
        "cpu": "cpu,cpuacct",
        "cpuacct": "cpu,cpuacct",
        "memory": "memory",
        "devices": "devices",
        "pids": "pids",
    },
    links=(("cpu", "cpu,cpuacct"),),
)


def writes(limits: oci.Resources, cgroups: V1 = PURE) -> list[tuple[str, str]]:
    steps = cgroups.plan("/p/id", limits, {}).setup
    return [(s.path.removeprefix("/cg/"), s.value) for s in steps if isinstance(s, CgroupWrite)]


def test_each_hierarchy_is_made_and_entered_once():
    plan = PURE.plan("/p/id", None, {})
    made = [s.path for s in plan.setup if isinstance(s, CgroupCreate)]
    assert made == ["/cg/cpu,cpuacct/p/id", "/cg/memory/p/id", "/cg/devices/p/id", "/cg/pids/p/id"]
    assert [s.path for s in plan.entry.moves if isinstance(s, CgroupAttach)] == made
    assert plan.entry.born_in == ""


def test_memory_before_memory_and_swap():
    limits = oci.Resources(memory=oci.Memory(limit=64, swap=128, reservation=32, disable_oom_killer=True))
    assert writes(limits) == [
        ("memory/p/id/memory.limit_in_bytes", "64"),
        ("memory/p/id/memory.memsw.limit_in_bytes", "128"),
        ("memory/p/id/memory.soft_limit_in_bytes", "32"),
        ("memory/p/id/memory.oom_control", "1"),
    ]
    without = V1("/cg", {"memory": "memory"}, swap=False)
    assert len(writes(limits, without)) == 3


def test_cpu_pids_and_what_has_no_controller_here():
    limits = oci.Resources(cpu=oci.Cpu(shares=2, period=100, quota=50, cpus="0"), pids=oci.Pids(limit=-1))
    assert writes(limits) == [
        ("cpu,cpuacct/p/id/cpu.shares", "2"),
        ("cpu,cpuacct/p/id/cpu.cfs_period_us", "100"),
        ("cpu,cpuacct/p/id/cpu.cfs_quota_us", "50"),
        ("pids/p/id/pids.max", "max"),
    ]


def test_devices_denied_then_allowed():
    written = writes(oci.Resources(devices=list(docker_rules())))
    assert written[0] == ("devices/p/id/devices.deny", "a")
    assert {file for file, _ in written[1:]} == {"devices/p/id/devices.allow"}
    allowed = {value for _, value in written[1:]}
    assert {"c 1:3 rwm", "c 136:* rwm", "c *:* m", "b *:* m"} <= allowed
    assert not any("10:229" in value for value in allowed)


def test_privileged_writes_no_device_rule():
    assert writes(oci.Resources(devices=[oci.DeviceRule(allow=True, access="rwm")])) == []


def test_how_it_is_shown_inside():
    shown = PURE.mount("/p/id", "/sys/fs/cgroup", writable=False, own_namespace=False)
    assert isinstance(shown[0], Mount) and shown[0].fstype == "tmpfs"
    assert next(s.source for s in shown if isinstance(s, Bind)) == "/cg/cpu,cpuacct/p/id"
    assert [s for s in shown if isinstance(s, Symlink)] == [Symlink("cpu,cpuacct", "/sys/fs/cgroup/cpu")]
    assert shown[-1] == ReadOnlyPath("/sys/fs/cgroup")
    writable = PURE.mount("/p/id", "/sys/fs/cgroup", writable=True, own_namespace=True)
    assert not any(isinstance(s, ReadOnlyPath | Bind) for s in writable)
    assert [s.data for s in writable if isinstance(s, Mount)][1:] == [
        "cpu,cpuacct",
        "memory",
        "devices",
        "pids",
    ]


# ---------------------------------------------------------------- with the kernel


@pytest.fixture
def parent() -> Iterator[tuple[CgroupsV1, str]]:
    cgroups = detect_v1("/sys/fs/cgroup")
    if os.geteuid() != 0 or not {"memory", "pids", "cpuset", "freezer"} <= set(cgroups.controllers):
        pytest.skip("needs root and version 1 hierarchies")
    parent = f"wherry-test-{os.getpid()}"
    cgroups.prepare(parent)
    yield cgroups, parent
    for name in cgroups.names(parent):
        assert cgroups.destroy(f"{parent}/{name}")
    assert cgroups.remove_parent(parent)
    assert cgroups.names(parent) == []


def apply(cgroups: CgroupsV1, path: str, limits: oci.Resources) -> None:
    """What the launcher does with the steps."""
    for step in cgroups.plan(path, limits, {}).setup:
        if isinstance(step, CgroupCreate):
            os.mkdir(step.path)
        elif isinstance(step, CgroupWrite):
            with open(step.path, "w") as file:
                file.write(step.value)


def test_limits_are_the_kernels(parent: tuple[CgroupsV1, str]):
    cgroups, name = parent
    path = f"{name}/one"
    apply(
        cgroups,
        path,
        oci.Resources(
            memory=oci.Memory(limit=64 << 20, swap=128 << 20),
            pids=oci.Pids(limit=7),
            cpu=oci.Cpu(shares=512, period=100_000, quota=50_000, cpus="0"),
            devices=list(docker_rules()),
        ),
    )
    usage = cgroups.usage(path)

    def text(name: str) -> str:
        return kernel_file.read(cgroups.file(path, name)).strip()

    assert (usage.memory_limit, usage.pids_limit, usage.pids, usage.oom_kills) == (64 << 20, 7, 0, 0)
    assert text("cpu.cfs_quota_us") == "50000"
    assert "c 1:3 rwm" in text("devices.list")
    assert text("cpuset.cpus") == "0"
    assert text("cpuset.mems")


def test_a_process_is_counted_frozen_and_killed(parent: tuple[CgroupsV1, str]):
    cgroups, name = parent
    path = f"{name}/two"
    apply(cgroups, path, oci.Resources())
    os.mkdir(cgroups.directory("memory", f"{path}/inner"))
    script = "".join(f"echo $$ > {d}/cgroup.procs; " for d in cgroups.directories(path)) + "exec sleep 1000"
    process = subprocess.Popen(["sh", "-c", script])
    try:
        assert eventually(lambda: cgroups.usage(path).pids == 1)
        assert cgroups.processes(path) == [process.pid]
        assert cgroups.usage(path).memory_usage > 0
        cgroups.freeze(path)
        assert kernel_file.read(cgroups.file(path, "freezer.state")).strip() in ("FREEZING", "FROZEN")
        assert cgroups.destroy(path)
        assert process.wait(5) == -9
        assert cgroups.destroy(path)  # again: nothing left, nothing wrong
    finally:
        process.kill()
        process.wait()


def test_what_a_container_froze_itself_ends(parent: tuple[CgroupsV1, str]):
    cgroups, name = parent
    path, inner = f"{name}/three", f"{name}/three/inner"
    apply(cgroups, path, oci.Resources())
    os.mkdir(cgroups.directory("freezer", inner))
    places = [*cgroups.directories(path), cgroups.directory("freezer", inner)]
    script = "".join(f"echo $$ > {d}/cgroup.procs; " for d in places) + "echo ready; exec sleep 1000"
    process = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE)
    try:
        assert process.stdout and process.stdout.readline()
        cgroups.freeze(inner)
        assert cgroups.destroy(path)
        assert process.wait(5) == -9
    finally:
        process.kill()
        process.communicate()


DEEP = 3000  # levels: deeper than a path is long, and than Python calls itself


def nest(directory: str, member: int) -> None:
    """Cgroups in one another, the innermost of which has a member."""
    here = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(DEEP):
        os.mkdir("a", dir_fd=here)
        here, left = os.open("a", os.O_RDONLY | os.O_DIRECTORY, dir_fd=here), here
        os.close(left)
    kernel_file.write("cgroup.procs", str(member), dir_fd=here)
    os.close(here)


def test_however_deep_a_container_has_nested_its_own(parent: tuple[CgroupsV1, str]):
    """With a member at the bottom, and one beside the way down."""
    cgroups, name = parent
    path = f"{name}/deep"
    apply(cgroups, path, oci.Resources())
    directory = cgroups.directory("pids", path)
    sleepers = [subprocess.Popen(["sleep", "1000"]) for _ in range(2)]
    try:
        nest(directory, sleepers[0].pid)
        os.mkdir(f"{directory}/b")
        kernel_file.write(f"{directory}/b/cgroup.procs", str(sleepers[1].pid))
        assert {sleeper.pid for sleeper in sleepers} == set(cgroupfs.processes(directory))
        assert cgroups.destroy(path)
        assert [sleeper.wait(5) for sleeper in sleepers] == [-9, -9]
    finally:
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()


def test_detect_prefers_version_1_where_controllers_are_there():
    if not os.path.exists("/sys/fs/cgroup/memory"):
        pytest.skip("no version 1 hierarchies")
    found = detect()
    assert found.version == 1
    assert isinstance(found, CgroupsV1)
    assert "unified" not in found.controllers and "systemd" not in found.controllers
