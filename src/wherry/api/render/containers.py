"""Containers as ``ps`` and ``inspect`` show them. Engine API, ContainerSummary and ContainerInspectResponse."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import UNSET

from wherry.api.version import Version
from wherry.engine.containers import Sizes
from wherry.engine.record import ContainerView, Phase
from wherry.engine.system import RUNTIME
from wherry.engine.views import ContainerDetail, ContainerLine, Places
from wherry.messages.base import ZERO_TIME, GraphDriver
from wherry.messages.container import Config, EndpointSettings, HostConfig, MountPoint, PortBinding, State
from wherry.messages.container_view import (
    ContainerInspect,
    ContainerSummary,
    NetworkSettings,
    Port,
    SummaryHostConfig,
    SummaryNetworks,
)
from wherry.network.drivers.catalogue import DEFAULT_NETWORK
from wherry.network.ports import PublishedPort
from wherry.runtime.spec import default_masked, default_read_only
from wherry.values.durations import SECOND, human_duration
from wherry.values.ports import split_port
from wherry.values.times import parse_rfc3339

# ---------------------------------------------------------------- ps


def summary(
    line: ContainerLine, now: float, version: Version, sizes: Sizes | None = None
) -> ContainerSummary:
    """One line of ``ps``, as a version of the API has it. ``now`` is in seconds since 1970."""
    view, record = line.view, line.view.record
    annotations = record.host_config.annotations if version >= (1, 46) else None
    return ContainerSummary(
        id=record.id,
        names=[f"/{record.name}"],
        image=line.image,
        image_id=record.image,
        command=command_line(record.path, record.args),
        created=parse_rfc3339(record.created) // SECOND,
        ports=port_list(view),
        labels=record.config.labels or {},
        state=view.status,
        status=status_text(state(view), now),
        host_config=SummaryHostConfig(
            network_mode=record.host_config.network_mode, annotations=annotations or UNSET
        ),
        network_settings=SummaryNetworks(networks=endpoints(view)),
        mounts=[mount(point) for point in record.mounts],
        size_rw=(sizes.size_rw or UNSET) if sizes else UNSET,
        size_root_fs=sizes.size_root_fs if sizes else UNSET,
    )


def command_line(path: str, args: Iterable[str]) -> str:
    """The command for a reader: arguments with spaces are quoted, nothing is escaped."""
    return " ".join((path, *(f"'{arg}'" if " " in arg else arg for arg in args)))


def status_text(state: State, now: float) -> str:
    """``Up 3 seconds``, ``Exited (0) 2 minutes ago``, ``Created`` …"""
    if state.restarting:
        return f"Restarting ({state.exit_code}) {since(state.finished_at, now)} ago"
    if state.running:
        return f"Up {since(state.started_at, now)}{' (Paused)' if state.paused else ''}"
    if state.status == Phase.REMOVING or state.dead:
        return "Dead" if state.dead else "Removal In Progress"
    if state.started_at == ZERO_TIME:
        return "Created"
    return f"Exited ({state.exit_code}) {since(state.finished_at, now)} ago"


def since(time: str, now: float) -> str:
    """The time that has passed, in the words of ``docker ps``; ``now`` is in seconds since 1970."""
    return human_duration(now - parse_rfc3339(time) / SECOND)


def port_list(view: ContainerView) -> list[Port]:
    """Published ports, then exposed ones that are not; only while the container has an address."""
    if not has_address(view):
        return []
    taken = {f"{p.container_port}/{p.proto}" for p in view.ports}
    exposed = [key for key in view.record.config.exposed_ports or () if key not in taken]
    shown = [
        Port(ip=p.host_ip, private_port=p.container_port, public_port=p.host_port, type=p.proto)
        for p in view.ports
    ]
    return shown + [exposed_port(key) for key in exposed]


def has_address(view: ContainerView) -> bool:
    return view.running and any(place.address for place in view.attachments.values())


def exposed_port(key: str) -> Port:
    number, protocol = split_port(key)
    return Port(private_port=number, type=protocol)


def mount(point: MountPoint) -> dict[str, Any]:
    """A mount without the fields that only volumes have, where it is none."""
    return without_empty(msgspec.to_builtins(point), MOUNT_OPTIONAL)


def endpoints(view: ContainerView) -> dict[str, EndpointSettings]:
    """The container's places on networks: as asked for, completed by the leases that it holds."""
    return {name: endpoint(name, asked, view) for name, asked in view.record.networks.items()}


