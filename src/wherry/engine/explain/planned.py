"""What a plan says of one matter, picked out of its steps. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Interface
from typing import TypeVar

from wherry.engine.explain.limits import planned_texts
from wherry.engine.preparation.namespaces import JoinContainer
from wherry.engine.preparation.networks import NetworkEndpoint, PublishPort
from wherry.engine.record import ContainerRecord
from wherry.network.drivers.catalogue import DEFAULT_NETWORK
from wherry.network.ports import PublishedPort
from wherry.runtime.causes import namespace_causes
from wherry.runtime.cgroups import device_rules
from wherry.runtime.cgroups.files import DEVICES_ALLOW, DEVICES_DENY, is_device_rule
from wherry.runtime.steps import CgroupWrite, Clone, JoinNamespace, Namespace, Plan, Step

KINDS = {
    "mnt": int(Namespace.MOUNT),
    "pid": int(Namespace.PID),
    "net": int(Namespace.NET),
    "ipc": int(Namespace.IPC),
    "uts": int(Namespace.UTS),
    "cgroup": int(Namespace.CGROUP),
    "user": int(Namespace.USER),
    "time": int(Namespace.TIME),
}
JOINED = {"network": "net", "pid": "pid", "ipc": "ipc"}  # JoinContainer's words
LOOPBACK = "lo"
DEFAULT = "default"

S = TypeVar("S", bound=Step)
Way = tuple[str, str, str]  # destination, gateway, interface


def steps_of(plan: Plan, kind: type[S]) -> Iterator[S]:
    """The plan's steps of one kind, the engine's own included."""
    return (step for step in (*plan.preparation, *plan.steps) if isinstance(step, kind))


def cause_of(step: Step | None, otherwise: str = "") -> str:
    """Why a step is in the plan, in words; ``otherwise`` where there is no step."""
    return str(step.cause) if step is not None else otherwise


# ---------------------------------------------------------------- namespaces


def own_namespaces(plan: Plan) -> dict[str, Step]:
    """Kinds that the plan makes anew, or takes ready-made from the pool."""
    found: dict[str, Step] = {}
    for step in plan.steps:
        if isinstance(step, Clone | JoinNamespace):
            bits = int(step.namespaces)
            found |= {kind: step for kind, flag in KINDS.items() if bits & flag}
    return found


def causes_of_namespaces(record: ContainerRecord) -> dict[str, str]:
    """Why each kind is as it is, by the kernel's name of it: one step makes several, and has all their causes."""
    asked = namespace_causes(record.config, record.host_config, DEFAULT_NETWORK)
    chosen = {JOINED.get(kind, kind): str(cause) for kind, cause in asked.items()}
    return dict.fromkeys(KINDS, DEFAULT) | chosen


def joined_containers(plan: Plan) -> dict[str, JoinContainer]:
    """The steps that join another container's namespaces, by the kernel's name of the kind."""
    return {JOINED[step.kind]: step for step in steps_of(plan, JoinContainer)}


# ---------------------------------------------------------------- cgroups


def planned_limits(plan: Plan) -> tuple[dict[str, str], dict[str, str]]:
    """Causes and values by the cgroup file's name. Device rules are apart."""
    writes = [(base_name(step.path), step) for step in steps_of(plan, CgroupWrite)]
    kept = [(file, step) for file, step in writes if not is_device_rule(file)]
    causes = {file: str(step.cause) for file, step in kept}
    return causes, dict(planned_texts((file, step.value) for file, step in kept))


def base_name(path: str) -> str:
    return path.rpartition("/")[2]


def planned_devices(plan: Plan) -> set[str] | None:
    """The rules of cgroup v1 that let devices through; None where no such rule shuts the others out."""
    writes = [(base_name(step.path), step.value) for step in steps_of(plan, CgroupWrite)]
    if (DEVICES_DENY, device_rules.ALL) not in writes:
        return None
    return {value for file, value in writes if file == DEVICES_ALLOW}


# ---------------------------------------------------------------- network


def planned_routes(endpoint: NetworkEndpoint | None) -> set[Way]:
    """The default route through the endpoint; none without an address."""
    if endpoint is None or not endpoint.address:
        return set()
    return {("default", endpoint.gateway, endpoint.inside)}


def planned_interfaces(endpoint: NetworkEndpoint | None) -> tuple[str, ...]:
    """What its interfaces are called inside: loopback and, with an endpoint that has one, its own."""
    return (LOOPBACK, endpoint.inside) if endpoint is not None and endpoint.inside else (LOOPBACK,)


def container_address(plan: Plan) -> str:
    """The container's address; "" where it has none."""
    endpoint = next(steps_of(plan, NetworkEndpoint), None)
    return str(IPv4Interface(endpoint.address).ip) if endpoint is not None and endpoint.address else ""


def published_port(step: PublishPort, address: str) -> PublishedPort:
    """A step's port as it is published to that address of the container."""
    return PublishedPort(step.proto, step.host_ip, step.host_port, step.container_port, address)
