"""What is decided without the kernel: limits, mounts, filters, rights."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.doubles import wished
from wherry.engine.explain.cgroup_reading import read_cgroup
from wherry.engine.explain.drift import limit_drift, mount_difference, namespace_drift, rights_drift
from wherry.engine.explain.items import limit_items
from wherry.engine.explain.limits import V1, V2, limit_files, planned_texts, shown, value_of
from wherry.engine.explain.mounts import Matched, MountTable, match_mounts, planned_mounts
from wherry.engine.explain.network_drift import port_drift
from wherry.engine.explain.observed import CgroupState, Depth, Host, Observed, Rights, Subject
from wherry.engine.explain.reading import read_rights
from wherry.engine.explain.seccomp import passage
from wherry.engine.preparation.networks import NetworkEndpoint, PublishPort
from wherry.linux.mountinfo import MountEntry
from wherry.linux.nftables import Count
from wherry.linux.procfs import ProcessDirectory
from wherry.linux.rtnetlink import NetworkState
from wherry.network.ports import PublishedPort
from wherry.runtime import capabilities
from wherry.runtime import oci_spec as oci
from wherry.runtime.cgroups import CgroupsV2
from wherry.runtime.cgroups.files import Form
from wherry.runtime.seccomp import compile_filter
from wherry.runtime.steps import (
    Bind,
    Capabilities,
    Cause,
    CgroupWrite,
    Clone,
    Mask,
    Mount,
    MountFlag,
    Namespace,
    NoNewPrivileges,
    Origin,
    OverlayRoot,
    Plan,
    ReadOnlyPath,
    ReadOnlyRoot,
    Seccomp,
)

ASKED = Cause(Origin.REQUEST, "--memory 64m")

# ---------------------------------------------------------------- limits


@pytest.mark.parametrize(
    ("form", "one", "other"),
    [
        (Form.BYTES, "9223372036854771712", "max"),
        (Form.BYTES, "67108865", "67108864\n"),
        (Form.NUMBER, "max\n", "-1"),
        (Form.SHARES, "1", "2"),
        (Form.SET, "0-3,5", "0,1,2,3,5\n"),
        (Form.LAST, "default 100\n", "100"),
        (Form.LINES, "8:0 1048576", "8:0 1048576\n"),
        (Form.PAIRS, "8:0 rbps=1 wbps=max riops=max wiops=max\n", "8:0 rbps=1"),
        (Form.WORDS, "50000 100000\n", "50000 100000"),
        (Form.OOM, "oom_kill_disable 1\nunder_oom 0\noom_kill 7\n", "1"),
    ],
)
def test_what_the_kernel_shows_is_what_was_written(form: Form, one: str, other: str) -> None:
    assert value_of(one, form) == value_of(other, form)


@given(st.sampled_from(Form), st.text(max_size=40))
def test_no_text_of_a_file_breaks_the_comparison(form: Form, text: str) -> None:
    assert value_of(text, form) == value_of(text, form)
    assert "\n" not in shown(text)


@given(st.integers(min_value=1, max_value=1 << 50))
def test_memory_is_compared_in_pages(bytes: int) -> None:
    assert value_of(str(bytes), Form.BYTES) == value_of(str(bytes // 4096 * 4096), Form.BYTES)
    assert value_of(str(bytes), Form.BYTES) != value_of(str(bytes + 4096), Form.BYTES)


def test_what_a_plan_writes_is_read_too_and_device_rules_are_not() -> None:
    files = limit_files(1, ["memory.swappiness", "memory.limit_in_bytes", "devices.deny", "blkio.bfq.weight"])
    assert [f.file for f in files[len(V1) :]] == ["memory.swappiness", "blkio.bfq.weight"]
    assert limit_files(2, []) == V2


def test_several_writes_to_a_file_by_device() -> None:
    writes = [("io.max", "8:0 rbps=1"), ("cpu.weight", "5"), ("io.max", "8:16 wbps=2"), ("cpu.weight", "6")]
    assert planned_texts(writes) == {"io.max": "8:0 rbps=1\n8:16 wbps=2", "cpu.weight": "6"}


# ---------------------------------------------------------------- a version 2 hierarchy, as files

UNIFIED = {
    "memory.max": "67108864\n",
    "memory.current": "1000\n",
    "memory.events": "low 0\noom_kill 2\n",
    "memory.peak": "8192\n",
    "cpu.max": "50000 100000\n",
    "cpu.stat": "usage_usec 5\nnr_periods 10\nnr_throttled 4\nthrottled_usec 9\n",
    "cpu.weight": "100\n",
    "pids.max": "max\n",
    "pids.current": "3\n",
    "cgroup.procs": "",
}


@pytest.fixture
def unified(tmp_path: Path) -> CgroupsV2:
    directory = tmp_path / "p" / "id"
    directory.mkdir(parents=True)
    for name, text in UNIFIED.items():
        (directory / name).write_text(text)
    return CgroupsV2(str(tmp_path), frozenset({"cpu", "memory", "pids"}))


def v2_plan(cgroups: CgroupsV2, memory: str = "67108864") -> Plan:
    directory = cgroups.directory("/p/id")
    return Plan(
        (
            CgroupWrite(f"{directory}/memory.max", memory, cause=ASKED),
            CgroupWrite(f"{directory}/cpu.max", "50000 100000"),
        )
    )


def test_version_2_is_explained_alike(unified: CgroupsV2) -> None:
    plan = v2_plan(unified)
    state = read_cgroup(plan, unified, "/p/id", Depth())
    items = {item.name: item for item in limit_items(plan, state)}
    memory, cpu, processes = items["memory"], items["CPU quota"], items["processes"]
    assert (memory.limit, memory.used, memory.cause) == (64 << 20, 1000, "request: --memory 64m")
    assert memory.note == "peak 8 KiB; the OOM killer has struck 2 times"
    assert (cpu.limit, cpu.note) == (50000, "0.5 CPUs; throttled in 4 of 10 periods")
    assert (processes.limit, processes.used, processes.cause) == (None, 3, "default")
    assert list(limit_drift(plan, state)) == []


def test_drift_in_version_2(unified: CgroupsV2) -> None:
    plan = v2_plan(unified, memory="33554432")
    directory = Path(unified.directory("/p/id"))
    (directory / "cpu.max").write_text("max 100000\n")
    (directory / "pids.max").write_text("5\n")
    drifts = limit_drift(plan, read_cgroup(plan, unified, "/p/id", Depth()))
    assert {(d.what, d.planned, d.actual) for d in drifts} == {
        ("memory.max", "33554432", "67108864"),
        ("cpu.max", "50000 100000", "max 100000"),
        ("pids.max", "unlimited", "5"),
    }


# ---------------------------------------------------------------- mounts


def entry(target: str, fstype: str = "tmpfs", options: str = "rw", **more: object) -> MountEntry:
    made = MountEntry(1, 0, "0:1", "/", target, tuple(options.split(",")), (), fstype, fstype, ("rw",))
    return replace(made, **more)  # type: ignore[arg-type]


PLAN = Plan(
    (
        OverlayRoot("/layers", ("b", "a"), "/upper", "/work", "/run/root"),
        Mount("proc", "proc", "/proc", MountFlag.NOSUID),
        Bind("/src", "/data", MountFlag.REC),
        Mount("tmpfs", "tmpfs", "/cg"),
        Mount("cgroup", "cgroup", "/cg/cpu"),
        ReadOnlyPath("/cg"),
        ReadOnlyPath("/proc/sys"),
        Mask("/proc/keys"),
        ReadOnlyRoot(cause=ASKED),
    )
)
UPPER = ("lowerdir=b:a", "upperdir=/upper")
THERE = (
    entry("/", "overlay", "ro", filesystem_options=UPPER),
    entry("/proc", "proc", "rw,nosuid"),
    entry("/data", "ext4"),
    entry("/cg", options="ro"),
    entry("/cg/cpu", "cgroup", "ro"),
    entry("/proc/sys", "proc", "ro", root="/sys"),
    entry("/proc/keys", root="/null"),
)


def differences(
    *entries: MountEntry, present: tuple[str, ...] = (), host: tuple[MountEntry, ...] = ()
) -> list[str]:
    match = match_mounts(planned_mounts(PLAN), MountTable(entries, {}, present, host))
    found = [f"{d.what}: {d.planned} / {d.actual}" for m in match.matched for d in mount_difference(m, host)]
    return found + [f"{mount.target} missing" for mount in match.missing]


def test_a_plan_that_came_true() -> None:
    assert differences(*THERE) == []


def test_what_is_read_only_below_a_path() -> None:
    mounts = {mount.target: mount for mount in planned_mounts(PLAN)}
    assert mounts["/cg"].read_only and mounts["/cg/cpu"].read_only and not mounts["/data"].read_only
    assert mounts["/"].cause == "request: --memory 64m"
    assert list(mounts) == ["/", "/proc", "/data", "/cg", "/cg/cpu", "/proc/sys", "/proc/keys"]


def test_a_path_that_is_not_there_need_not_be_hidden() -> None:
    assert differences(*THERE[:-1]) == []
    assert differences(*THERE[:-1], present=("/proc/keys",)) == ["/proc/keys missing"]


def test_other_layers_below() -> None:
    other = replace(THERE[0], filesystem_options=("lowerdir=evil:a", "upperdir=/upper"))
    assert differences(other, *THERE[1:]) == ["/: /upper / /upper"]


def test_layers_that_are_shown_one_by_one() -> None:
    one_by_one = ("lowerdir+=b", "lowerdir+=a", "upperdir=/upper")
    assert differences(replace(THERE[0], filesystem_options=one_by_one), *THERE[1:]) == []
    assert differences(replace(THERE[0], filesystem_options=one_by_one[1:]), *THERE[1:]) != []


def test_what_a_recursive_bind_brings_along_is_known_from_the_host() -> None:
    below = entry("/data/sub", device="0:9")
    assert differences(*THERE, below) == ["/data/sub:  / tmpfs rw"]
    assert differences(*THERE, below, host=(entry("/src/sub", device="0:9"),)) == []
    assert differences(*THERE, below, host=(entry("/src/sub", device="0:8"),)) == ["/data/sub:  / tmpfs rw"]


def test_a_bind_of_something_read_only_on_the_host() -> None:
    there = [replace(e, options=("ro",)) if e.target == "/data" else e for e in THERE]
    assert differences(*there) == ["/data: rw / ro"]
    assert differences(*there, host=(entry("/", "ext4"), entry("/src", "ext4", "ro"))) == []


def test_a_lost_restriction() -> None:
    there = [replace(e, options=("rw",)) if e.target == "/proc" else e for e in THERE]
    assert differences(*there) == ["/proc: nosuid / suid"]


def test_one_mount_too_many_on_a_target() -> None:
    assert differences(*THERE, entry("/proc", "tmpfs")) == ["/proc:  / tmpfs rw"]
    match = match_mounts(planned_mounts(PLAN), MountTable((*THERE, entry("/proc")), {}, (), ()))
    assert match.matched[-1] == Matched(entry("/proc"))


# ---------------------------------------------------------------- namespaces


def test_a_namespace_that_is_the_hosts_has_its_own_cause_and_no_others() -> None:
    """One step makes them all, for the sake of several options."""
    both = Namespace.PID | Namespace.IPC
    plan = Plan((Clone(both, cause=Cause(Origin.REQUEST, "--ipc shareable, --uts host")),))
    subject = Subject(wished(ipc_mode="shareable", uts_mode="host"), plan)
    seen = replace(observed(observed_rights()), namespaces={"pid": 1, "ipc": 2, "uts": 3})
    host = Host({"pid": 1, "ipc": 2, "uts": 3}, (), None, {}, None, {})
    found = {drift.what: drift.cause for drift in namespace_drift(subject, seen, host)}
    assert found == {"pid": "default", "ipc": "request: --ipc shareable"}


# ---------------------------------------------------------------- published ports


def ports_differ(*there: PublishedPort) -> list[tuple[str, str, str, str]]:
    """With a port published on all addresses and one on a single address."""
    endpoint = NetworkEndpoint("bridge", "wherry0", "eth0", "172.17.0.2/16", "172.17.0.1")
    asked = Cause(Origin.REQUEST, "-p 8080:80")
    wished_for = (
        PublishPort("tcp", "0.0.0.0", 8080, 0, 80, cause=asked),
        PublishPort("tcp", "127.0.0.1", 81, 0, 80),
    )
    host = Host({}, (), None, {port: Count(0, 0) for port in there}, None, {})
    drifts = port_drift(Plan((), (endpoint, *wished_for)), host)
    return [(drift.what, drift.planned, drift.actual, drift.cause) for drift in drifts]


ANY = PublishedPort("tcp", "0.0.0.0", 8080, 80, "172.17.0.2")
ONE = PublishedPort("tcp", "127.0.0.1", 81, 80, "172.17.0.2")


def test_ports_as_planned() -> None:
    another_containers = PublishedPort("tcp", "0.0.0.0", 22, 22, "172.17.0.9")
    assert ports_differ(ANY, ONE, another_containers) == []


def test_a_port_gone_and_another_added() -> None:
    assert ports_differ(ONE, PublishedPort("tcp", "0.0.0.0", 9999, 22, "172.17.0.2")) == [
        ("0.0.0.0:8080/tcp", "172.17.0.2:80", "", "request: -p 8080:80"),
        ("0.0.0.0:9999/tcp", "", "172.17.0.2:22", ""),
    ]


def test_a_port_turned_elsewhere() -> None:
    assert ports_differ(ANY, PublishedPort("tcp", "127.0.0.1", 81, 80, "10.9.9.9")) == [
        ("127.0.0.1:81/tcp", "172.17.0.2:80", "10.9.9.9:80", "default")
    ]


def test_all_ports_gone() -> None:
    assert [what for what, *_ in ports_differ()] == ["0.0.0.0:8080/tcp", "127.0.0.1:81/tcp"]


# ---------------------------------------------------------------- filters


def policy(*rules: oci.Syscall) -> bytes:
    return compile_filter(oci.Seccomp(default_action="SCMP_ACT_ERRNO", syscalls=list(rules))).program


def test_calls_that_a_filter_lets_through_are_counted() -> None:
    plain = oci.Syscall(names=["read", "write", "exit_group"], action="SCMP_ACT_ALLOW")
    arguments = oci.Syscall(
        names=["personality"],
        action="SCMP_ACT_ALLOW",
        args=[oci.SyscallArg(index=0, value=0, op="SCMP_CMP_EQ")],
    )
    assert (passage(policy(plain)).always, passage(policy(plain)).sometimes) == (3, 0)
    found = passage(policy(plain, arguments))
    assert (found.always, found.sometimes) == (3, 1)
    assert found.describe() == "3 system calls, and 1 more depending on their arguments"


def test_an_empty_program_lets_nothing_through() -> None:
    assert passage(b"").always == 0


# ---------------------------------------------------------------- rights


def observed_rights() -> Rights:
    """This process's own: root, without a filter."""
    with ProcessDirectory(os.getpid()) as here:
        return read_rights(here, Depth())


