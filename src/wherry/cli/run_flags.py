"""The options of ``run`` and ``create``."""

from __future__ import annotations

from wherry.cli.command import Flag, all_of, later, number, repeated, switch, text, value
from wherry.cli.cpus import parse_cpus
from wherry.cli.endpoints import parse_network
from wherry.cli.key_files import parse_env, parse_label
from wherry.cli.mounts import parse_mount
from wherry.errors import InvalidArgument
from wherry.values.devices import parse_device_rule
from wherry.values.durations import parse_duration
from wherry.values.hosts import canonical_address, parse_extra_host
from wherry.values.sizes import parse_memory_swap, parse_size
from wherry.values.sysctls import is_of_ipc, is_of_network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.cli.command import Groups

PULL_CHOICES = ("always", "missing", "never")
ULIMITS = frozenset(
    ("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
     "rttime", "sigpending", "stack")
)  # fmt: skip
DOMAIN = r"(?:\.|[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?)"


def parse_ulimit(given: str) -> dict[str, Any]:
    """``nofile=10:20`` as the API's ``Ulimit``; -1 is without a limit."""
    name, equals, limits = given.partition("=")
    if not equals:
        raise ValueError(f"invalid ulimit argument: {given}")
    if name not in ULIMITS:
        raise ValueError(f"invalid ulimit type: {name}")
    parts = limits.split(":")
    if len(parts) > 2:
        raise ValueError(f"too many limit value arguments - {limits}, can only have up to two, `soft[:hard]`")
    soft, hard = _limit(parts[0]), _limit(parts[-1])
    if hard != -1 and soft == -1:
        raise ValueError(
            f"ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: {hard}"
        )
    if hard != -1 and soft > hard:
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    return {"Name": name, "Hard": hard, "Soft": soft}


def _limit(given: str) -> int:
    try:
        return int(given)
    except ValueError:
        raise ValueError(f'strconv.ParseInt: parsing "{given}": invalid syntax') from None


def parse_sysctl(given: str) -> str:
    name, equals, _ = given.partition("=")
    if equals and (is_of_ipc(name) or is_of_network(name)):
        return given
    raise ValueError(f"sysctl '{given}' is not allowed")


def parse_stream(given: str) -> str:
    if given.lower() not in ("stdin", "stdout", "stderr"):
        raise ValueError("valid streams are STDIN, STDOUT and STDERR")
    return given.lower()


def parse_search_domain(given: str) -> str:
    import re

    if not re.fullmatch(DOMAIN, given.strip()):
        raise ValueError(f"{given} is not a valid domain")
    return given.strip()


def extra_host(given: str) -> str:
    """As the API wants it: ``name:address``."""
    return ":".join(parse_extra_host(given))


def device_rule(given: str) -> str:
    try:
        parse_device_rule(given)
    except InvalidArgument:
        raise ValueError(f"invalid device cgroup format '{given}'") from None
    return given


def parse_weight(given: str) -> dict[str, Any]:
    path, amount = _device_value(given)
    if not amount.isdecimal() or not (int(amount) == 0 or 10 <= int(amount) <= 1000):
        raise ValueError(f"invalid weight for device: {given}")
    return {"Path": path, "Weight": int(amount)}


