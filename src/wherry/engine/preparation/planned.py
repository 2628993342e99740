"""What the engine itself will do for a task before the launcher begins. Pure: a task to steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from wherry.engine.causes import log_cause, network_cause
from wherry.engine.config import EngineConfig
from wherry.engine.paths import ContainerPaths
from wherry.engine.preparation.cgroups import ParentCgroup
from wherry.engine.preparation.namespaces import JoinContainer, ShareWithHost
from wherry.engine.preparation.networks import MissingNetwork, NetworkEndpoint, PublishPort
from wherry.engine.preparation.policies import policies
from wherry.engine.preparation.rights import CGROUPS, FILTER, MASKS, READ_ONLY_PATHS, LeftOut
from wherry.engine.preparation.shared_memory import SharedMemory
from wherry.engine.preparation.step import EngineStep, Neighbour
from wherry.engine.preparation.storage import RuntimeDirectory, WritableLayer, WriteRecord
from wherry.engine.task import Task
from wherry.messages.container import HostConfig, PortBinding
from wherry.network.driver import FIRST_INSIDE, NetworkDriver
from wherry.network.ports import ANY
from wherry.runtime.causes import cgroup_parent_cause, mode_words, namespace_modes, together, valued
from wherry.runtime.mounts import size_word
from wherry.runtime.security import parse_security
from wherry.runtime.spec import own_parent, writable_cgroups_cause
from wherry.runtime.steps import Cause, asked
from wherry.values.ports import is_publishable, parse_host_port, split_port

CONTAINER, SHAREABLE = "container:", "shareable"
ANY_PORT = 1 << 16  # of the host's
Neighbours = Callable[[str], Neighbour | None]  # another container, by name or id
DriverOf = Callable[[str], NetworkDriver | None]  # of a network, by name; None where there is none


def preparation(
    task: Task, config: EngineConfig, neighbours: Neighbours, driver_of: DriverOf
) -> tuple[EngineStep, ...]:
    """The engine's steps of a plan, in the order of execution."""
    return (
        *lasting(task, config),
        *shared_memory(task.host, config, ContainerPaths(config, task.id)),
        *joins(task, config, neighbours),
        *network(task, driver_of),
        parent_cgroup(task.host, config),
        *shared_with_host(task.host),
        *left_out(task.host, config),
        *policies(task, config),
    )


def lasting(task: Task, config: EngineConfig) -> tuple[EngineStep, ...]:
    """What there is of a task until it is removed.

    The record comes behind the layer: undone in reverse, it goes first, and directories without one are swept.
    """
    paths = ContainerPaths(config, task.id)
    kept = [WriteRecord(str(config.database), task.id, task.record)] if task.record is not None else []
    return (
        WritableLayer(paths.upper, paths.work, task.id, task.layers),
        *kept,
        RuntimeDirectory(paths.runtime, paths.socket),
    )


def parent_cgroup(host: HostConfig, config: EngineConfig) -> ParentCgroup:
    own = own_parent(host)
    return ParentCgroup(own, cause=cgroup_parent_cause(host)) if own else ParentCgroup(config.cgroup_parent)


def shared_with_host(host: HostConfig) -> Iterator[EngineStep]:
    for kind, mode, flag in namespace_modes(host):
        if mode == "host":
            yield ShareWithHost(kind, cause=asked(f"{flag} host"))


def left_out(host: HostConfig, config: EngineConfig) -> Iterator[EngineStep]:
    """What a container usually has and this one does without, its protections first."""
    security, privileged = parse_security(host.security_opt), host.privileged
    if not security.filters(privileged=privileged):
        yield LeftOut(FILTER, cause=because(host, "--security-opt seccomp=unconfined"))
    if privileged or host.masked_paths == []:
        yield LeftOut(MASKS, cause=because(host, "--security-opt systempaths=unconfined"))
    if privileged or host.readonly_paths == []:
        yield LeftOut(READ_ONLY_PATHS, cause=because(host, "--security-opt systempaths=unconfined"))
    if privileged:
        yield LeftOut(
            "the device filter, and the read-only mounts of /sys and cgroups", cause=because(host, "")
        )
    elif security.writable_cgroups:
        cause = writable_cgroups_cause(security, privileged=privileged)
        yield LeftOut(CGROUPS, cause=cause)
    if host.log_config.type == "none":
        yield LeftOut("the log", cause=log_cause(host.log_config, config))
    if host.ipc_mode == "none":
        yield LeftOut("/dev/shm", cause=asked("--ipc none"))


