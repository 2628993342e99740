"""The namespaces that a container shares or is given, and its place on the network, from start to exit."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Interface

from wherry.engine import model
from wherry.engine.container import Container
from wherry.engine.events import EventBus
from wherry.engine.model import Attachment, ContainerRecord, EndpointSettings
from wherry.engine.network import Networks
from wherry.engine.store import Store
from wherry.errors import Conflict
from wherry.network.pool import Endpoint
from wherry.network.ports import ANY, PortBinding, parse_host_port
from wherry.runtime.spec import JoinedNamespaces
from wherry.runtime.steps import Fd

CONTAINER = "container:"
Lookup = Callable[[str], Container]


@dataclass(slots=True)
class Sandbox:
    """What a launch needs of the world around the container. ``fds`` that are in ``owned`` are closed after it."""

    fds: dict[Fd, int] = field(default_factory=dict)
    owned: list[int] = field(default_factory=list)
    joined: JoinedNamespaces = field(default_factory=JoinedNamespaces)
    files_of: str = ""  # id of the container whose /etc/hosts, hostname and resolv.conf are shared
    address: IPv4Address | None = None
    gateway: IPv4Address | None = None
    sysctls: Mapping[str, str] = field(default_factory=dict)  # that the network namespace has already

    @classmethod
    def running(cls, record: ContainerRecord) -> Sandbox:
        """Of a container that runs: only which namespaces it has counts then, not where they came from."""
        host = record.host_config
        modes = {"network": host.network_mode, "pid": host.pid_mode, "ipc": host.ipc_mode}
        return cls(joined=JoinedNamespaces(**{k: m for k, m in modes.items() if m.startswith(CONTAINER)}))

    def close(self) -> None:
        for fd in self.owned:
            os.close(fd)
        self.owned.clear()


class Sandboxes:
    """Enters containers into networks and other containers' namespaces, and takes them out."""

    def __init__(self, store: Store, networks: Networks, events: EventBus) -> None:
        self._store = store
        self._networks = networks
        self._events = events

    async def enter(self, container: Container, lookup: Lookup) -> Sandbox:
        """Recorded before it is made; undone where it fails half-way."""
        sandbox = Sandbox()
        try:
            self._join(container.record, sandbox, lookup)
            if container.record.host_config.network_mode == "bridge":
                await self._connect(container, sandbox)
            else:
                record_attachment(container.record, self._networks)
                self._store.put_container(container.record)
        except BaseException:
            sandbox.close()
            self.leave(container)
            raise
        return sandbox

    def _join(self, record: ContainerRecord, sandbox: Sandbox, lookup: Lookup) -> None:
        host = record.host_config
        paths = {}
        wanted = (("network", "net", Fd.NET, host.network_mode), ("pid", "pid", Fd.PID, host.pid_mode),
                  ("ipc", "ipc", Fd.IPC, host.ipc_mode))  # fmt: skip
        for field_name, kind, slot, mode in wanted:
            if mode.startswith(CONTAINER):
                other = lookup(mode.removeprefix(CONTAINER))
                paths[field_name] = path = namespace_path(other, kind)
                if slot is Fd.NET:
                    sandbox.files_of = other.id
                sandbox.fds[slot] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                sandbox.owned.append(sandbox.fds[slot])
        sandbox.joined = JoinedNamespaces(**paths)

    async def _connect(self, container: Container, sandbox: Sandbox) -> None:
        record = container.record
        endpoint = await self._networks.attach(record.config.mac_address)
        container.endpoint = endpoint
        self._lease(record, endpoint)
        bindings = port_bindings(record)
        if bindings:
            self._lease(record, endpoint, self._networks.publish(endpoint.address, bindings))
        sandbox.fds[Fd.NET] = endpoint.netns_fd
        sandbox.joined = replace(sandbox.joined, network="bridge")
        sandbox.address, sandbox.gateway = endpoint.address.ip, endpoint.gateway
        self._tell("connect", record)

    def _lease(self, record: ContainerRecord, endpoint: Endpoint, ports: Sequence[PortBinding] = ()) -> None:
        """Write down what the container holds."""
        lease = record.attachment = self._networks.attachment(endpoint, ports)
        record.networks["bridge"] = endpoint_settings(record.networks.get("bridge"), lease)
        self._store.put_container(record)

    def leave(self, container: Container) -> None:
        """Give back address, ports and namespace. Idempotent."""
        record = container.record
        endpoint, container.endpoint = container.endpoint, None
        record.attachment = None
        if endpoint is not None:
            self._networks.release(endpoint)
            self._tell("disconnect", record)
        for settings in record.networks.values():
            clear(settings)

    def readopt(self, container: Container) -> None:
        """After a restart of the daemon: take over the lease of a container that runs on."""
        lease = container.record.attachment
        if lease is not None and lease.address:
            container.endpoint = self._networks.adopt(lease)

    def _tell(self, action: str, record: ContainerRecord) -> None:
        attributes = {"container": record.id, "name": "bridge", "type": "bridge"}
        self._events.publish("network", action, self._networks.bridge_id, attributes)


def namespace_path(target: Container, kind: str) -> str:
    if not target.running:
        raise Conflict(f"cannot join {kind} of a non running container: {target.id}")
    return f"/proc/{target.state.pid}/ns/{kind}"


def record_attachment(record: ContainerRecord, networks: Networks) -> None:
    """A mark that a start is under way, for the recovery after a crash; host and none have no address."""
    mode = record.host_config.network_mode
    network_id = networks.find(mode).id if mode in ("host", "none") else ""
    record.attachment = Attachment(network=mode, network_id=network_id, endpoint_id="")
    for settings in record.networks.values():
        settings.network_id = network_id


def endpoint_settings(asked: EndpointSettings | None, lease: Attachment) -> EndpointSettings:
    settings = asked or EndpointSettings()
    interface = IPv4Interface(lease.address)
    settings.network_id, settings.endpoint_id = lease.network_id, lease.endpoint_id
    settings.gateway, settings.mac_address = lease.gateway, lease.mac
    settings.ip_address, settings.ip_prefix_len = str(interface.ip), interface.network.prefixlen
    return settings


def clear(settings: EndpointSettings) -> None:
    settings.endpoint_id = settings.gateway = settings.ip_address = settings.mac_address = ""
    settings.ip_prefix_len = 0


def port_bindings(record: ContainerRecord) -> list[PortBinding]:
    """What ``-p`` and ``-P`` ask for."""
    host = record.host_config
    wanted = dict(host.port_bindings or {})
    if host.publish_all_ports:
        for port in record.config.exposed_ports or {}:
            wanted.setdefault(port, None)
    bindings = []
    for port, hosts in wanted.items():
        number, _, proto = port.partition("/")
        for binding in hosts or [model.PortBinding()]:
            first, last = parse_host_port(binding.host_port)
            bindings.append(PortBinding(proto or "tcp", binding.host_ip or ANY, first, int(number), last))
    return bindings
