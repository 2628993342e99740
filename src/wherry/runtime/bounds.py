"""How much a request may ask for: what the kernel takes at most, and what a plan holds.

Each bound is the kernel's own, or far above what anybody asks for. What is beyond it is refused at create, with its
field's name: what create accepts, a start can plan.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from wherry.errors import InvalidArgument
from wherry.messages.container import Config, HostConfig
from wherry.values.paths import check_length, check_path

# execve(2): one word, and all words together with a pointer for each
LONGEST_WORD, ALL_WORDS, POINTER = (128 << 10) - 1, 6 << 20, 8
LONGEST_HOSTNAME = 64  # uname(2)
LONGEST_SET = 100 + 6 * 8192  # cpuset(7): what a kernel for 8192 processors takes
DEEPEST_CGROUP = 128  # levels of a parent; each takes the kernel time for whatever happens below it
MOST_ENTRIES = 4096  # of what becomes a step, or a few
MOST_MOUNTS = 1024  # each is looked at on the host, too
MOST_DEVICES = 512  # each is looked at on the host, and may be a directory full of them
BOUNDED: Mapping[str, int] = {
    "binds": MOST_MOUNTS,
    "mounts": MOST_MOUNTS,
    "tmpfs": MOST_MOUNTS,
    "masked_paths": MOST_ENTRIES,
    "readonly_paths": MOST_ENTRIES,
    "sysctls": MOST_ENTRIES,
    "group_add": MOST_ENTRIES,
    "ulimits": MOST_ENTRIES,
    "devices": MOST_DEVICES,
    "device_cgroup_rules": MOST_ENTRIES,
    "blkio_weight_device": MOST_DEVICES,
    "blkio_device_read_bps": MOST_DEVICES,
    "blkio_device_write_bps": MOST_DEVICES,
    "blkio_device_read_i_ops": MOST_DEVICES,
    "blkio_device_write_i_ops": MOST_DEVICES,
}
BLOCK_DEVICES = tuple(field for field in BOUNDED if field.startswith("blkio"))
ON_THE_WIRE = dict(zip(HostConfig.__struct_fields__, HostConfig.__struct_encode_fields__, strict=True))


def check_counts(host: HostConfig) -> None:
    """InvalidArgument, with the field's name, for more than is even looked at."""
    for field, most in BOUNDED.items():
        check_count(ON_THE_WIRE[field], getattr(host, field), most)


def check_count(what: str, given: Collection[object] | None, most: int) -> None:
    """The same of one field."""
    if len(given or ()) > most:
        raise InvalidArgument(f"invalid {what}: {len(given or ())} entries are more than {most}")


def check_bounds(config: Config, host: HostConfig) -> None:
    """InvalidArgument, with the field's name, for what no kernel would take."""
    for what, path in paths_of(host):
        check_path(path, what)
    for what, name in (("Hostname", config.hostname), ("Domainname", config.domainname)):
        if len(name.encode()) > LONGEST_HOSTNAME:
            raise InvalidArgument(f"invalid {what}: it is longer than {LONGEST_HOSTNAME} bytes")
    for what, name in (("CpusetCpus", host.cpuset_cpus), ("CpusetMems", host.cpuset_mems)):
        if len(name) > LONGEST_SET:
            raise InvalidArgument(f"invalid {what}: it is longer than {LONGEST_SET} characters")
    check_words("Entrypoint or Cmd", (*(config.entrypoint or ()), *(config.cmd or ())), config.env or ())


def paths_of(host: HostConfig) -> Iterator[tuple[str, str]]:
    """The paths that are given as such, each with its field. ``mounts`` looks at its own."""
    for what, paths in (("MaskedPaths", host.masked_paths), ("ReadonlyPaths", host.readonly_paths)):
        yield from ((what, path) for path in paths or ())
    for field in BLOCK_DEVICES:
        for entry in getattr(host, field) or ():
            yield f"Path of {ON_THE_WIRE[field]}", entry.path
    for device in host.devices or ():
        yield "PathOnHost of Devices", device.path_on_host
        if device.path_in_container:
            yield "PathInContainer of Devices", device.path_in_container


def check_words(what: str, command: Iterable[str], environment: Iterable[str]) -> None:
    """InvalidArgument for a command, or variables, that execve(2) would not take, whatever the limits."""
    command = list(command)
    if command and "/" in command[0]:
        check_length(command[0], what)
    total = 0
    for field, words in ((what, command), ("Env", environment)):
        for word in words:
            size = len(word.encode("utf-8", "surrogateescape"))
            total += size + 1 + POINTER
            if size > LONGEST_WORD:
                raise InvalidArgument(f"invalid {field}: a word of {size} bytes (at most {LONGEST_WORD})")
    if total > ALL_WORDS:
        raise InvalidArgument(f"invalid {what}, with Env: argument list too long")
