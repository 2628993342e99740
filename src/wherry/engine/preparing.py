"""What the engine itself will do for a container before the launcher begins. Pure: a record to steps.

For a container that runs, its lease fills in what came from the pool.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wherry.engine.config import EngineConfig
from wherry.engine.paths import ContainerPaths
from wherry.engine.record import ContainerRecord
from wherry.messages.container import HostConfig, PortBinding
from wherry.network.driver import FIRST_INSIDE
from wherry.network.drivers.catalogue import DEFAULT_NETWORK
from wherry.network.endpoint import Attachment
from wherry.network.ports import ANY, PublishedPort
from wherry.runtime.preparation import (
    JoinContainer,
    LeftOut,
    NetworkEndpoint,
    ParentCgroup,
    PublishPort,
    RuntimeDirectory,
    ShareWithHost,
    WritableLayer,
    WriteRecord,
)
from wherry.runtime.steps import Cause, Origin, Step
from wherry.values.ports import parse_host_port, split_port

CONTAINER = "container:"
SECCOMP_OFF = ("seccomp=unconfined", "seccomp:unconfined")


def preparation(record: ContainerRecord, config: EngineConfig) -> tuple[Step, ...]:
    """The engine's steps of a plan, in the order of execution."""
    paths = ContainerPaths.of(config, record.id)
    return (
        WriteRecord(str(config.database)),
        WritableLayer(str(paths.home / "upper"), str(paths.home / "work")),
        *joins(record),
        *network(record, config),
        RuntimeDirectory(str(paths.runtime), str(paths.socket)),
        parent_cgroup(record, config),
        *shared_with_host(record),
        *left_out(record),
    )


def parent_cgroup(record: ContainerRecord, config: EngineConfig) -> ParentCgroup:
    own = record.host_config.cgroup_parent.strip("/")
    return (
        ParentCgroup(own, cause=asked(f"--cgroup-parent {own}"))
        if own
        else ParentCgroup(config.cgroup_parent)
    )


def namespace_modes(host: HostConfig) -> tuple[tuple[str, str, str], ...]:
    """Kind, mode and flag of each namespace that can be shared."""
    return (
        ("network", host.network_mode, "--network"),
        ("pid", host.pid_mode, "--pid"),
        ("ipc", host.ipc_mode, "--ipc"),
        ("uts", host.uts_mode, "--uts"),
        ("cgroup", host.cgroupns_mode, "--cgroupns"),
    )


def shared_with_host(record: ContainerRecord) -> Iterator[Step]:
    for kind, mode, flag in namespace_modes(record.host_config):
        if mode == "host":
            yield ShareWithHost(kind, cause=asked(f"{flag} host"))


def left_out(record: ContainerRecord) -> Iterator[Step]:
    """Docker's protections that this container does without."""
    host = record.host_config
    unconfined = next((o for o in host.security_opt or () if o in SECCOMP_OFF), "")
    if unconfined or (host.privileged and not any("seccomp" in o for o in host.security_opt or ())):
        yield LeftOut("the system call filter", cause=because(host, f"--security-opt {unconfined}"))
    if host.privileged or host.masked_paths == []:
        yield LeftOut(
            "the masks over /proc and /sys", cause=because(host, "--security-opt systempaths=unconfined")
        )
    if host.privileged or host.readonly_paths == []:
        yield LeftOut(
            "read-only paths in /proc", cause=because(host, "--security-opt systempaths=unconfined")
        )
    if host.privileged:
        yield LeftOut(
            "the device filter, and the read-only mounts of /sys and cgroups", cause=because(host, "")
        )
    if host.log_config.type == "none":
        yield LeftOut("the log", cause=asked("--log-driver none"))


def because(host: HostConfig, otherwise: str) -> Cause:
    return asked("--privileged" if host.privileged else otherwise)


def joins(record: ContainerRecord) -> Iterator[JoinContainer]:
    for kind, mode, flag in namespace_modes(record.host_config):
        if mode.startswith(CONTAINER):
            yield JoinContainer(kind, mode.removeprefix(CONTAINER), cause=asked(f"{flag} {mode}"))


def network(record: ContainerRecord, config: EngineConfig) -> Iterator[Step]:
    if record.host_config.network_mode != DEFAULT_NETWORK:
        return
    lease = record.attachment or Attachment(network=DEFAULT_NETWORK, network_id="")
    yield NetworkEndpoint(
        DEFAULT_NETWORK,
        config.bridge,
        lease.inside or FIRST_INSIDE,
        lease.address,
        lease.gateway,
        lease.mac,
        lease.interface,
    )
    if lease.ports:
        yield from (published(port, record) for port in lease.ports)
    else:
        yield from wanted_ports(record)


def wanted_ports(record: ContainerRecord) -> Iterator[PublishPort]:
    """What ``-p`` and ``-P`` ask for."""
    for port, hosts in asked_bindings(record).items():
        number, proto = split_port(port)
        for binding in hosts or [PortBinding()]:
            first, last = parse_host_port(binding.host_port)
            cause = port_cause(port, binding, record)
            yield PublishPort(proto, binding.host_ip or ANY, first, last, number, cause=cause)


def asked_bindings(record: ContainerRecord) -> Mapping[str, list[PortBinding] | None]:
    host = record.host_config
    exposed = record.config.exposed_ports or {} if host.publish_all_ports else {}
    return {**dict.fromkeys(exposed), **(host.port_bindings or {})}


def published(port: PublishedPort, record: ContainerRecord) -> PublishPort:
    """A port as it was published."""
    name = f"{port.container_port}/{port.proto}"
    asked_for = (record.host_config.port_bindings or {}).get(name) or [PortBinding()]
    cause = port_cause(name, asked_for[0], record)
    return PublishPort(port.proto, port.host_ip, port.host_port, 0, port.container_port, cause=cause)


def port_cause(port: str, binding: PortBinding, record: ContainerRecord) -> Cause:
    if port not in (record.host_config.port_bindings or {}):
        return asked("--publish-all")
    container = port.removesuffix("/tcp")
    parts = (
        [binding.host_ip, binding.host_port, container] if binding.host_ip else [binding.host_port, container]
    )
    return asked("-p " + ":".join(parts).removeprefix(":"))


def asked(text: str) -> Cause:
    return Cause(Origin.REQUEST, text)