def endpoint(name: str, asked: EndpointSettings, view: ContainerView) -> EndpointSettings:
    """What was asked of one network, with the address, gateway and ids that the container was given on it."""
    lease, network_id = view.attachments.get(name), view.state.networks.get(name, "")
    if lease is None:  # of a run that is over, the network's id alone is told
        return msgspec.structs.replace(
            asked, network_id=network_id, mac_address="" if network_id else asked.mac_address
        )
    ip, _, prefix = lease.address.partition("/")
    return msgspec.structs.replace(
        asked,
        network_id=lease.network_id,
        endpoint_id=lease.endpoint_id,
        gateway=lease.gateway,
        mac_address=lease.mac,
        ip_address=ip,
        ip_prefix_len=int(prefix or 0),
    )


# ---------------------------------------------------------------- inspect

MOUNT_OPTIONAL = ("Name", "Driver")
CONFIG_OPTIONAL = (
    "ExposedPorts", "Healthcheck", "ArgsEscaped", "NetworkDisabled", "MacAddress", "StopSignal", "StopTimeout", "Shell",
)  # fmt: skip
HOST_OPTIONAL = ("Annotations", "Init", "KernelMemory", "Mounts", "StorageOpt", "Sysctls", "Tmpfs")
SENTINELS = (("PidsLimit", 0), ("MemorySwappiness", -1))  # what clients send for "not set"
# Only Windows has these; clients see them nevertheless.
WINDOWS_ONLY = {"CpuCount": 0, "CpuPercent": 0, "IOMaximumIOps": 0, "IOMaximumBandwidth": 0}


def inspect(detail: ContainerDetail, sizes: Sizes | None = None) -> ContainerInspect:
    """Everything that is known of a container."""
    view, record, places = detail.view, detail.view.record, detail.places
    return ContainerInspect(
        id=record.id,
        created=record.created,
        path=record.path,
        args=record.args,
        state=state(view),
        image=record.image,
        resolv_conf_path=places.resolv_conf,
        hostname_path=places.hostname,
        hosts_path=places.hosts,
        log_path=places.log,
        name=f"/{record.name}",
        restart_count=view.state.restart_count,
        platform=record.platform,
        exec_ids=detail.exec_ids or None,
        host_config=host_config(record.host_config, detail.cgroupns_mode),
        graph_driver=graph_driver(record.id, places),
        size_rw=sizes.size_rw if sizes else UNSET,
        size_root_fs=sizes.size_root_fs if sizes else UNSET,
        mounts=[mount(point) for point in record.mounts],
        config=config(
            msgspec.structs.replace(record.config, hostname=detail.hostname, domainname=detail.domainname)
        ),
        network_settings=network_settings(view),
    )


def state(view: ContainerView) -> State:
    """How it stands, in the API's words: its many flags are one phase here."""
    case, phase = view.state, view.state.phase
    return State(
        status=view.status,
        running=view.running,
        paused=phase is Phase.PAUSED,
        dead=phase is Phase.DEAD,
        oom_killed=case.oom_killed,
        pid=case.pid,
        exit_code=case.exit_code,
        error=case.error,
        started_at=case.started_at,
        finished_at=case.finished_at,
    )


def config(config: Config) -> dict[str, Any]:
    """``Config`` without those fields that say nothing."""
    return without_empty(msgspec.to_builtins(config), CONFIG_OPTIONAL)


