"""For each field that is done: two requests that differ in it, whose plans differ; or the test that shows it."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.harness import disks
from wherry.messages.container import (
    BindOptions,
    ContainerCreate,
    DeviceMapping,
    EndpointSettings,
    HostConfig,
    LogConfig,
    Mount,
    NetworkingConfig,
    PortBinding,
    RestartPolicy,
    ThrottleDevice,
    TmpfsOptions,
    Ulimit,
    WeightDevice,
)
from wherry.messages.exec import ExecCreate, ExecStart
from wherry.messages.network import NetworkCreate
from wherry.messages.plan import PlanComparison, PlanSource

Struct = type[msgspec.Struct]
Body = dict[str, Any]
BASE: Body = {"Image": "busybox", "Cmd": ["sleep", "60"]}


def host(**fields: Any) -> Body:
    return {"HostConfig": fields}


def bind(**options: Any) -> Body:
    return host(Mounts=[{"Type": "bind", "Source": "/tmp", "Target": "/x", "BindOptions": options}])


def read_only_bind(**options: Any) -> Body:
    return host(
        Mounts=[{"Type": "bind", "Source": "/tmp", "Target": "/x", "ReadOnly": True, "BindOptions": options}]
    )


def tmpfs(**options: Any) -> Body:
    return host(Mounts=[{"Type": "tmpfs", "Target": "/x", "TmpfsOptions": options}])


def ulimit(name: str, soft: int, hard: int) -> Body:
    return host(Ulimits=[{"Name": name, "Soft": soft, "Hard": hard}])


def weighted(path: str, weight: int) -> Body:
    return host(BlkioWeightDevice=[{"Path": path, "Weight": weight}])


def throttled(path: str, rate: int) -> Body:
    return host(BlkioDeviceReadBps=[{"Path": path, "Rate": rate}])


THROTTLE = [{"Path": disks.ONE, "Rate": 1 << 20}]
PORT = {"80/tcp": [{"HostPort": "8080"}]}
DEVICE = {"PathOnHost": "/dev/null", "PathInContainer": "/dev/nothing", "CgroupPermissions": "rwm"}
# A request with the field, and one without it where that is not BASE: their plans differ.
CHANGES_THE_PLAN: dict[tuple[Struct, str], tuple[Body, Body]] = {
    (ContainerCreate, "hostname"): ({"Hostname": "one"}, BASE),
    (ContainerCreate, "domainname"): ({"Domainname": "example.org"}, BASE),
    (ContainerCreate, "volumes"): ({"Volumes": {"/data": {}}}, BASE),
    (ContainerCreate, "user"): ({"User": "1:2"}, BASE),
    (ContainerCreate, "exposed_ports"): (
        {"ExposedPorts": {"80/tcp": {}}, **host(PublishAllPorts=True)},
        host(PublishAllPorts=True),
    ),
    (ContainerCreate, "tty"): ({"Tty": True}, BASE),
    (ContainerCreate, "open_stdin"): ({"OpenStdin": True}, BASE),
    (ContainerCreate, "stdin_once"): ({"OpenStdin": True, "StdinOnce": True}, {"OpenStdin": True}),
    (ContainerCreate, "env"): ({"Env": ["A=1"]}, BASE),
    (ContainerCreate, "cmd"): ({"Cmd": ["true"]}, BASE),
    (ContainerCreate, "working_dir"): ({"WorkingDir": "/tmp"}, BASE),
    (ContainerCreate, "entrypoint"): ({"Entrypoint": ["env"]}, BASE),
    (ContainerCreate, "host_config"): (host(Memory=64 << 20), BASE),
    (HostConfig, "binds"): (host(Binds=["/tmp:/x:ro"]), BASE),
    (HostConfig, "log_config"): (host(LogConfig={"Type": "none"}), BASE),
    (HostConfig, "network_mode"): (host(NetworkMode="none"), BASE),
    (HostConfig, "port_bindings"): (host(PortBindings=PORT), BASE),
    (HostConfig, "console_size"): ({"Tty": True, **host(ConsoleSize=[30, 100])}, {"Tty": True}),
    (HostConfig, "cap_add"): (host(CapAdd=["NET_ADMIN"]), BASE),
    (HostConfig, "cap_drop"): (host(CapDrop=["ALL"]), BASE),
    (HostConfig, "cgroupns_mode"): (host(CgroupnsMode="private"), host(CgroupnsMode="host")),
    (HostConfig, "dns"): (host(Dns=["192.0.2.1"]), BASE),
    (HostConfig, "dns_options"): (host(DnsOptions=["ndots:3"]), BASE),
    (HostConfig, "dns_search"): (host(DnsSearch=["example.org"]), BASE),
    (HostConfig, "extra_hosts"): (host(ExtraHosts=["one:192.0.2.1"]), BASE),
    (HostConfig, "group_add"): (host(GroupAdd=["7"]), BASE),
    (HostConfig, "ipc_mode"): (host(IpcMode="host"), BASE),
    (HostConfig, "oom_score_adj"): (host(OomScoreAdj=100), BASE),
    (HostConfig, "pid_mode"): (host(PidMode="host"), BASE),
    (HostConfig, "privileged"): (host(Privileged=True), BASE),
    (HostConfig, "publish_all_ports"): (
        {"ExposedPorts": {"80/tcp": {}}, **host(PublishAllPorts=True)},
        {"ExposedPorts": {"80/tcp": {}}},
    ),
    (HostConfig, "readonly_rootfs"): (host(ReadonlyRootfs=True), BASE),
    (HostConfig, "security_opt"): (host(SecurityOpt=["no-new-privileges"]), BASE),
    (HostConfig, "tmpfs"): (host(Tmpfs={"/x": ""}), BASE),
    (HostConfig, "uts_mode"): (host(UTSMode="host"), BASE),
    (HostConfig, "shm_size"): (host(ShmSize=1 << 20), BASE),
    (HostConfig, "sysctls"): (host(Sysctls={"net.ipv4.ip_forward": "0"}), BASE),
    (HostConfig, "mounts"): (host(Mounts=[{"Type": "tmpfs", "Target": "/x"}]), BASE),
    (HostConfig, "masked_paths"): (host(MaskedPaths=["/proc/kcore"]), BASE),
    (HostConfig, "readonly_paths"): (host(ReadonlyPaths=["/proc/bus"]), BASE),
    (HostConfig, "init"): (host(Init=True), BASE),
    (HostConfig, "cpu_shares"): (host(CpuShares=512), BASE),
    (HostConfig, "memory"): (host(Memory=64 << 20), BASE),
    (HostConfig, "nano_cpus"): (host(NanoCpus=500_000_000), BASE),
    (HostConfig, "cgroup_parent"): (host(CgroupParent="elsewhere"), BASE),
    (HostConfig, "blkio_weight"): (host(BlkioWeight=300), BASE),
    (HostConfig, "blkio_weight_device"): (host(BlkioWeightDevice=[{"Path": disks.ONE, "Weight": 300}]), BASE),
    (HostConfig, "blkio_device_read_bps"): (host(BlkioDeviceReadBps=THROTTLE), BASE),
    (HostConfig, "blkio_device_write_bps"): (host(BlkioDeviceWriteBps=THROTTLE), BASE),
    (HostConfig, "blkio_device_read_i_ops"): (host(BlkioDeviceReadIOps=THROTTLE), BASE),
    (HostConfig, "blkio_device_write_i_ops"): (host(BlkioDeviceWriteIOps=THROTTLE), BASE),
    (HostConfig, "cpu_period"): (host(CpuPeriod=50_000, CpuQuota=10_000), host(CpuQuota=10_000)),
    (HostConfig, "cpu_quota"): (host(CpuQuota=10_000), BASE),
    (HostConfig, "cpu_realtime_period"): (host(CpuRealtimePeriod=100_000), BASE),
    (HostConfig, "cpu_realtime_runtime"): (
        host(CpuRealtimePeriod=100_000, CpuRealtimeRuntime=10_000),
        host(CpuRealtimePeriod=100_000),
    ),
    (HostConfig, "cpuset_cpus"): (host(CpusetCpus="0"), BASE),
    (HostConfig, "cpuset_mems"): (host(CpusetMems="0"), BASE),
    (HostConfig, "devices"): (host(Devices=[DEVICE]), BASE),
    (HostConfig, "device_cgroup_rules"): (host(DeviceCgroupRules=["c 7:* rmw"]), BASE),
    (HostConfig, "memory_reservation"): (host(MemoryReservation=32 << 20), BASE),
    (HostConfig, "memory_swap"): (host(Memory=64 << 20, MemorySwap=64 << 20), host(Memory=64 << 20)),
    (HostConfig, "memory_swappiness"): (host(MemorySwappiness=10), BASE),
    (HostConfig, "oom_kill_disable"): (host(Memory=64 << 20, OomKillDisable=True), host(Memory=64 << 20)),
    (HostConfig, "pids_limit"): (host(PidsLimit=100), BASE),
    (HostConfig, "ulimits"): (host(Ulimits=[{"Name": "core", "Soft": 1, "Hard": 2}]), BASE),
    (LogConfig, "type"): (host(LogConfig={"Type": "none"}), BASE),
    (LogConfig, "config"): (
        host(LogConfig={"Type": "json-file", "Config": {"max-size": "1m"}}),
        host(LogConfig={"Type": "json-file"}),
    ),
    (PortBinding, "host_ip"): (
        host(PortBindings={"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}),
        host(PortBindings=PORT),
    ),
    (PortBinding, "host_port"): (host(PortBindings=PORT), host(PortBindings={"80/tcp": [{}]})),
    (DeviceMapping, "path_on_host"): (host(Devices=[{**DEVICE, "PathOnHost": "/dev/zero"}]), host(Devices=[DEVICE])),
    (DeviceMapping, "path_in_container"): (
        host(Devices=[{**DEVICE, "PathInContainer": "/dev/other"}]),
        host(Devices=[DEVICE]),
    ),
    (DeviceMapping, "cgroup_permissions"): (
        host(Devices=[{**DEVICE, "CgroupPermissions": "r"}]),
        host(Devices=[DEVICE]),
    ),
    (Ulimit, "name"): (ulimit("core", 0, 2), ulimit("cpu", 0, 2)),
    (Ulimit, "soft"): (ulimit("core", 1, 2), ulimit("core", 0, 2)),
    (Ulimit, "hard"): (ulimit("core", 0, 3), ulimit("core", 0, 2)),
    (Mount, "type"): (
        host(Mounts=[{"Type": "tmpfs", "Target": "/x"}]),
        host(Mounts=[{"Type": "bind", "Source": "/tmp", "Target": "/x"}]),
    ),
    (Mount, "source"): (
        host(Mounts=[{"Type": "bind", "Source": "/usr", "Target": "/x"}]),
        host(Mounts=[{"Type": "bind", "Source": "/tmp", "Target": "/x"}]),
    ),
    (Mount, "target"): (tmpfs(), host(Mounts=[{"Type": "tmpfs", "Target": "/y"}])),
    (Mount, "read_only"): (read_only_bind(), bind()),
    (Mount, "bind_options"): (bind(NonRecursive=True), bind()),
    (Mount, "tmpfs_options"): (tmpfs(SizeBytes=1 << 20), tmpfs()),
    (BindOptions, "propagation"): (
        host(Mounts=[{"Type": "bind", "Source": "/usr", "Target": "/x", "BindOptions": {"Propagation": "private"}}]),
        host(Mounts=[{"Type": "bind", "Source": "/usr", "Target": "/x"}]),
    ),
    (BindOptions, "non_recursive"): (bind(NonRecursive=True), bind()),
    (BindOptions, "read_only_non_recursive"): (read_only_bind(ReadOnlyNonRecursive=True), read_only_bind()),
    (BindOptions, "create_mountpoint"): (
        host(Mounts=[{"Type": "bind", "Source": "/gone", "Target": "/x", "BindOptions": {"CreateMountpoint": True}}]),
        BASE,
    ),
    (WeightDevice, "path"): (weighted(disks.ONE, 300), weighted(disks.OTHER, 300)),
    (WeightDevice, "weight"): (weighted(disks.ONE, 300), weighted(disks.ONE, 400)),
    (ThrottleDevice, "path"): (throttled(disks.ONE, 4096), throttled(disks.OTHER, 4096)),
    (ThrottleDevice, "rate"): (throttled(disks.ONE, 4096), throttled(disks.ONE, 8192)),
    (TmpfsOptions, "size_bytes"): (tmpfs(SizeBytes=1 << 20), tmpfs()),
    (TmpfsOptions, "mode"): (tmpfs(Mode=0o700), tmpfs()),
    (TmpfsOptions, "options"): (tmpfs(Options=[["exec"]]), tmpfs()),
}  # fmt: skip
# What is done and is in no plan: the test that shows it.
HERE = "tests/api/test_fates.py"
RUN, LIFE = "tests/clients/test_docker_run.py", "tests/clients/test_docker_lifecycle.py"
TERMINAL, DAEMON = "tests/clients/test_docker_terminal.py", "tests/api/test_daemon.py"
REQUEST, COMPARED = "tests/engine/test_request.py", "tests/cli/test_plan.py"
SHOWN_BY: dict[tuple[Struct, str], str] = {
    (ContainerCreate, "healthcheck"): f"{HERE}::test_no_health_check_is_what_there_is",
    (ContainerCreate, "image"): f"{LIFE}::test_create_start_and_wait",
    (ContainerCreate, "mac_address"): f"{HERE}::test_a_link_has_the_address_that_was_wished",
    (ContainerCreate, "labels"): f"{LIFE}::test_ps_columns_and_filters",
    (ContainerCreate, "stop_signal"): f"{LIFE}::test_stop_uses_the_signal_that_was_asked_for",
    (ContainerCreate, "stop_timeout"): f"{HERE}::test_a_container_has_its_own_time_to_stop",
    (ContainerCreate, "network_disabled"): "tests/clients/test_docker_network.py::test_network_disabled",
    (ContainerCreate, "networking_config"): f"{HERE}::test_a_link_has_the_address_that_was_wished",
    (HostConfig, "restart_policy"): f"{REQUEST}::test_docker_defaults_are_filled_in",
    (HostConfig, "auto_remove"): f"{RUN}::test_auto_removed",
    (HostConfig, "annotations"): f"{HERE}::test_annotations_are_in_the_specification",
    (RestartPolicy, "maximum_retry_count"): f"{HERE}::test_what_is_refused_is_refused_in_words",
    (BindOptions, "read_only_force_recursive"): f"{HERE}::test_read_only_mounts_are_recursive",
    (NetworkingConfig, "endpoints_config"): f"{HERE}::test_a_link_has_the_address_that_was_wished",
    (EndpointSettings, "mac_address"): f"{HERE}::test_a_link_has_the_address_that_was_wished",
    (ExecCreate, "attach_stdin"): f"{DAEMON}::test_exec_in_full",
    (ExecCreate, "attach_stdout"): f"{DAEMON}::test_exec_in_full",
    (ExecCreate, "attach_stderr"): f"{DAEMON}::test_exec_in_full",
    (ExecCreate, "console_size"): f"{TERMINAL}::test_exec_on_a_terminal",
    (ExecCreate, "detach_keys"): f"{HERE}::test_an_exec_has_detach_keys_of_its_own",
    (ExecCreate, "tty"): f"{TERMINAL}::test_exec_on_a_terminal",
    (ExecCreate, "env"): f"{TERMINAL}::test_exec_on_a_terminal",
    (ExecCreate, "cmd"): f"{LIFE}::test_exec",
    (ExecCreate, "privileged"): "tests/runtime/test_exec_plan.py::test_privileged",
    (ExecCreate, "user"): f"{LIFE}::test_exec",
    (ExecCreate, "working_dir"): f"{LIFE}::test_exec",
    (NetworkCreate, "name"): "tests/api/test_as_docker.py::test_networks_that_nobody_makes",
    (NetworkCreate, "driver"): "tests/api/test_as_docker.py::test_networks_that_nobody_makes",
    (ExecStart, "detach"): f"{LIFE}::test_detached_exec_goes_on",
    (ExecStart, "tty"): f"{TERMINAL}::test_exec_on_a_terminal",
    (ExecStart, "console_size"): f"{TERMINAL}::test_exec_on_a_terminal",
    (PlanComparison, "a"): f"{COMPARED}::test_two_plans_show_only_what_differs",
    (PlanComparison, "b"): f"{COMPARED}::test_two_plans_show_only_what_differs",
    (PlanSource, "container"): f"{COMPARED}::test_two_plans_show_only_what_differs",
    (PlanSource, "create"): f"{COMPARED}::test_two_plans_show_only_what_differs",
}

IMAGES, STREAMS, CONTAINERS = (
    "tests/api/test_images.py",
    "tests/api/test_streams.py",
    "tests/api/test_containers.py",
)
EXPLAIN = "tests/engine/explain/test_explain.py"
CHECKED = "tests/engine/explain/test_drift.py::test_nothing_is_found_where_nothing_was_done"
PARAMETER_SHOWN_BY: dict[str, str] = {
    "POST /containers/create name": f"{CONTAINERS}::test_create_start_stop_remove",
    "POST /containers/create platform": "tests/engine/test_platform.py::test_platforms",
    "POST /containers/create dry_run": "tests/engine/test_dry_run.py::test_a_dry_run_changes_nothing",
    "GET /containers/json all": f"{CONTAINERS}::test_the_list",
    "GET /containers/json limit": f"{CONTAINERS}::test_the_list",
    "GET /containers/json size": f"{CONTAINERS}::test_the_list",
    "GET /containers/json filters": f"{CONTAINERS}::test_filters_in_both_forms",
    "GET /containers/{ref}/json size": f"{CONTAINERS}::test_inspect_shows_every_field",
    "POST /containers/{ref}/stop t": f"{LIFE}::test_stop_kills_what_does_not_listen",
    "POST /containers/{ref}/stop signal": f"{LIFE}::test_stop_uses_the_signal_that_was_asked_for",
    "POST /containers/{ref}/restart t": f"{LIFE}::test_restart",
    "POST /containers/{ref}/restart signal": f"{HERE}::test_a_restart_has_a_signal_of_its_own",
    "POST /containers/{ref}/kill signal": f"{LIFE}::test_kill",
    "DELETE /containers/{ref} force": f"{LIFE}::test_remove",
    "POST /containers/{ref}/rename name": f"{CONTAINERS}::test_errors_in_dockers_words",
    "POST /containers/{ref}/resize rows": f"{DAEMON}::test_a_terminal_is_raw_and_can_be_resized",
    "POST /containers/{ref}/resize columns": f"{DAEMON}::test_a_terminal_is_raw_and_can_be_resized",
    "GET /containers/{ref}/top ps_arguments": f"{DAEMON}::test_top_shows_the_processes_of_the_container_only",
    "POST /containers/{ref}/wait condition": f"{STREAMS}::test_wait_sends_its_head_before_it_waits",
    **{
        f"GET /containers/{{ref}}/logs {name}": f"{DAEMON}::test_logs_with_every_option"
        for name in ("stdout", "stderr", "timestamps", "tail", "since", "until")
    },
    "GET /containers/{ref}/logs follow": f"{DAEMON}::test_following_logs_ends_with_the_container",
    "GET /containers/{ref}/logs details": "tests/runtime/test_logs.py::test_details",
    "POST /containers/{ref}/attach stream": f"{DAEMON}::test_attach_carries_every_byte_both_ways",
    "POST /containers/{ref}/attach stdin": f"{DAEMON}::test_attach_carries_every_byte_both_ways",
    "POST /containers/{ref}/attach stdout": f"{DAEMON}::test_output_of_both_streams_is_told_apart",
    "POST /containers/{ref}/attach stderr": f"{DAEMON}::test_output_of_both_streams_is_told_apart",
    "POST /containers/{ref}/attach logs": f"{DAEMON}::test_attach_with_logs_sends_what_was_written_before",
    "POST /containers/{ref}/attach detach_keys": f"{TERMINAL}::test_own_detach_keys",
    "GET /containers/{ref}/explain check": CHECKED,
    "GET /containers/{ref}/explain filter": f"{EXPLAIN}::test_the_filter_read_back_from_the_kernel",
    "GET /explain check": CHECKED,
    "GET /explain all": CHECKED,
    "GET /explain containers": CHECKED,
    "POST /exec/{id}/resize rows": f"{TERMINAL}::test_exec_on_a_terminal",
    "POST /exec/{id}/resize columns": f"{TERMINAL}::test_exec_on_a_terminal",
    "GET /images/json all": "tests/engine/test_image.py::test_list_and_its_filters",
    "GET /images/json filters": "tests/engine/test_image.py::test_list_and_its_filters",
    "GET /images/{name}/json platform": f"{IMAGES}::test_only_for_a_platform",
    "GET /images/{name}/history platform": f"{IMAGES}::test_only_for_a_platform",
    "POST /images/{name}/tag repo": f"{IMAGES}::test_import_tag_remove",
    "POST /images/{name}/tag tag": f"{IMAGES}::test_import_tag_remove",
    "DELETE /images/{name} force": "tests/engine/test_image.py::test_images_of_containers",
    "DELETE /images/{name} platforms": f"{IMAGES}::test_an_image_for_another_platform_is_not_removed",
    "POST /images/load quiet": "tests/engine/test_image.py::test_progress_is_told_unless_quiet",
    "POST /images/load platform": f"{HERE}::test_a_load_takes_the_image_of_the_platform",
    "POST /images/create from_src": f"{IMAGES}::test_import_without_a_message_says_where_it_came_from",
    "POST /images/create repo": f"{IMAGES}::test_import_tag_remove",
    "POST /images/create tag": f"{IMAGES}::test_import_tag_remove",
    "POST /images/create message": f"{IMAGES}::test_import_tag_remove",
    "POST /images/create changes": f"{IMAGES}::test_import_tag_remove",
    "POST /images/create platform": "tests/engine/test_image.py::test_import_names_and_configures",
    "GET /events since": f"{STREAMS}::test_events_of_the_past_end_at_until",
    "GET /events until": f"{STREAMS}::test_events_of_the_past_end_at_until",
    "GET /events filters": "tests/engine/test_events.py::test_filters",
    "GET /networks/{ref} scope": "tests/api/test_routes.py::test_networks_are_listed_under_either_path",
    "GET /networks/ filters": "tests/api/test_routes.py::test_networks_are_listed_under_either_path",
    "GET /networks filters": f"{HERE}::test_networks_can_be_filtered",
    "GET /volumes filters": f"{HERE}::test_filters_of_volumes_are_checked",
}
