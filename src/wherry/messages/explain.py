"""What the kernel holds for a container, in the shape that ``GET /containers/{id}/explain`` answers.

Everything here was read from the kernel (``/proc``, netlink, nftables, cgroup files) at the time of asking,
not from the engine's records; each item names the cause that the plan has for it. ``cause`` is "" where the
plan has none: then it is drift, and stands in ``drift`` too.
"""

from __future__ import annotations

from msgspec import field

from wherry.messages.base import Model
from wherry.messages.plan import Reach


class Item(Model, kw_only=True):
    """Base: one line of an explanation."""

    cause: str = ""


class LayerItem(Item):
    """One layer of the root, topmost first. ``size`` bytes; ``shared_by``: other containers here that use it too."""

    digest: str
    created_by: str = ""
    size: int = 0
    shared_by: int = 0


class NamespaceItem(Item):
    """A namespace that its first process is in."""

    kind: str  # mnt, pid, net, ipc, uts, cgroup, user, time
    inode: int
    shared_with: str = ""  # "host", a container's name, or "" for its own


class MountItem(Item):
    """A mount that its first process sees."""

    target: str
    fstype: str
    source: str
    options: str  # as in /proc/PID/mountinfo, mount and filesystem options joined by commas
    read_only: bool = False


class LimitItem(Item):
    """A limit, and what is used of it. ``limit`` None: unlimited. Units: bytes, nanoseconds, count, microseconds."""

    name: str  # memory, memory+swap, cpu, pids, cpu shares, …
    file: str  # the cgroup file that holds it
    unit: str
    limit: int | None = None
    used: int | None = None
    note: str = ""  # "throttled in 12 of 100 periods", "OOM killer struck 2 times"


class RightsItem(Item):
    """Capabilities of one set, seccomp, no-new-privileges, an rlimit, an id map: one line each."""

    name: str
    value: str
    values: list[str] = field(default_factory=list)  # for sets: the single names


class InterfaceItem(Item):
    """A network interface inside."""

    name: str
    mac: str = ""
    addresses: list[str] = field(default_factory=list)
    state: str = ""
    host_end: str = ""  # the veth's other end, on the host
    plugged_into: str = field(default="", name="Bridge")  # the host's interface that the other end is on
    rx_bytes: int = 0
    tx_bytes: int = 0


class RouteItem(Item):
    """A route inside."""

    destination: str  # "default" or a network
    gateway: str = ""
    interface: str = ""


class PortItem(Item):
    """A published port, from the nft maps. ``packets`` and ``bytes`` are those that were translated: the kernel
    asks the map for the first packet of a connection only, so they count connections."""

    protocol: str
    host: str  # address:port on the host
    container: str  # address:port of the container
    packets: int = 0
    bytes: int = 0


class PolicyItem(Item):
    """What the engine does for it that no kernel holds: its streams and log, how it is stopped, its labels."""

    name: str
    value: str


class ProcessItem(Item):
    """A process, with what it holds."""

    pid: int  # on the host
    command: str
    pss: int = 0  # bytes
    descriptors: int = 0


class Cost(Model, kw_only=True):
    """What it costs, in bytes. ``charged`` is the memory that the kernel charges its cgroup with, 0 where there is no
    such count; of that, ``anonymous`` are its processes' own pages, ``tmpfs`` is kept in filesystems in memory, and
    ``cache`` are pages of files, which the kernel can take back. ``private`` are the pages that only its processes
    map, ``shared`` is their share (PSS) of what others map too, which may be charged to others."""

    charged: int = 0
    anonymous: int = 0
    tmpfs: int = 0
    cache: int = 0
    processes: int = 0
    descriptors: int = 0
    private: int = 0
    shared: int = 0
    monitor: int = 0  # PSS of the monitor
    writable: int = 0  # bytes in the writable layer
    log: int = 0  # bytes of its log files


class Drift(Model, kw_only=True):
    """One difference between plan and kernel."""

    kind: str  # namespace, mount, limit, rights, interface, address, route, port, process
    what: str  # "memory.limit_in_bytes", "/mnt", "0.0.0.0:8080/tcp", …
    planned: str  # "" : not in the plan
    actual: str  # "" : not there
    cause: str = ""  # of what was planned


class Checked(Model, kw_only=True):
    """One container in the answer of ``check``: no ``drift``, no difference."""

    id: str
    name: str
    drift: list[Drift] = field(default_factory=list)


class Explanation(Model, kw_only=True):
    """All of it. A container that does not run has ``running`` False and only what is left of it."""

    id: str
    name: str
    image: str
    command: str
    status: str
    running: bool
    ended: str = ""  # a sentence that says how, where it does not run
    pid: int = 0
    reach: list[Reach] = field(default_factory=list)  # what it could do to the host
    layers: list[LayerItem] = field(default_factory=list)
    namespaces: list[NamespaceItem] = field(default_factory=list)
    mounts: list[MountItem] = field(default_factory=list)
    limits: list[LimitItem] = field(default_factory=list)
    rights: list[RightsItem] = field(default_factory=list)
    interfaces: list[InterfaceItem] = field(default_factory=list)
    routes: list[RouteItem] = field(default_factory=list)
    ports: list[PortItem] = field(default_factory=list)
    processes: list[ProcessItem] = field(default_factory=list)
    policies: list[PolicyItem] = field(default_factory=list)
    cost: Cost = field(default_factory=Cost)
    drift: list[Drift] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # "it exited while it was read", …