def host_config(host: HostConfig, cgroupns_mode: str) -> dict[str, Any]:
    """As asked for, with what it comes to where the request left it open."""
    document: dict[str, Any] = {**without_empty(msgspec.to_builtins(host), HOST_OPTIONAL), **WINDOWS_ONLY}
    document |= {
        "CgroupnsMode": cgroupns_mode,
        "Runtime": host.runtime or RUNTIME,
        "SecurityOpt": security_options(host),
    }
    if not host.privileged:
        document["MaskedPaths"] = hidden(host.masked_paths, default_masked())
        document["ReadonlyPaths"] = hidden(host.readonly_paths, default_read_only())
    for name, unset in SENTINELS:
        if document[name] == unset:
            document[name] = None
    return document


def security_options(host: HostConfig) -> list[str] | None:
    """Who may see the host's processes has no label, as Docker puts it also where there are none."""
    own = host.security_opt or []
    labelled = any(option.partition("=")[0] == "label" for option in own)
    if labelled or not (host.privileged or "host" in (host.pid_mode, host.ipc_mode)):
        return host.security_opt
    return [*own, "label=disable"]


def hidden(asked: list[str] | None, default: tuple[str, ...]) -> list[str]:
    """An empty list in the request hides nothing; no list stands for the default one."""
    return list(default) if asked is None else asked


def without_empty(document: dict[str, Any], optional: Iterable[str]) -> dict[str, Any]:
    """The document without those optional fields that say nothing."""
    for name in optional:
        if document.get(name, True) in (None, "", False, {}, []):
            del document[name]
    return document


def graph_driver(id: str, places: Places) -> GraphDriver:
    """Directories of the root filesystem, as overlayfs has them."""
    data = {
        "ID": id,
        "LowerDir": places.lower,
        "MergedDir": places.merged,
        "UpperDir": places.upper,
        "WorkDir": places.work,
    }
    return GraphDriver(data=data, name="overlay2")


def network_settings(view: ContainerView) -> NetworkSettings:
    """Networks, and once more at the top what concerns the default one, for old clients."""
    settings = NetworkSettings(networks=endpoints(view), ports=port_map(view))
    settings.sandbox_id, settings.sandbox_key = sandbox(view)
    default = settings.networks.get(DEFAULT_NETWORK)
    if default is not None:
        settings.endpoint_id, settings.gateway = default.endpoint_id, default.gateway
        settings.ip_address, settings.ip_prefix_len = default.ip_address, default.ip_prefix_len
        settings.mac_address, settings.ipv6_gateway = default.mac_address, default.ipv6_gateway
        settings.global_ipv6_address = default.global_ipv6_address
        settings.global_ipv6_prefix_len = default.global_ipv6_prefix_len
    return settings


def sandbox(view: ContainerView) -> tuple[str, str]:
    """An id of the network namespace of this run, and where it can be entered (``nsenter --net``): dockerd has a mount
    there, here it is the process's. None where it is another container's."""
    if not view.running or view.record.host_config.network_mode.startswith("container:"):
        return "", ""
    run = f"{view.id} {view.state.started_at}"
    return sha256(run.encode()).hexdigest(), f"/proc/{view.state.pid}/ns/net"


def port_map(view: ContainerView) -> dict[str, list[PortBinding] | None]:
    """``80/tcp`` to where it is published on the host, or null where it is only exposed."""
    if not has_address(view):
        return {}
    ports: dict[str, list[PortBinding] | None] = dict.fromkeys(view.record.config.exposed_ports or ())
    for published in view.ports:
        key = f"{published.container_port}/{published.proto}"
        ports[key] = [*(ports.get(key) or ()), binding(published)]
    return ports


def binding(port: PublishedPort) -> PortBinding:
    return PortBinding(host_ip=port.host_ip, host_port=str(port.host_port))
