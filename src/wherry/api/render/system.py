"""``/version`` and ``/info``. Engine API, SystemVersion and SystemInfo."""

from __future__ import annotations

import platform
import time

from wherry.api.version import MAX_VERSION, MIN_VERSION, Version, show_version
from wherry.build import Build, build
from wherry.engine.system import ENGINE_VERSION, RUNTIME, STORAGE_DRIVER, HostFacts, SystemInfo
from wherry.messages.system import (
    Component,
    FirewallBackend,
    IndexConfig,
    Info,
    PlatformName,
    Plugins,
    RegistryConfig,
    Runtime,
    VersionInfo,
)
from wherry.network.drivers.catalogue import DRIVERS
from wherry.values.times import now

# ---------------------------------------------------------------- version


def version_info(host: HostFacts) -> VersionInfo:
    """What ``docker version`` prints as the server. There is no Go here: its field says which Python it is."""
    api, least = show_version(MAX_VERSION), show_version(MIN_VERSION)
    python, built = f"python{platform.python_version()}", build()
    engine = Component(
        name="Engine",
        version=ENGINE_VERSION,
        details={
            "ApiVersion": api,
            "Arch": host.go_architecture,
            "BuildTime": clock(built, "%a %b %e %H:%M:%S %Y"),
            "Experimental": "false",
            "GitCommit": built.commit,
            "GoVersion": python,
            "KernelVersion": host.kernel,
            "MinAPIVersion": least,
            "Os": "linux",
        },
    )
    launcher = Component(name="wherry-launcher", version=ENGINE_VERSION, details={"GitCommit": built.commit})
    return VersionInfo(
        platform=PlatformName(name="Wherry"),
        components=[engine, launcher],
        version=ENGINE_VERSION,
        api_version=api,
        min_api_version=least,
        git_commit=built.commit,
        build_time=clock(built, "%Y-%m-%dT%H:%M:%S.000000000+00:00"),
        go_version=python,
        arch=host.go_architecture,
        kernel_version=host.kernel,
    )


def clock(built: Build, form: str) -> str:
    """When this was built, in UTC; "" where nobody has written it down."""
    return time.strftime(form, time.gmtime(built.time)) if built.time else ""


# ---------------------------------------------------------------- info


def render_info(info: SystemInfo, listeners: int, version: Version) -> Info:
    """``docker info``. Containers outlive the daemon, so live restore is always on."""
    counts, host, limits = info.counts, info.host, info.limits
    result = Info(
        driver=STORAGE_DRIVER,
        server_version=ENGINE_VERSION,
        default_runtime=RUNTIME,
        id=info.id,
        containers=counts.containers,
        containers_running=counts.running,
        containers_paused=counts.paused,
        containers_stopped=counts.stopped,
        images=counts.images,
        driver_status=[("Backing Filesystem", info.backing_filesystem)],
        plugins=Plugins(volume=[], network=list(DRIVERS), authorization=None, log=["json-file", "none"]),
        memory_limit=limits.memory,
        swap_limit=limits.swap,
        cpu_cfs_period=limits.cpu_quota,
        cpu_cfs_quota=limits.cpu_quota,
        cpu_shares=limits.cpu_shares,
        cpu_set=limits.cpu_set,
        pids_limit=limits.pids,
        ipv4_forwarding=host.ipv4_forwarding,
        n_fd=info.open_files,
        oom_kill_disable=limits.oom_kill_disable,
        system_time=now(),
        logging_driver=info.log_driver,
        cgroup_version=str(info.cgroup_version),
        n_events_listener=listeners,
        kernel_version=host.kernel,
        operating_system=host.operating_system,
        os_version=host.os_version,
        architecture=host.architecture,
        registry_config=registry_config(),
        ncpu=host.cpus,
        mem_total=host.memory,
        docker_root_dir=str(info.data_root),
        name=host.name,
        runtimes={RUNTIME: Runtime(path="wherry-launcher")},
        security_options=security_options(info.cgroup_version),
        firewall_backend=FirewallBackend(driver="nftables"),
        warnings=info.warnings or None,
    )
    if version < (1, 50):
        result.bridge_nf_iptables = result.bridge_nf_ip6tables = False
    return result


def registry_config() -> RegistryConfig:
    """What clients expect to find about Docker Hub. No registry is spoken to."""
    hub = IndexConfig(mirrors=[], name="docker.io", official=True, secure=True)
    return RegistryConfig(
        index_configs={"docker.io": hub}, insecure_registry_cidrs=["::1/128", "127.0.0.0/8"], mirrors=None
    )


def security_options(cgroup_version: int) -> list[str]:
    """What protects containers by default. Engine API, ``GET /info``, "SecurityOptions"."""
    return ["name=seccomp,profile=builtin", *(["name=cgroupns"] if cgroup_version == 2 else [])]