def observed(rights: Rights) -> Observed:
    return Observed({}, MountTable((), {}, (), ()), CgroupState(), rights, NetworkState(), {}, (), ())


def test_more_rights_than_planned() -> None:
    """This process compared with the plan of a container that may less."""
    few = capabilities.mask(["CAP_CHOWN"])
    plan = Plan((NoNewPrivileges(), Seccomp(b"12345678"), Capabilities(few, few, few)))
    found = {drift.what: drift for drift in rights_drift(plan, observed(observed_rights()))}
    assert found.keys() == {
        "bounding capabilities", "permitted capabilities", "effective capabilities", "seccomp", "no new privileges",
    }  # fmt: skip
    assert "CAP_KILL" in found["effective capabilities"].actual
    assert "CAP_CHOWN" not in found["effective capabilities"].actual
    assert (found["seccomp"].planned, found["seccomp"].actual) == ("a filter", "mode 0")


def test_fewer_rights_than_planned_are_the_containers_own_affair() -> None:
    rights = observed_rights()
    own = rights.capabilities
    more = own.bounding | capabilities.mask(capabilities.known())
    assert list(rights_drift(Plan((Capabilities(more, more, more),)), observed(rights))) == []


def test_another_program_than_the_plans() -> None:
    rights = observed_rights()
    filtered = replace(rights, status=replace(rights.status, seccomp=2), filter=b"other678")
    plan = Plan((Seccomp(b"12345678"),))
    assert [d.actual for d in rights_drift(plan, observed(filtered))] == ["another program"]
    same = replace(filtered, filter=b"12345678")
    assert list(rights_drift(plan, observed(same))) == []
