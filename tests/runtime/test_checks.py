import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.errors import InvalidArgument
from wherry.messages.container import Config, DeviceMapping, HostConfig, Ulimit, WeightDevice
from wherry.runtime import capabilities, resources
from wherry.runtime.checks import check, check_conflicts, check_sysctls, check_user, sysctl_path
from wherry.runtime.mounts import requested
from wherry.runtime.resources import HostFacts, parse_set
from wherry.runtime.security import parse_security

FACTS = HostFacts(cpus=2, cpuset="0-1", mems="0")


def look(config: Config, host: HostConfig) -> list[str]:
    return check(config, host, requested(host), FACTS, capabilities.known())


def refused(host: HostConfig | None = None, config: Config | None = None) -> str:
    with pytest.raises(InvalidArgument) as error:
        check_conflicts(config or Config(), host or HostConfig())
        look(config or Config(), host or HostConfig())
    return error.value.message


def test_nothing_asked_is_fine():
    assert look(Config(), HostConfig()) == []


@pytest.mark.parametrize(
    ("host", "text"),
    [
        (HostConfig(memory=1), "Minimum memory limit allowed is 6MB"),
        (
            HostConfig(memory=8 << 20, memory_swap=7 << 20),
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        (
            HostConfig(memory_swap=7 << 20),
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ),
        (HostConfig(memory_swappiness=101), "Invalid value: 101, valid memory swappiness range is 0-100"),
        (HostConfig(memory_reservation=1), "Minimum memory reservation allowed is 6MB"),
        (
            HostConfig(memory=8 << 20, memory_reservation=9 << 20),
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ),
        (
            HostConfig(nano_cpus=3_000_000_000),
            "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
        ),
        (
            HostConfig(nano_cpus=1, cpu_period=1000),
            "Conflicting options: Nano CPUs and CPU Period cannot both be set",
        ),
        (HostConfig(cpu_shares=-1), "invalid CPU shares (-1): value must be a positive integer"),
        (HostConfig(cpu_quota=999), "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        (HostConfig(cpuset_cpus="0-9"), "Requested CPUs are not available - requested 0-9, available: 0-1"),
        (HostConfig(cpuset_cpus="a"), "Invalid value a for cpuset cpus"),
        (HostConfig(cpuset_mems="1"), "Requested memory nodes are not available - requested 1, available: 0"),
        (HostConfig(blkio_weight=5), "Range of blkio weight is from 10 to 1000"),
        (HostConfig(cap_add=["nope"]), 'invalid CapAdd: unknown capability: "CAP_NOPE"'),
        (HostConfig(cap_drop=["nope"]), 'invalid CapDrop: unknown capability: "CAP_NOPE"'),
        (HostConfig(ipc_mode="odd"), "invalid IPC mode: odd"),
        (HostConfig(ipc_mode="container:"), "invalid IPC mode: container:"),
        (HostConfig(pid_mode="private"), "invalid PID mode: private"),
        (HostConfig(uts_mode="x"), "invalid UTS mode: x"),
        (HostConfig(cgroupns_mode="x"), "invalid cgroup namespace mode: x"),
        (HostConfig(shm_size=-1), "SHM size can not be less than 0"),
        (HostConfig(oom_score_adj=1001), "Invalid value 1001, range for oom score adj is [-1000, 1000]"),
        (HostConfig(ulimits=[Ulimit(name="x")]), "invalid ulimit type: x"),
        (HostConfig(device_cgroup_rules=["x"]), "invalid device cgroup rule format: 'x'"),
        (HostConfig(security_opt=["x=y"]), 'invalid --security-opt 2: "x=y"'),
        (HostConfig(security_opt=["x"]), 'invalid --security-opt 1: "x"'),
        (HostConfig(cgroup_parent="/x" * 129), "invalid CgroupParent: more than 128 levels"),
        (HostConfig(cgroup_parent="../../x"), 'invalid cgroup parent "../../x": it must not lead upwards'),
        (
            HostConfig(cgroup_parent="/x/tasks"),
            "invalid CgroupParent: '/x/tasks': the kernel has files with names such as 'tasks'",
        ),
        (
            HostConfig(cgroup_parent="cgroup.procs/x"),
            "invalid CgroupParent: 'cgroup.procs/x': the kernel has files with names such as 'cgroup.procs'",
        ),
        (HostConfig(sysctls={"net..x": "1"}), 'invalid sysctl: "net..x"'),
        (
            HostConfig(network_mode="container:"),
            "invalid network mode: invalid container format container:<name|id>",
        ),
    ],
)
def test_refused_with_dockers_words(host: HostConfig, text: str):
    assert refused(host) == text


def test_process():
    assert "needs to be an absolute path" in refused(config=Config(working_dir="x"))
    assert refused(config=Config(env=["=x"])) == "invalid environment variable: =x"
    assert "NUL" in refused(config=Config(cmd=["a\0b"]))


@pytest.mark.parametrize("field", ["dns", "dns_search", "dns_options", "extra_hosts"])
def test_what_would_leave_its_line_is_told_by_its_field(field: str):
    name = {
        "dns": "Dns",
        "dns_search": "DnsSearch",
        "dns_options": "DnsOptions",
        "extra_hosts": "ExtraHosts",
    }[field]
    assert refused(HostConfig(**{field: ["a\nb"]})) == f"invalid {name}: 'a\\nb'"
    assert refused(config=Config(domainname="a\nb")) == "invalid Domainname: 'a\\nb'"


def test_shared_network():
    shared = HostConfig(network_mode="container:x")
    assert refused(shared, Config(hostname="h")) == "conflicting options: hostname and the network mode"
    asking = HostConfig(network_mode="container:x", dns=["1.1.1.1"])
    assert refused(asking) == "conflicting options: dns and the network mode"
    host = HostConfig(network_mode="host")
    check_conflicts(Config(hostname="h"), host)
    assert look(Config(hostname="h"), host) == []
    assert (
        refused(HostConfig(uts_mode="host"), Config(hostname="h"))
        == "conflicting options: hostname and the UTS mode"
    )
    assert (
        refused(HostConfig(uts_mode="host"), Config(domainname="d"))
        == 'sysctl "kernel.domainname" is not in a separate kernel namespace'
    )


def test_warnings():
    warnings = look(Config(), HostConfig(oom_kill_disable=True))
    assert "OOM killer is disabled" in warnings[0]


@pytest.mark.parametrize(
    "spec", ["", "root", "app:staff", "0", "1000:1000", "65534", "app:", "2147483647", "a.b-c_d$"]
)
def test_users(spec: str):
    check_user(spec)


@pytest.mark.parametrize(
    "spec",
    [
        "4294967296",
        "2147483648",
        "-1",
        "0:-1",
        "1:4294967295",
        "a\n",
        "\0",
        "99999999999999999999",
        "+1x\t",
    ],
)
def test_users_refused(spec: str):
    with pytest.raises(InvalidArgument):
        check_user(spec)


@given(st.text(alphabet="0123456789:-+ abt²", max_size=14))
def test_a_user_that_is_a_number_fits_a_uid(spec: str):
    try:
        check_user(spec)
    except InvalidArgument:
        return
    for part in spec.split(":", 1):
        if re.fullmatch(r"[+-]?\d+", part):
            assert 0 <= int(part) < 2**31


def test_sysctls():
    assert sysctl_path("net.ipv4.conf.all.forwarding") == "net/ipv4/conf/all/forwarding"
    assert sysctl_path("net/ipv4/conf/eth0.1/rp_filter") == "net/ipv4/conf/eth0.1/rp_filter"
    assert sysctl_path("net.ipv4.conf.eth0/1.rp_filter") == "net/ipv4/conf/eth0.1/rp_filter"
    own = frozenset({"network", "ipc", "uts"})
    check_sysctls(["net.core.somaxconn", "kernel.shmmax", "fs.mqueue.msg_max", "kernel.domainname"], own)
    for key in ("kernel.panic", "vm.swappiness", "kernel.hostname", "fs.file-max", "net"):
        with pytest.raises(InvalidArgument, match="not in a separate kernel namespace"):
            check_sysctls([key], own)
    with pytest.raises(InvalidArgument, match="not allowed in host network namespace"):
        check_sysctls(["net.core.somaxconn"], frozenset({"ipc"}))


@given(st.text(alphabet="net./ipv4_x\0", max_size=20))
def test_a_sysctl_stays_below_proc_sys(key: str):
    try:
        path = sysctl_path(key)
    except InvalidArgument:
        return
    assert not path.startswith("/")
    assert not {"", ".", ".."} & set(path.split("/"))
    assert "\0" not in path


def test_security_options():
    assert parse_security(None).seccomp == ""
    assert parse_security(["seccomp=unconfined", "no-new-privileges"]).no_new_privileges
    assert not parse_security(["no-new-privileges=false"], no_new_privileges=True).no_new_privileges
    assert parse_security(["seccomp:unconfined"]).seccomp == "unconfined"
    assert parse_security(['seccomp={"a":1}', "apparmor=unconfined", "label=disable"]).seccomp == '{"a":1}'
    assert parse_security(["writable-cgroups=true"]).writable_cgroups is True


@given(st.text(alphabet="0123456789,- ", max_size=12))
def test_cpu_lists(text: str):
    try:
        numbers = parse_set(text, "cpus")
    except InvalidArgument:
        return
    assert all(0 <= number < 8192 for number in numbers)


@pytest.mark.parametrize("group", ["", "-1", "2147483648", "\0", "a\n", "x" * 600])
def test_groups_refused(group: str):
    with pytest.raises(InvalidArgument):
        look(Config(), HostConfig(group_add=["audio", group]))


def test_devices_are_kept_as_asked():
    host = HostConfig(devices=[DeviceMapping(path_on_host="/dev/null")])
    assert look(Config(), host) == []


def test_weights_of_a_kernel_that_has_none() -> None:
    facts = dataclasses.replace(FACTS, block_weights=False)
    request = HostConfig(blkio_weight=300, blkio_weight_device=[WeightDevice("/dev/null", 300)])
    assert [warning.rpartition(". ")[2] for warning in resources.check(request, facts)] == [
        "Weight discarded.",
        "Weight-device discarded.",
    ]
    assert resources.check(HostConfig(blkio_weight=300), FACTS) == []
