"""What becomes of each thing that a client may say: every field of every request.

* *done*: it has effect;
* *refused*: it would be left undone, and whoever asks for it counts on it, so that the request is refused in words;
* *echoed*: it is kept and shown, as clients expect, and nothing depends on it.

A field may be done and still have values that are refused. ``refuse`` works by this table, the API's parameters do,
and ``docs/compatibility.md`` is made from it. ``tests/api/test_fates.py`` fails for what has no fate. The parameters
of routes are in ``parameter_fates``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from wherry.engine.fate import NOT_HERE, Fate, done, echoed, refused
from wherry.errors import InvalidArgument
from wherry.messages.base import Nothing
from wherry.messages.container import (
    BindOptions,
    Config,
    ContainerCreate,
    DeviceMapping,
    DeviceRequest,
    EndpointIpam,
    EndpointSettings,
    HealthConfig,
    HostConfig,
    LogConfig,
    Mount,
    NetworkingConfig,
    PortBinding,
    RestartPolicy,
    ThrottleDevice,
    TmpfsOptions,
    Ulimit,
    VolumeDriver,
    VolumeOptions,
    WeightDevice,
)
from wherry.messages.exec import ExecCreate, ExecStart
from wherry.messages.network import NetworkCreate
from wherry.messages.plan import PlanComparison, PlanSource
from wherry.network.drivers.catalogue import DEFAULT_NETWORK, PREDEFINED

RUNTIMES = ("wherry", "runc", "io.containerd.runc.v2")  # the last two: what clients of Docker name by habit


# ---------------------------------------------------------------- values that are refused


def named_volumes(binds: Iterable[str] | None, message: Any) -> Iterator[str]:
    for bind in binds or ():
        source, colon, rest = bind.partition(":")
        if not (colon and source.startswith("/")):
            yield rest.partition(":")[0] or source


def volume_type(kind: str, mount: Mount) -> Iterator[str]:
    if kind == "volume":
        yield mount.target


def further_networks(networking: NetworkingConfig | None, request: ContainerCreate) -> Iterator[str]:
    """A container is on one network, the one of its network mode; where there is no such network, it cannot start."""
    mode = (request.host_config or HostConfig()).network_mode
    own = ("default", DEFAULT_NETWORK) if mode in ("default", DEFAULT_NETWORK, "") else (mode,)
    for name in (networking and networking.endpoints_config) or ():
        if name in PREDEFINED and name not in own:
            yield name


def profiles(options: Iterable[str] | None, message: Any) -> Iterator[str]:
    """Profiles of AppArmor that somebody has written. SELinux's labels do nothing where Docker's do nothing either."""
    for option in options or ():
        key, _, value = option.partition("=" if "=" in option else ":")
        if key == "apparmor" and value not in ("unconfined", "docker-default", ""):
            yield option


def retries(count: int, policy: RestartPolicy) -> Iterator[int]:
    """The number of restarts, where the policy has no use for one."""
    if count and policy.name in ("", "no"):
        yield count


VOLUME = "a volume (mount of {}; bind a directory of the host, or use a tmpfs)"
BY_THE_ENGINE = echoed("the engine says it, when the container has started")
OF_A_VOLUME = echoed("concerns volumes, which are refused")

# ---------------------------------------------------------------- the fields

Fates = Mapping[str, Fate]

CONFIG: Fates = {
    "hostname": done(),
    "domainname": done(),
    "user": done(),
    "attach_stdin": echoed("who attaches says what he wants by the parameters of `attach`"),
    "attach_stdout": echoed("as `AttachStdin`"),
    "attach_stderr": echoed("as `AttachStdin`"),
    "exposed_ports": done("shown, and published by `PublishAllPorts`"),
    "tty": done(),
    "open_stdin": done(),
    "stdin_once": done(),
    "env": done(),
    "cmd": done(),
    "healthcheck": done("`NONE` is what always is; see HealthConfig"),
    "args_escaped": echoed("concerns Windows"),
    "image": done(),
    "volumes": done(
        "also those of an image: as yet directories of the container's own, which go with it, where Docker "
        "keeps them until `rm -v`"
    ),
    "working_dir": done(),
    "entrypoint": done(),
    "network_disabled": done(
        "as network `none`, but on no network; `/etc/hosts` has localhost, where Docker leaves it empty"
    ),
    "mac_address": done(),
    "on_build": echoed("concerns builds from an image"),
    "labels": done("filters, `ps`, events"),
    "stop_signal": done(),
    "stop_timeout": done(),
    "shell": echoed("concerns builds"),
}

FIELDS: Mapping[type[msgspec.Struct], Fates] = {
    Config: CONFIG,
    ContainerCreate: {
        **CONFIG,
        "host_config": done(),
        "networking_config": done(
            "for the network of `NetworkMode`",
            refused="a second network (--network {})",
            wrong=further_networks,
        ),
    },
    HealthConfig: {
        "test": refused("a health check (--health-cmd)", "`NONE` is accepted", but=(["NONE"],)),
        "interval": refused("--health-interval"),
        "timeout": refused("--health-timeout"),
        "start_period": refused("--health-start-period"),
        "start_interval": refused("--health-start-interval"),
        "retries": refused("--health-retries"),
    },
    HostConfig: {
        "binds": done(refused=VOLUME, wrong=named_volumes),
        "container_id_file": echoed("the client writes it"),
        "log_config": done(),
        "network_mode": done("`bridge`, `host`, `none`, `container:ID`"),
        "port_bindings": done("tcp and udp"),
        "restart_policy": done("`no`; see RestartPolicy"),
        "auto_remove": done(),
        "volume_driver": refused("a volume driver (--volume-driver)", but=("local",)),
        "volumes_from": refused("--volumes-from"),
        "console_size": done(),
        "annotations": done("in the runtime specification"),
        "cap_add": done(),
        "cap_drop": done(),
        "cgroupns_mode": done(),
        "dns": done(),
        "dns_options": done(),
        "dns_search": done(),
        "extra_hosts": done(),
        "group_add": done(),
        "ipc_mode": done(),
        "cgroup": refused("a cgroup of another container (Cgroup {!r})"),
        "links": refused("--link"),
        "oom_score_adj": done("as `Ulimits`, where it may not be lowered"),
        "pid_mode": done(),
        "privileged": done(),
        "publish_all_ports": done(),
        "readonly_rootfs": done(),
        "security_opt": done(
            "`no-new-privileges`, `seccomp`, `systempaths`, `writable-cgroups`; labels are echoed",
            refused="an AppArmor profile (--security-opt {})",
            wrong=profiles,
        ),
        "storage_opt": refused("--storage-opt"),
        "tmpfs": done(),
        "uts_mode": done(),
        "userns_mode": refused(
            "user namespace mode {!r} (--userns)", "`host` is what always is", but=("host",)
        ),
        "shm_size": done(),
        "sysctls": done(),
        "runtime": refused("runtime {!r} (--runtime)", "runc's names are taken for ours", but=RUNTIMES),
        "isolation": refused("isolation {!r} (--isolation)", but=("default",)),
        "mounts": done("see Mount"),
        "masked_paths": done(),
        "readonly_paths": done(),
        "init": done(),
        "cpu_shares": done(),
        "memory": done(),
        "nano_cpus": done(),
        "cgroup_parent": done(),
        "blkio_weight": done("where the kernel's scheduler has weights"),
        "blkio_weight_device": done("as `BlkioWeight`"),
        "blkio_device_read_bps": done(),
        "blkio_device_write_bps": done(),
        "blkio_device_read_i_ops": done(),
        "blkio_device_write_i_ops": done(),
        "cpu_period": done(),
        "cpu_quota": done(),
        "cpu_realtime_period": done("on cgroup v1, where the kernel has it"),
        "cpu_realtime_runtime": done("as `CpuRealtimePeriod`"),
        "cpuset_cpus": done(),
        "cpuset_mems": done(),
        "devices": done(),
        "device_cgroup_rules": done(),
        "device_requests": refused("a device request (--gpus)"),
        "memory_reservation": done(),
        "memory_swap": done(),
        "memory_swappiness": done("on cgroup v1; on v2 the answer's warnings say that it is not"),
        "oom_kill_disable": done("on cgroup v1; on v2 the answer's warnings say that it is not"),
        "pids_limit": done(),
        "kernel_memory": echoed("before API 1.42; kernels of today have no such limit"),
        "ulimits": done("one that the kernel will not raise is told; with Docker the start fails"),
    },
    RestartPolicy: {
        "name": refused("restart policy {!r} (--restart)", "`no` is accepted", but=("no",)),
        "maximum_retry_count": done(
            "with a policy, which is refused",
            refused="a maximum retry count without a policy ({})",
            wrong=retries,
        ),
    },
    LogConfig: {
        "type": done("`json-file`, `none`"),
        "config": done(
            "`max-size`, `max-file`, `compress`, `tag`, `labels`, `labels-regex`, `env`, `env-regex`; `mode` and "
            "`cache-…` are accepted and change nothing, as output is always written at once"
        ),
    },
    PortBinding: {"host_ip": done("an IPv4 address"), "host_port": done()},
    DeviceMapping: {"path_on_host": done(), "path_in_container": done(), "cgroup_permissions": done()},
    Ulimit: {"name": done(), "soft": done(), "hard": done()},
    Mount: {
        "type": done("`bind`, `tmpfs`", refused=VOLUME, wrong=volume_type),
        "source": done(),
        "target": done(),
        "read_only": done(),
        "consistency": echoed("concerns Docker Desktop"),
        "bind_options": done(),
        "volume_options": OF_A_VOLUME,
        "tmpfs_options": done(),
    },
    BindOptions: {
        "propagation": done(),
        "non_recursive": done(),
        "create_mountpoint": done(),
        "read_only_non_recursive": done("by default for clients of before API 1.44, as with Docker"),
        "read_only_force_recursive": done(
            "read-only mounts are recursive otherwise, too, or the start fails"
        ),
    },
    VolumeOptions: dict.fromkeys(VolumeOptions.__struct_fields__, OF_A_VOLUME),
    VolumeDriver: dict.fromkeys(VolumeDriver.__struct_fields__, OF_A_VOLUME),
    DeviceRequest: dict.fromkeys(
        DeviceRequest.__struct_fields__, echoed("concerns device requests, which are refused")
    ),
    WeightDevice: {"path": done(), "weight": done()},
    ThrottleDevice: {"path": done(), "rate": done()},
    Nothing: {},
    TmpfsOptions: {"size_bytes": done(), "mode": done(), "options": done("`exec`, `noexec`")},
    NetworkingConfig: {"endpoints_config": done("see EndpointSettings")},
    EndpointIpam: {
        "ipv4_address": refused("a fixed address (--ip)"),
        "ipv6_address": refused("a fixed address (--ip6)"),
        "link_local_ips": refused("a fixed address (--link-local-ip)"),
    },
    EndpointSettings: {
        "ipam_config": echoed("see EndpointIpam"),
        "links": refused("--link"),
        "aliases": refused("a network alias (--network-alias)"),
        "mac_address": done(),
        "driver_opts": refused("an option of the network's driver (--network driver-opt)"),
        "gw_priority": echoed("a container has one network, and so one gateway"),
        "network_id": BY_THE_ENGINE,
        "endpoint_id": BY_THE_ENGINE,
        "gateway": BY_THE_ENGINE,
        "ip_address": BY_THE_ENGINE,
        "ip_prefix_len": BY_THE_ENGINE,
        "ipv6_gateway": BY_THE_ENGINE,
        "global_ipv6_address": BY_THE_ENGINE,
        "global_ipv6_prefix_len": BY_THE_ENGINE,
        "dns_names": BY_THE_ENGINE,
    },
    ExecCreate: {
        "attach_stdin": done(),
        "attach_stdout": done(),
        "attach_stderr": done(),
        "console_size": done(),
        "detach_keys": done(),
        "tty": done(),
        "env": done(),
        "cmd": done(),
        "privileged": done(),
        "user": done(),
        "working_dir": done(),
    },
    NetworkCreate: {
        "name": done(
            "a predefined network's, or none, is refused as with Docker; all others are, too, by a 501"
        ),
        "driver": done("the same of `host` and `null`"),
    },
    ExecStart: {"detach": done(), "tty": done("frames the output, or not"), "console_size": done()},
    PlanComparison: {"a": done(), "b": done()},
    PlanSource: {"container": done(), "create": done()},
}

# ---------------------------------------------------------------- at work

NESTING = (msgspec.Struct, list, dict)  # what there can be messages in


def refuse(message: msgspec.Struct) -> None:
    """InvalidArgument with everything in a request that would be left undone."""
    found = [f"{option} is {NOT_HERE}" for option in refusals(message)]
    if found:
        raise InvalidArgument("; ".join(found))


def refusals(message: msgspec.Struct) -> Iterator[str]:
    """What of a message, and of the messages in it, is refused."""
    for name, fate in FIELDS[type(message)].items():
        value = getattr(message, name)
        if fate.wrong is not None:
            yield from fate.refusals(value, message)
        if isinstance(value, NESTING):
            for part in parts(value):
                yield from refusals(part)


def parts(value: Any) -> Iterator[msgspec.Struct]:
    """The messages in a field."""
    if isinstance(value, msgspec.Struct):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from parts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from parts(item)
