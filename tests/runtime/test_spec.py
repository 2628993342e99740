"""The specification of a default container is dockerd 28's, as it was seen in its config.json."""

import pytest

from wherry.errors import InvalidArgument
from wherry.messages.container import Config, DeviceMapping, HostConfig, Ulimit
from wherry.runtime import capabilities, devices, oci_spec
from wherry.runtime.mounts import MountPoint, requested
from wherry.runtime.security import parse_security
from wherry.runtime.spec import JoinedNamespaces, SpecInput, build_spec, environment, thermal_paths
from wherry.runtime.steps import DEFAULT, asked

ID = "ab" * 32
FILES = tuple(MountPoint("bind", f"/etc/{n}", source=f"/c/{n}") for n in ("resolv.conf", "hostname", "hosts"))


def build(host: HostConfig | None = None, config: Config | None = None, **more):
    host = host or HostConfig()
    wish = {
        "id": ID,
        "root": "/rootfs",
        "argv": ("true",),
        "config": config or Config(hostname=ID[:12], cmd=["true"]),
        "host": host,
        "mounts": requested(host),
        "files": FILES,
        "security": parse_security(host.security_opt),
        **more,
    }
    return build_spec(SpecInput(**wish))


def mount_at(spec: oci_spec.Spec, target: str) -> oci_spec.Mount:
    (found,) = [mount for mount in spec.mounts if mount.destination == target]
    return found


def test_default_mounts_in_dockers_order():
    spec, _ = build()
    seen = [(m.destination, m.type, m.source, " ".join(m.options)) for m in spec.mounts]
    assert seen == [
        ("/proc", "proc", "proc", "nosuid noexec nodev"),
        ("/dev", "tmpfs", "tmpfs", "nosuid strictatime mode=755 size=65536k"),
        ("/dev/pts", "devpts", "devpts", "nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5"),
        ("/sys", "sysfs", "sysfs", "nosuid noexec nodev ro"),
        ("/sys/fs/cgroup", "cgroup", "cgroup", "ro nosuid noexec nodev"),
        ("/dev/mqueue", "mqueue", "mqueue", "nosuid noexec nodev"),
        ("/dev/shm", "tmpfs", "shm", "nosuid noexec nodev mode=1777 size=67108864"),
        ("/etc/hostname", "bind", "/c/hostname", "rbind rprivate"),
        ("/etc/hosts", "bind", "/c/hosts", "rbind rprivate"),
        ("/etc/resolv.conf", "bind", "/c/resolv.conf", "rbind rprivate"),
    ]


def test_default_linux():
    spec, causes = build()
    linux = spec.linux
    assert linux is not None
    assert [n.type for n in linux.namespaces] == ["mount", "network", "uts", "pid", "ipc"]
    assert linux.cgroups_path == f"/wherry/{ID}"
    assert len(linux.masked_paths) == 12
    assert linux.readonly_paths == ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
    assert linux.sysctl == {
        "net.ipv4.ping_group_range": "0 2147483647",
        "net.ipv4.ip_unprivileged_port_start": "0",
    }
    assert linux.resources is not None
    assert (linux.resources.memory, linux.resources.cpu, linux.resources.pids) == (None, None, None)
    assert set(causes.values()) == {asked("the command"), DEFAULT}


def test_default_process():
    spec, _ = build(config=Config(hostname="h", env=["A=1", "PATH=/bin"], tty=True))
    process = spec.process
    assert process is not None
    assert process.env == ["PATH=/bin", "HOSTNAME=h", "TERM=xterm", "A=1"]
    assert process.cwd == "/"
    assert process.terminal
    assert process.capabilities is not None
    assert process.capabilities.bounding == list(capabilities.defaults())
    assert process.capabilities.inheritable == process.capabilities.ambient == []


def test_environment_can_unset():
    assert environment(["HOSTNAME", "X=1", "X=2"], hostname="h", tty=False) == [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "X=2",
    ]


def test_causes_name_the_flag_or_the_image():
    image = Config(cmd=["serve"], env=["A=1"], user="app", working_dir="/srv")
    config = Config(hostname="web", cmd=["serve"], user="app", working_dir="/else")
    host = HostConfig(
        memory=64 << 20,
        nano_cpus=500_000_000,
        binds=["/a:/data"],
        cap_add=["NET_ADMIN"],
        cap_drop=["CHOWN", "KILL"],
    )
    _, causes = build(host, config, image=image)
    assert str(causes["process.args"]) == "image: CMD"
    assert str(causes["process.user"]) == "image: USER"
    assert str(causes["process.cwd"]) == "request: --workdir /else"
    assert str(causes["linux.resources.memory.limit"]) == "request: --memory 64m"
    assert str(causes["linux.resources.cpu.quota"]) == "request: --cpus 0.5"
    assert str(causes["mounts:/data"]) == "request: -v /a:/data"
    assert (
        str(causes["process.capabilities"]) == "request: --cap-add NET_ADMIN --cap-drop CHOWN --cap-drop KILL"
    )
    assert str(causes["hostname"]) == "request: --hostname web"


