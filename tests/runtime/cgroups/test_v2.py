"""Version 2: what is written where. (The hierarchy of the test machine has no controllers of its own.)"""

import os
from pathlib import Path

import pytest

from wherry.errors import Unavailable
from wherry.runtime import oci_spec as oci
from wherry.runtime.cgroups import CgroupEntry, detect
from wherry.runtime.cgroups.limit_texts import weight_of
from wherry.runtime.cgroups.v2 import CgroupsV2, parse_blocks
from wherry.runtime.devices import docker_rules
from wherry.runtime.steps import Bind, CgroupDevices, CgroupWrite, Mount, OomCounter

CGROUPS = CgroupsV2("/cg", frozenset({"cpu", "cpuset", "memory", "pids", "io"}))


def writes(limits: oci.Resources) -> list[tuple[str, str]]:
    steps = CGROUPS.plan("/p/id", limits, {}).setup
    return [(s.path.removeprefix("/cg/p/id/"), s.value) for s in steps if isinstance(s, CgroupWrite)]


def test_swap_is_counted_alone():
    assert writes(oci.Resources(memory=oci.Memory(limit=64, swap=128, reservation=32))) == [
        ("memory.max", "64"),
        ("memory.swap.max", "64"),
        ("memory.low", "32"),
    ]
    assert writes(oci.Resources(memory=oci.Memory(limit=64, swap=-1)))[1] == ("memory.swap.max", "max")


def test_cpu():
    assert writes(oci.Resources(cpu=oci.Cpu(shares=1024, quota=50_000, period=100_000, cpus="0-1"))) == [
        ("cpu.weight", "100"),
        ("cpu.max", "50000 100000"),
        ("cpuset.cpus", "0-1"),
    ]
    assert writes(oci.Resources(cpu=oci.Cpu(period=50_000))) == [("cpu.max", "max 50000")]


def test_weights_run_through_the_ends_and_the_middle():
    assert [weight_of(shares) for shares in (2, 1024, 262144)] == [1, 100, 10000]
    values = [weight_of(2**power) for power in range(1, 19)]
    assert values == sorted(values)


def test_pids_blocks_and_raw_settings():
    limits = oci.Resources(
        pids=oci.Pids(limit=5),
        block_io=oci.BlockIo(
            weight=1000,
            throttle_read_bps_device=[oci.ThrottleDevice(major=8, minor=0, rate=9)],
        ),
        unified={"memory.high": "5", "hugetlb.x": "1"},
    )
    assert writes(limits) == [
        ("pids.max", "5"),
        ("io.weight", "default 10000"),
        ("io.max", "8:0 rbps=9"),
        ("memory.high", "5"),
    ]


def test_devices_and_oom():
    plan = CGROUPS.plan("/p/id", oci.Resources(devices=list(docker_rules())), {})
    (devices,) = [s for s in plan.setup if isinstance(s, CgroupDevices)]
    assert (devices.path, len(devices.program) % 8) == ("/cg/p/id", 0)
    assert [s.path for s in plan.setup if isinstance(s, OomCounter)] == ["/cg/p/id/memory.events"]
    privileged = CGROUPS.plan("/p/id", oci.Resources(devices=[oci.DeviceRule(allow=True)]), {})
    assert not [s for s in privileged.setup if isinstance(s, CgroupDevices)]


def test_processes_are_born_inside():
    assert CGROUPS.plan("/p/id", None, {}).entry == CGROUPS.entry("/p/id") == CgroupEntry(born_in="/cg/p/id")


def test_how_it_is_shown_inside():
    (own,) = CGROUPS.mount("/p/id", "/sys/fs/cgroup", writable=False, own_namespace=True)
    assert isinstance(own, Mount) and own.fstype == "cgroup2" and own.flags.RDONLY in own.flags
    (hosts,) = CGROUPS.mount("/p/id", "/sys/fs/cgroup", writable=False, own_namespace=False)
    assert isinstance(hosts, Bind) and hosts.source == "/cg"


def test_readings(tmp_path: Path):
    cgroups = CgroupsV2(str(tmp_path), frozenset({"memory", "pids"}))
    directory = tmp_path / "p"
    directory.mkdir()
    for name, text in {
        "cpu.stat": "usage_usec 5\nuser_usec 3\nsystem_usec 2\n",
        "memory.current": "77\n",
        "memory.max": "max\n",
        "memory.events": "low 0\noom_kill 2\n",
        "pids.current": "4\n",
        "io.stat": "8:0 rbytes=1 wbytes=2 rios=3 wios=4\n",
    }.items():
        (directory / name).write_text(text)
    usage = cgroups.usage("/p")
    assert (usage.cpu_total, usage.memory_usage, usage.memory_limit, usage.oom_kills) == (5000, 77, 0, 2)
    assert usage.pids == 4
    assert (usage.blocks[0].read, usage.blocks[0].write) == (1, 2)
    assert list(parse_blocks("")) == []


def test_a_host_without_control_groups(tmp_path: Path):
    with pytest.raises(Unavailable, match="no control groups"):
        detect(str(tmp_path))
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    assert detect(str(tmp_path)).version == 2


def test_make_kill_and_remove_with_the_kernel():
    root = (
        "/sys/fs/cgroup/unified"
        if os.path.exists("/sys/fs/cgroup/unified/cgroup.procs")
        else "/sys/fs/cgroup"
    )
    if os.geteuid() != 0 or not os.path.exists(f"{root}/cgroup.subtree_control"):
        pytest.skip("needs root and a version 2 hierarchy")
    cgroups = CgroupsV2(root, frozenset())
    parent = f"wherry-test-{os.getpid()}"
    os.mkdir(cgroups.directory(parent))
    os.mkdir(cgroups.directory(f"{parent}/a"))
    assert cgroups.names(parent) == ["a"]
    assert cgroups.destroy(f"{parent}/a")
    assert cgroups.remove_parent(parent)
    assert cgroups.names(parent) == []