def because(host: HostConfig, otherwise: str) -> Cause:
    """``--privileged`` where it is given, as it implies the rest; otherwise the flag for this alone."""
    return asked("--privileged" if host.privileged else otherwise)


def shared_memory(host: HostConfig, config: EngineConfig, paths: ContainerPaths) -> Iterator[SharedMemory]:
    if host.ipc_mode == SHAREABLE:
        size = valued("--shm-size", host.shm_size != config.shm_size and size_word(host.shm_size))
        yield SharedMemory(paths.shm, host.shm_size, cause=together(asked(f"--ipc {SHAREABLE}"), size))


def joins(task: Task, config: EngineConfig, neighbours: Neighbours) -> Iterator[JoinContainer]:
    """A step for each namespace that another container lends. The id is empty where there is none such."""
    for kind, mode, flag in namespace_modes(task.host):
        if mode.startswith(CONTAINER):
            other = mode.removeprefix(CONTAINER)
            found, cause = neighbours(other), asked(f"{flag} {mode_words(mode)}")
            if found is None:
                yield JoinContainer(kind, other, cause=cause)
            else:
                shm = lent_memory(found, config) if kind == "ipc" else ""
                own = found.id == task.id
                yield JoinContainer(kind, found.name, shm=shm, own=own, cause=cause).lent_by(found)


def lent_memory(other: Neighbour, config: EngineConfig) -> str:
    """What whoever joins a container's IPC namespace has as /dev/shm; "" where it may not be joined."""
    if other.ipc_mode == "host":
        return "/dev/shm"
    return ContainerPaths(config, other.memory_of).shm if other.ipc_mode == SHAREABLE else ""


def network(task: Task, driver_of: DriverOf) -> Iterator[EngineStep]:
    """Endpoints, then ports; elsewhere than on a network with addresses nothing is published, as with Docker."""
    cause = network_cause(task.config, task.host)
    wired = False
    for name in networks_of(task):
        driver = driver_of(name)
        if driver is None:
            yield MissingNetwork(name, cause=cause)
        elif driver.gives_endpoints:
            wired = wired or driver.gives_addresses
            yield endpoint(task, name, driver, cause)
    if wired:
        yield from sorted(wanted_ports(task), key=choice)


def networks_of(task: Task) -> Iterable[str]:
    mode = task.host.network_mode
    if task.config.network_disabled or mode.startswith(CONTAINER):
        return ()
    return task.networks or (mode,)


def endpoint(task: Task, name: str, driver: NetworkDriver, cause: Cause) -> NetworkEndpoint:
    if not driver.gives_addresses:
        return NetworkEndpoint(name, "", "", container=task.id, cause=cause)
    mac = task.config.mac_address
    cause = together(cause, valued("--mac-address", mac))
    return NetworkEndpoint(name, driver.interface, FIRST_INSIDE, mac=mac, container=task.id, cause=cause)


def choice(port: PublishPort) -> int:
    """How many ports of the host will do. Who has less choice comes first, so that none of the others takes it."""
    if not port.host_port:
        return ANY_PORT
    return port.host_port_end - port.host_port if port.host_port_end else 0


def wanted_ports(task: Task) -> Iterator[PublishPort]:
    """What ``-p`` and ``-P`` ask for."""
    for port, hosts in asked_bindings(task).items():
        number, proto = split_port(port)
        for binding in dict.fromkeys(hosts or [PortBinding()]):  # the same twice is once
            first, last = parse_host_port(binding.host_port)
            cause = port_cause(port, binding, task.host)
            yield PublishPort(proto, binding.host_ip or ANY, first, last, number, cause=cause)


def asked_bindings(task: Task) -> Mapping[str, list[PortBinding] | None]:
    exposed = task.config.exposed_ports or {} if task.host.publish_all_ports else {}
    return {**dict.fromkeys(filter(is_publishable, exposed)), **(task.host.port_bindings or {})}


def port_cause(port: str, binding: PortBinding, host: HostConfig) -> Cause:
    if port not in (host.port_bindings or {}):
        return asked("--publish-all")
    container = port.removesuffix("/tcp")
    parts = (
        [binding.host_ip, binding.host_port, container] if binding.host_ip else [binding.host_port, container]
    )
    return asked("-p " + ":".join(parts).removeprefix(":"))