def test_limits():
    host = HostConfig(
        memory=64 << 20, nano_cpus=1_500_000_000, pids_limit=50, cpu_shares=512, cpuset_cpus="0"
    )
    spec, _ = build(host)
    resources = spec.linux.resources
    assert (resources.memory.limit, resources.memory.swap) == (64 << 20, 128 << 20)
    assert (resources.cpu.period, resources.cpu.quota, resources.cpu.shares) == (100_000, 150_000, 512)
    assert resources.cpu.cpus == "0"
    assert resources.pids.limit == 50
    assert build(HostConfig(pids_limit=0))[0].linux.resources.pids.limit == -1
    assert build(HostConfig(memory=64 << 20, memory_swap=-1))[0].linux.resources.memory.swap is None


def test_privileged():
    available = tuple(n for n in capabilities.known() if n != "CAP_SYS_RESOURCE")
    spec, _ = build(HostConfig(privileged=True), available=available)
    assert spec.process.capabilities.effective == list(available)
    assert spec.linux.masked_paths == spec.linux.readonly_paths == []
    assert "ro" not in mount_at(spec, "/sys").options
    assert "ro" not in mount_at(spec, "/sys/fs/cgroup").options
    (rule,) = spec.linux.resources.devices
    assert rule.allow and rule.access == "rwm"


def test_hidden_paths_can_be_replaced():
    spec, _ = build(HostConfig(masked_paths=[], readonly_paths=["/proc/x"]))
    assert (spec.linux.masked_paths, spec.linux.readonly_paths) == ([], ["/proc/x"])


def test_user_mounts_replace_ours_and_come_shallow_first():
    host = HostConfig(
        binds=["/h:/etc/hosts", "/a/b:/data/deep:ro", "/a:/data"], tmpfs={"/dev/shm": "size=1m"}
    )
    spec, _ = build(host)
    targets = [mount.destination for mount in spec.mounts]
    assert targets[:6] == ["/proc", "/dev", "/dev/pts", "/sys", "/sys/fs/cgroup", "/dev/mqueue"]
    assert targets[6:] == [
        "/data",
        "/data/deep",
        "/dev/shm",
        "/etc/hostname",
        "/etc/hosts",
        "/etc/resolv.conf",
    ]
    assert mount_at(spec, "/etc/hosts").source == "/h"
    assert mount_at(spec, "/data/deep").options == ["rbind", "rro", "rprivate"]
    assert mount_at(spec, "/dev/shm").options == ["noexec", "nosuid", "nodev", "rprivate", "size=1m"]


def test_own_dev_takes_what_is_below_it():
    spec, _ = build(HostConfig(binds=["/dev:/dev"]))
    assert [m.destination for m in spec.mounts if m.destination.startswith("/dev")] == ["/dev"]


def test_read_only_root():
    spec, causes = build(HostConfig(readonly_rootfs=True))
    assert spec.root == oci_spec.Root(path="/rootfs", readonly=True)
    assert mount_at(spec, "/etc/hosts").options == ["rbind", "rro", "rprivate"]
    assert str(causes["root.readonly"]) == "request: --read-only"


@pytest.mark.parametrize(
    ("host", "missing"),
    [
        (HostConfig(network_mode="host"), "network"),
        (HostConfig(pid_mode="host"), "pid"),
        (HostConfig(ipc_mode="host"), "ipc"),
        (HostConfig(uts_mode="host"), "uts"),
    ],
)
def test_host_namespaces(host: HostConfig, missing: str):
    spec, _ = build(host)
    types = {n.type for n in spec.linux.namespaces}
    assert {"mount", "network", "uts", "pid", "ipc"} - types == {missing}


def test_network_of_the_host_has_no_sysctls_and_none_has():
    assert build(HostConfig(network_mode="host"))[0].linux.sysctl == {}
    assert len(build(HostConfig(network_mode="none"))[0].linux.sysctl) == 2
    own = HostConfig(sysctls={"net.ipv4.ip_unprivileged_port_start": "1024"})
    assert build(own)[0].linux.sysctl["net.ipv4.ip_unprivileged_port_start"] == "1024"


def test_joined_namespaces():
    host = HostConfig(network_mode="container:x", pid_mode="container:x", ipc_mode="container:x")
    joined = JoinedNamespaces("/proc/5/ns/net", "/proc/5/ns/pid", "/proc/5/ns/ipc")
    spec, causes = build(host, joined=joined, shm="/run/shm5")
    paths = {n.type: n.path for n in spec.linux.namespaces}
    assert (paths["network"], paths["pid"], paths["ipc"]) == (
        "/proc/5/ns/net",
        "/proc/5/ns/pid",
        "/proc/5/ns/ipc",
    )
    assert mount_at(spec, "/dev/shm").source == "/run/shm5"
    assert str(causes["linux.namespaces:pid"]) == "request: --pid container:x"
    with pytest.raises(InvalidArgument, match="not running"):
        build(host)