def parse_rate(given: str) -> dict[str, Any]:
    path, amount = _device_value(given)
    try:
        return {"Path": path, "Rate": parse_size(amount)}
    except ValueError:
        raise ValueError(
            f"invalid rate for device: {given}. The correct format is <device-path>:<number>[<unit>]. "
            "Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        ) from None


def parse_operations(given: str) -> dict[str, Any]:
    path, amount = _device_value(given)
    if not amount.isdecimal():
        raise ValueError(
            f"invalid rate for device: {given}. The correct format is <device-path>:<number>. "
            "Number must be a positive integer"
        )
    return {"Path": path, "Rate": int(amount)}


def _device_value(given: str) -> tuple[str, str]:
    path, colon, amount = given.partition(":")
    if not colon or not amount:
        raise ValueError(f"bad format: {given}")
    if not path.startswith("/dev/"):
        raise ValueError(f"bad format for device path: {given}")
    return path, amount


def _bytes(name: str, short: str, help: str) -> Flag:
    return value(name, short, "bytes", help, parse_size, 0)


def _duration(name: str, help: str) -> Flag:
    return Flag(name, "", "duration", f"{help} (ms|s|m|h)", parse_duration, 0, shown_default="0s")


CREATE_GROUPS: Groups = (
    ("Container options", (
        text("name", "", "Assign a name to the container"),
        switch("rm", "", "Automatically remove the container and its associated anonymous volumes when it exits"),
        switch("interactive", "i", "Keep STDIN open even if not attached"),
        switch("tty", "t", "Allocate a pseudo-TTY"),
        repeated("attach", "a", "Attach to STDIN, STDOUT or STDERR", parse=parse_stream),
        text("cidfile", "", "Write the container ID to the file"),
        switch("dry-run", "", "Show what would be done, each step with its cause, and do nothing"),
        text("format", "", "Format of what --dry-run shows: 'json', or text without it"),
        repeated("label", "l", "Set meta data on a container", parse=parse_label),
        repeated("label-file", "", "Read in a line delimited file of labels"),
        repeated("annotation", "", "Add an annotation to the container (passed through to the OCI runtime)", "map"),
        later(text("restart", "", "Restart policy to apply when a container exits", default="no"), "only 'no' so far"),
        text("stop-signal", "", "Signal to stop the container"),
        number("stop-timeout", "", "Timeout (in seconds) to stop a container", default=None),
        text("platform", "", "Set platform if server is multi-platform capable"),
        later(
            text("pull", "", 'Pull image before running ("always", "missing", "never")', default="missing"),
            "images are not pulled yet",
        ),
        switch("quiet", "q", "Suppress the pull output"),
        later(text("runtime", "", "Runtime to use for this container"), "only Wherry's own, also by runc's name"),
        switch("disable-content-trust", "", "Skip image verification", default=True, hidden=True),
    )),
    ("Process options", (
        repeated("env", "e", "Set environment variables", parse=parse_env),
        repeated("env-file", "", "Read in a file of environment variables"),
        text("entrypoint", "", "Overwrite the default ENTRYPOINT of the image"),
        text("workdir", "w", "Working directory inside the container"),
        text("user", "u", "Username or UID (format: <name|uid>[:<group|gid>])"),
        repeated("group-add", "", "Add additional groups to join"),
        switch("init", "", "Run an init inside the container that forwards signals and reaps processes", default=None),
    )),
    ("Network options", (
        later(
            repeated("network", "", "Connect a container to a network", "network", parse_network),
            "only bridge, host, none and container:NAME so far",
        ),
        repeated("net", "", "Connect a container to a network", "network", parse_network, alias_of="network"),
        repeated("publish", "p", "Publish a container's port(s) to the host"),
        switch("publish-all", "P", "Publish all exposed ports to random ports"),
        repeated("expose", "", "Expose a port or a range of ports"),
        text("hostname", "h", "Container host name"),
        text("domainname", "", "Container NIS domain name"),
        repeated("add-host", "", "Add a custom host-to-IP mapping (host:ip)", parse=extra_host),
        repeated("dns", "", "Set custom DNS servers", parse=canonical_address),
        repeated("dns-option", "", "Set DNS options"),
        repeated("dns-opt", "", "Set DNS options", alias_of="dns-option"),
        repeated("dns-search", "", "Set custom DNS search domains", parse=parse_search_domain),
        later(repeated("network-alias", "", "Add network-scoped alias for the container")),
        repeated("net-alias", "", "Add network-scoped alias for the container", alias_of="network-alias"),
        text("mac-address", "", "Container MAC address (e.g., 92:d0:c6:0a:29:33)"),
        later(text("ip", "", "IPv4 address (e.g., 172.30.100.104)")),
        later(text("ip6", "", "IPv6 address (e.g., 2001:db8::33)")),
        later(repeated("link", "", "Add link to another container")),
        later(repeated("link-local-ip", "", "Container IPv4/IPv6 link-local addresses")),
    )),
    ("File options", (
        later(repeated("volume", "v", "Bind mount a volume"), "no named volumes so far"),
        later(
            repeated("mount", "", "Attach a filesystem mount to the container", "mount", parse_mount),
            "only bind and tmpfs so far",
        ),
        repeated("tmpfs", "", "Mount a tmpfs directory"),
        switch("read-only", "", "Mount the container's root filesystem as read only"),
        _bytes("shm-size", "", "Size of /dev/shm"),
        later(repeated("storage-opt", "", "Storage driver options for the container")),
        later(text("volume-driver", "", "Optional volume driver for the container")),
        later(repeated("volumes-from", "", "Mount volumes from the specified container(s)")),
    )),
    ("Resource limits", (
        _bytes("memory", "m", "Memory limit"),
        _bytes("memory-reservation", "", "Memory soft limit"),
        value(
            "memory-swap", "", "bytes", "Swap limit equal to memory plus swap: '-1' to enable unlimited swap",
            parse_memory_swap, 0,
        ),
        number("memory-swappiness", "", "Tune container memory swappiness (0 to 100)", default=-1),
        value("cpus", "", "decimal", "Number of CPUs", parse_cpus, 0),
        number("cpu-shares", "c", "CPU shares (relative weight)"),
        number("cpu-period", "", "Limit CPU CFS (Completely Fair Scheduler) period"),
        number("cpu-quota", "", "Limit CPU CFS (Completely Fair Scheduler) quota"),
        number("cpu-rt-period", "", "Limit CPU real-time period in microseconds"),
        number("cpu-rt-runtime", "", "Limit CPU real-time runtime in microseconds"),
        text("cpuset-cpus", "", "CPUs in which to allow execution (0-3, 0,1)"),
        text("cpuset-mems", "", "MEMs in which to allow execution (0-3, 0,1)"),
        number("pids-limit", "", "Tune container pids limit (set -1 for unlimited)"),
        repeated("ulimit", "", "Ulimit options", "ulimit", parse_ulimit),
        switch("oom-kill-disable", "", "Disable OOM Killer"),
        number("oom-score-adj", "", "Tune host's OOM preferences (-1000 to 1000)"),
        number("blkio-weight", "", "Block IO (relative weight), between 10 and 1000, or 0 to disable", word="uint16"),
        repeated("blkio-weight-device", "", "Block IO weight (relative device weight)", parse=parse_weight),
        repeated("device-read-bps", "", "Limit read rate (bytes per second) from a device", parse=parse_rate),
        repeated("device-read-iops", "", "Limit read rate (IO per second) from a device", parse=parse_operations),
        repeated("device-write-bps", "", "Limit write rate (bytes per second) to a device", parse=parse_rate),
        repeated("device-write-iops", "", "Limit write rate (IO per second) to a device", parse=parse_operations),
        text("cgroup-parent", "", "Optional parent cgroup for the container"),
    )),
    ("Rights and isolation", (
        switch("privileged", "", "Give extended privileges to this container"),
        repeated("cap-add", "", "Add Linux capabilities"),
        repeated("cap-drop", "", "Drop Linux capabilities"),
        later(repeated("security-opt", "", "Security Options"), "no AppArmor or SELinux so far"),
        repeated("device", "", "Add a host device to the container"),
        repeated("device-cgroup-rule", "", "Add a rule to the cgroup allowed devices list", parse=device_rule),
        repeated("sysctl", "", "Sysctl options", "map", parse_sysctl),
        text("ipc", "", "IPC mode to use"),
        text("pid", "", "PID namespace to use"),
        text("uts", "", "UTS namespace to use"),
        text("userns", "", "User namespace to use"),
        text("cgroupns", "", "Cgroup namespace to use (host|private)"),
        later(text("isolation", "", "Container isolation technology", hidden=True)),
    )),
    ("Logging", (
        later(text("log-driver", "", "Logging driver for the container"), "only json-file and none so far"),
        repeated("log-opt", "", "Log driver options"),
    )),
    ("Health checks", (
        later(text("health-cmd", "", "Command to run to check health")),
        later(_duration("health-interval", "Time between running the check")),
        later(number("health-retries", "", "Consecutive failures needed to report unhealthy")),
        later(_duration("health-start-interval", "Time between running the check during the start period")),
        later(
            _duration(
                "health-start-period",
                "Start period for the container to initialize before starting health-retries countdown",
            )
        ),
        later(_duration("health-timeout", "Maximum time to allow one check to run")),
        switch("no-healthcheck", "", "Disable any container-specified HEALTHCHECK"),
    )),
)  # fmt: skip

RUN_GROUPS: Groups = (
    (CREATE_GROUPS[0][0], (
        switch("detach", "d", "Run container in background and print container ID"),
        text("detach-keys", "", "Override the key sequence for detaching a container"),
        switch("sig-proxy", "", "Proxy received signals to the process", default=True),
        *CREATE_GROUPS[0][1],
    )),
    *CREATE_GROUPS[1:],
)  # fmt: skip
CREATE_FLAGS, RUN_FLAGS = all_of(CREATE_GROUPS), all_of(RUN_GROUPS)
