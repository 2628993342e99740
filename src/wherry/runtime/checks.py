"""What a create request may not say. Docker's texts, raised as InvalidArgument before anything is made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wherry.errors import InvalidArgument
from wherry.messages.container import Config, HealthConfig, HostConfig
from wherry.messages.exec import ExecCreate
from wherry.runtime import capabilities, resources, rlimits
from wherry.runtime.bounds import DEEPEST_CGROUP, check_bounds, check_words
from wherry.runtime.cgroups.files import is_reserved
from wherry.runtime.devices import check_places, parse_rule
from wherry.runtime.mounts import MountPoint
from wherry.runtime.resources import HostFacts
from wherry.runtime.security import parse_security
from wherry.values.durations import MILLI
from wherry.values.hosts import is_name_server, parse_extra_host
from wherry.values.keys import parse_detach_keys
from wherry.values.macs import station
from wherry.values.numbers import LONGEST, is_number
from wherry.values.paths import check_length, check_path, shown
from wherry.values.sysctls import is_of_ipc, is_of_network

CONTAINER = "container:"
HIGHEST_ID = (1 << 31) - 1
LONGEST_USER = 512  # native/user.c, SPEC_MAX


def check(
    config: Config,
    host: HostConfig,
    mounts: Iterable[MountPoint],
    facts: HostFacts,
    available: Sequence[str],
) -> list[str]:
    """Refuse what Docker refuses at create; the answer are warnings for the client.

    ``mounts`` are those that ``host`` asks for; ``available`` are the capabilities that the daemon has itself.
    """
    check_bounds(config, host)
    check_process(config)
    check_lines(config, host)
    check_capabilities(host, available)
    warnings = resources.check(host, facts)
    check_modes(host)
    for limit in host.ulimits or ():
        rlimits.check(limit)
    warnings += rlimits.not_to_be_had(host.ulimits or (), available)
    check_devices(host, (mount.target for mount in mounts))
    for group in host.group_add or ():
        check_group(group)
    parse_security(host.security_opt)
    return warnings


def check_process(config: Config) -> None:
    if config.working_dir and not config.working_dir.startswith("/"):
        raise InvalidArgument(
            f"the working directory '{config.working_dir}' is invalid, it needs to be an absolute path"
        )
    check_length(config.working_dir, "WorkingDir")
    if config.mac_address:
        station(config.mac_address)
    refuse_nul(
        (
            *(config.env or ()),
            *(config.cmd or ()),
            *(config.entrypoint or ()),
            config.working_dir,
            config.user,
        )
    )
    for entry in config.env or ():
        if not entry.partition("=")[0]:
            raise InvalidArgument(f"invalid environment variable: {entry}")
    check_user(config.user)


def refuse_nul(texts: Iterable[str]) -> None:
    """No C string can hold a NUL, and what followed it would be lost silently."""
    if any("\0" in text for text in texts):
        raise InvalidArgument("a NUL byte in the command, the environment, the user or the working directory")


def check_exec(request: ExecCreate) -> None:
    """What a command in a running container may not be."""
    if not request.cmd:
        raise InvalidArgument("No exec command specified")
    refuse_nul((*request.cmd, *(request.env or ()), request.user, request.working_dir))
    check_words("Cmd", request.cmd, request.env or ())
    check_user(request.user)
    if request.working_dir:
        check_path(request.working_dir, "WorkingDir")
    parse_detach_keys(request.detach_keys)


def check_lines(config: Config, host: HostConfig) -> None:
    """What goes into /etc/hosts and /etc/resolv.conf stays on its line, and adds no other."""
    words = (
        ("Hostname", (config.hostname,)),
        ("Domainname", (config.domainname,)),
        ("ExtraHosts", host.extra_hosts or ()),
        ("Dns", host.dns or ()),
        ("DnsSearch", host.dns_search or ()),
        ("DnsOptions", host.dns_options or ()),
    )
    for what, texts in words:
        for text in texts:
            if not text.isprintable():
                raise InvalidArgument(f"invalid {what}: {text!r}")
    for entry in host.extra_hosts or ():
        parse_extra_host(entry)
    for server in host.dns or ():
        if not is_name_server(server):
            raise InvalidArgument(f"invalid Dns: bad nameserver address {server!r}")


def check_user(spec: str) -> None:
    """``name|uid[:group|gid]``. A number that is no id, and what no name can be, is refused here.

    All else is looked up in the image at start.
    """
    if len(spec.encode()) >= LONGEST_USER:
        raise InvalidArgument(f"invalid user: it is longer than {LONGEST_USER - 1} bytes")
    if not spec.isprintable():
        raise InvalidArgument(f"invalid user: {spec!r}")
    for part in spec.split(":", 1):
        check_id(part)


def check_group(group: str) -> None:
    """``--group-add name|gid``, likewise."""
    if not group or not group.isprintable() or len(group.encode()) >= LONGEST_USER:
        raise InvalidArgument(f"invalid GroupAdd: {shown(group)} is not a group")
    check_id(group)


def check_id(name: str) -> None:
    digits = name.lstrip("+-")
    if digits.isdigit() and not (name[0] != "-" and is_number(digits) and is_id(digits)):
        raise InvalidArgument(f"uids and gids must be in range 0-{HIGHEST_ID}")


def is_id(digits: str) -> bool:
    return len(digits) <= LONGEST and int(digits) <= HIGHEST_ID


def check_devices(host: HostConfig, mounted: Iterable[str]) -> None:
    for rule in host.device_cgroup_rules or ():
        parse_rule(rule)
    if not host.privileged:  # which has all of the host's, each in its own place
        check_places(host.devices or (), mounted)


def check_capabilities(host: HostConfig, available: Sequence[str]) -> None:
    for field, names in (("CapAdd", host.cap_add), ("CapDrop", host.cap_drop)):
        try:
            capabilities.normalize(names or (), available)
        except InvalidArgument as error:
            raise InvalidArgument(f"invalid {field}: {error.message}") from error


def check_conflicts(config: Config, host: HostConfig) -> None:
    """Options of a request that a shared namespace rules out. What an image says conflicts with nothing."""
    mode = host.network_mode
    if host.uts_mode == "host" and config.hostname:
        raise InvalidArgument("conflicting options: hostname and the UTS mode")
    if host.uts_mode == "host" and config.domainname:
        raise InvalidArgument('sysctl "kernel.domainname" is not in a separate kernel namespace')
    if mode == "host" and host.links:
        raise InvalidArgument(
            "conflicting options: host type networking can't be used with links. "
            "This would result in undefined behavior"
        )
    if mode != "container" and not mode.startswith(CONTAINER):
        return
    if not mode.removeprefix("container").removeprefix(":"):
        raise InvalidArgument("invalid network mode: invalid container format container:<name|id>")
    for present, text in shared_network_conflicts(config, host):
        if present:
            raise InvalidArgument(f"conflicting options: {text}")


def shared_network_conflicts(config: Config, host: HostConfig) -> list[tuple[object, str]]:
    links = "container type network can't be used with links. This would result in undefined behavior"
    return [
        (config.hostname, "hostname and the network mode"),
        (host.links, links),
        (host.dns, "dns and the network mode"),
        (host.extra_hosts, "custom host-to-IP mapping and the network mode"),
        (host.port_bindings or host.publish_all_ports, "port publishing and the container type network mode"),
        (config.exposed_ports, "port exposing and the container type network mode"),
    ]


def check_health(health: HealthConfig | None) -> None:
    """Times of less than a millisecond are a mistake in their unit."""
    for name, given in (
        ("Interval", health and health.interval),
        ("Timeout", health and health.timeout),
        ("StartPeriod", health and health.start_period),
        ("StartInterval", health and health.start_interval),
    ):
        if given and given < MILLI:
            raise InvalidArgument(f"{name} in Healthcheck cannot be less than 1ms")
    if health and health.retries < 0:
        raise InvalidArgument("Retries in Healthcheck cannot be negative")


def check_modes(host: HostConfig) -> None:
    if not valid_mode(host.ipc_mode, ("", "none", "private", "shareable", "host")):
        raise InvalidArgument(f"invalid IPC mode: {host.ipc_mode}")
    if not valid_mode(host.pid_mode, ("", "host")):
        raise InvalidArgument(f"invalid PID mode: {host.pid_mode}")
    if host.shm_size < 0:
        raise InvalidArgument("SHM size can not be less than 0")
    if host.uts_mode not in ("", "host"):
        raise InvalidArgument(f"invalid UTS mode: {host.uts_mode}")
    if not -1000 <= host.oom_score_adj <= 1000:
        raise InvalidArgument(f"Invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]")
    if host.cgroupns_mode not in ("", "private", "host"):
        raise InvalidArgument(f"invalid cgroup namespace mode: {host.cgroupns_mode}")
    if "" in (host.annotations or {}):
        raise InvalidArgument("invalid Annotations: the empty string is not permitted as an annotation key")
    check_cgroup_parent(host.cgroup_parent)
    check_sysctls(tuple(host.sysctls or ()), own_namespaces(host))


def valid_mode(mode: str, words: tuple[str, ...]) -> bool:
    return mode in words or (mode.startswith(CONTAINER) and mode != CONTAINER)


def check_cgroup_parent(parent: str) -> None:
    check_length(parent, "CgroupParent")
    parts = parent.split("/")
    if len(parts) > DEEPEST_CGROUP:
        raise InvalidArgument(f"invalid CgroupParent: more than {DEEPEST_CGROUP} levels")
    if not parent.isprintable():
        raise InvalidArgument(f"invalid CgroupParent: {shown(parent)}")
    if ".." in parts:
        raise InvalidArgument(f'invalid cgroup parent "{parent}": it must not lead upwards')
    if reserved := next(filter(is_reserved, parts), ""):
        raise InvalidArgument(
            f"invalid CgroupParent: {parent!r}: the kernel has files with names such as {reserved!r}"
        )


def sysctl_path(key: str) -> str:
    """A sysctl's name as a path below /proc/sys: either separator may be used, the first one in the key counts."""
    first = next((c for c in key if c in "./"), "/")
    path = key if first == "/" else key.translate(str.maketrans("./", "/."))
    if any(part in ("", ".", "..") for part in path.split("/")) or not path.isprintable():
        raise InvalidArgument(f'invalid sysctl: "{key}"')
    return path


def own_namespaces(host: HostConfig) -> frozenset[str]:
    """Those, of the kinds that have parameters, which are not the host's."""
    modes = (("network", host.network_mode), ("uts", host.uts_mode), ("ipc", host.ipc_mode))
    return frozenset(kind for kind, mode in modes if mode != "host")


def check_sysctls(keys: Sequence[str], namespaces: frozenset[str]) -> None:
    """Only parameters that belong to one of the container's own namespaces may be set."""
    for key in keys:
        name = sysctl_path(key).replace("/", ".")
        if is_of_ipc(name):
            if "ipc" not in namespaces:
                raise InvalidArgument(f'sysctl "{key}" is not allowed in the hosts ipc namespace')
        elif is_of_network(name):
            if "network" not in namespaces:
                raise InvalidArgument(f'sysctl "{key}" not allowed in host network namespace')
        elif name != "kernel.domainname" or "uts" not in namespaces:
            raise InvalidArgument(f'sysctl "{key}" is not in a separate kernel namespace')