def test_ipc_none_has_no_shm():
    spec, _ = build(HostConfig(ipc_mode="none"))
    assert "/dev/shm" not in [m.destination for m in spec.mounts]
    assert "size=1024" in mount_at(build(HostConfig(shm_size=1024))[0], "/dev/shm").options


def test_cgroup_namespace_by_version():
    def own(mode: str, version: int) -> bool:
        spec, _ = build(HostConfig(cgroupns_mode=mode), cgroup_version=version)
        return "cgroup" in [n.type for n in spec.linux.namespaces]

    assert [own("", 1), own("", 2), own("private", 1), own("host", 2)] == [False, True, True, False]


def test_devices():
    host = HostConfig(
        devices=[DeviceMapping(path_on_host="/dev/null", path_in_container="/dev/x", cgroup_permissions="r")]
    )
    found = devices.requested(host.devices or ())
    spec, causes = build(host, devices=found)
    (device,) = spec.linux.devices
    assert (device.path, device.type, device.major, device.minor) == ("/dev/x", "c", 1, 3)
    rules = [(r.allow, r.major, r.minor, r.access) for r in spec.linux.resources.devices]
    assert rules[0] == (False, None, None, "rwm")
    assert rules[-1] == (True, 1, 3, "r")
    assert (False, 10, 229, "rwm") in rules
    assert str(causes["linux.devices:/dev/x"]) == "request: --device /dev/null:/dev/x:r"


def test_rlimits():
    host = HostConfig(
        ulimits=[Ulimit(name="nofile", soft=10, hard=20), Ulimit(name="core", soft=-1, hard=-1)]
    )
    spec, _ = build(
        host, ulimits=(Ulimit(name="nofile", soft=1, hard=1), Ulimit(name="nproc", soft=3, hard=3))
    )
    limits = {r.type: (r.soft, r.hard) for r in spec.process.rlimits}
    infinity = 0xFFFFFFFFFFFFFFFF
    assert limits == {
        "RLIMIT_NOFILE": (10, 20),
        "RLIMIT_NPROC": (3, 3),
        "RLIMIT_CORE": (infinity, infinity),
    }


def test_a_volume_without_directory_is_an_error():
    with pytest.raises(InvalidArgument, match="volume data"):
        build(HostConfig(binds=["data:/b"]))


def test_it_is_an_oci_config():
    spec, _ = build(HostConfig(memory=64 << 20, readonly_rootfs=True))
    assert oci_spec.decode(oci_spec.encode(spec)) == spec
    assert b'"ociVersion"' in oci_spec.encode(spec)


def test_many_options_as_dockerd_28_wrote_them():
    """``docker run --memory 64m --cpus 0.5 --pids-limit 20 … -u 5:6 --group-add 7 -e A=1 -t`` on dockerd 28.5.2."""
    host = HostConfig(
        memory=64 << 20,
        nano_cpus=500_000_000,
        pids_limit=20,
        cap_add=["NET_ADMIN"],
        binds=["/etc:/data/deep:ro", "/srv:/data"],
        tmpfs={"/run": "size=1m"},
        readonly_rootfs=True,
        ulimits=[Ulimit(name="nofile", soft=50, hard=60)],
        sysctls={"net.core.somaxconn": "99"},
        security_opt=["no-new-privileges"],
        group_add=["7"],
        oom_score_adj=100,
    )
    spec, _ = build(
        host, Config(hostname="762d37b7b7aa", user="5:6", working_dir="/srv", env=["A=1"], tty=True)
    )
    process, linux = spec.process, spec.linux
    assert process.env[1:] == ["HOSTNAME=762d37b7b7aa", "TERM=xterm", "A=1"]
    assert (process.cwd, process.no_new_privileges, process.oom_score_adj) == ("/srv", True, 100)
    assert len(process.capabilities.bounding) == 15
    assert (process.rlimits[0].soft, process.rlimits[0].hard) == (50, 60)
    assert linux.resources.memory == oci_spec.Memory(limit=67108864, swap=134217728)
    assert linux.resources.cpu == oci_spec.Cpu(quota=50000, period=100000)
    assert linux.sysctl["net.core.somaxconn"] == "99"
    assert len(linux.sysctl) == 3
    assert mount_at(spec, "/run").options == ["noexec", "nosuid", "nodev", "rprivate", "size=1m"]
    assert mount_at(spec, "/data").options == ["rbind", "rprivate"]
    assert mount_at(spec, "/data/deep").options == ["rbind", "rro", "rprivate"]


def test_thermal_paths_are_hidden_too(tmp_path):
    (tmp_path / "devices/system/cpu/cpu11/thermal_throttle").mkdir(parents=True)
    (tmp_path / "devices/system/cpu/cpufreq/thermal_throttle").mkdir(parents=True)
    found = thermal_paths(str(tmp_path))
    assert [path.removeprefix(str(tmp_path)) for path in found] == [
        "/devices/system/cpu/cpu11/thermal_throttle"
    ]
    assert build(masked=found)[0].linux.masked_paths[-1] == found[0]
