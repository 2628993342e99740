"""The steps behind the clone: by the child, on its way to becoming the container's first process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wherry.runtime.step import Arg, Fd, Heading, MountFlag, Namespace, Step


@dataclass(frozen=True, slots=True)
class CgroupAttach(Step):
    """Move the child into a cgroup."""

    code, name, heading = 11, "cgroup-attach", Heading.LIMITS
    path: str

    def args(self) -> Sequence[Arg]:
        return (self.path,)

    def describe(self) -> str:
        return f"enter cgroup {self.path}"


@dataclass(frozen=True, slots=True)
class JoinNamespace(Step):
    """setns(2) to a namespace descriptor, or to several through a pidfd.

    The PID namespace must be joined before ``Clone`` (it takes effect in children), all others after it.
    """

    code, name, heading = 12, "join-namespace", Heading.NAMESPACES
    fd: Fd
    namespaces: Namespace
    source: str = ""  # whose, in words

    def args(self) -> Sequence[Arg]:
        return (int(self.fd), int(self.namespaces))

    def describe(self) -> str:
        return f"join {self.namespaces.words()} namespace" + (f" of {self.source}" if self.source else "")


@dataclass(frozen=True, slots=True)
class Propagation(Step):
    """Set the propagation of the whole mount tree, so that nothing mounted here reaches the host."""

    code, name, heading = 13, "propagation", Heading.FILESYSTEMS
    flags: MountFlag

    def args(self) -> Sequence[Arg]:
        return (int(self.flags),)

    def describe(self) -> str:
        return f"make every mount {self.flags.words()}"


@dataclass(frozen=True, slots=True)
class OverlayRoot(Step):
    """Mount the layers, and one writable directory on top, as the new root. OCI image-spec, layer.md."""

    code, name, heading = 14, "overlay-root", Heading.LAYERS
    layers_dir: str
    lower: tuple[str, ...]  # names below layers_dir, topmost first
    upper: str
    work: str
    target: str  # a directory on the host to mount on, in the container's own mount namespace
    options: str = ""  # more overlay options, such as "metacopy=on"

    def args(self) -> Sequence[Arg]:
        return (self.layers_dir, self.upper, self.work, self.target, self.options, *self.lower)

    def describe(self) -> str:
        return f"overlay of {len(self.lower)} layers under {self.upper}"


@dataclass(frozen=True, slots=True)
class BindRoot(Step):
    """Use a directory of the host as the new root."""

    code, name, heading = 15, "bind-root", Heading.LAYERS
    source: str

    def args(self) -> Sequence[Arg]:
        return (self.source,)

    def describe(self) -> str:
        return f"root is {self.source}"


@dataclass(frozen=True, slots=True)
class Mount(Step):
    """Mount a filesystem inside the new root, making the directory. OCI runtime-spec, config.md "Mounts"."""

    code, name, heading = 16, "mount", Heading.FILESYSTEMS
    fstype: str
    source: str
    target: str  # inside the root; the launcher resolves it with RESOLVE_IN_ROOT
    flags: MountFlag = MountFlag(0)
    data: str = ""

    def args(self) -> Sequence[Arg]:
        return (self.fstype, self.source, self.target, int(self.flags), self.data)

    def describe(self) -> str:
        return f"mount {self.fstype} on {self.target} ({self.flags.words()}{',' + self.data if self.data else ''})"


@dataclass(frozen=True, slots=True)
class Bind(Step):
    """Bind a file or directory of the host into the new root, making the mount point.

    ``flags`` take REC, RDONLY, NOSUID, NODEV, NOEXEC; ``propagation`` one of PRIVATE, SLAVE, SHARED (or with REC).
    """

    code, name, heading = 17, "bind", Heading.FILESYSTEMS
    source: str
    target: str
    flags: MountFlag = MountFlag.REC
    propagation: MountFlag = MountFlag.PRIVATE | MountFlag.REC

    def args(self) -> Sequence[Arg]:
        return (self.source, self.target, int(self.flags), int(self.propagation))

    def describe(self) -> str:
        return f"bind {self.source} on {self.target} ({self.flags.words()})"


@dataclass(frozen=True, slots=True)
class Mask(Step):
    """Hide a path: /dev/null over a file, an empty read-only tmpfs over a directory. A missing path is fine."""

    code, name, heading = 18, "mask", Heading.RIGHTS
    path: str

    def args(self) -> Sequence[Arg]:
        return (self.path,)

    def describe(self) -> str:
        return f"mask {self.path}"


@dataclass(frozen=True, slots=True)
class ReadOnlyPath(Step):
    """Make a path read-only. A missing path is fine."""

    code, name, heading = 19, "read-only", Heading.RIGHTS
    path: str

    def args(self) -> Sequence[Arg]:
        return (self.path,)

    def describe(self) -> str:
        return f"make {self.path} read-only"


@dataclass(frozen=True, slots=True)
class ReadOnlyRoot(Step):
    """Make the root mount itself read-only (not what is mounted on it)."""

    code, name, heading = 20, "read-only-root", Heading.FILESYSTEMS

    def args(self) -> Sequence[Arg]:
        return ()

    def describe(self) -> str:
        return "make the root read-only"


@dataclass(frozen=True, slots=True)
class MakeNode(Step):
    """Make a device node or fifo in the new root. OCI runtime-spec, config-linux.md "Devices"."""

    code, name, heading = 21, "mknod", Heading.DEVICES
    path: str
    kind: str  # "c", "b" or "p"
    major: int = 0
    minor: int = 0
    mode: int = 0o666
    uid: int = 0
    gid: int = 0

    def args(self) -> Sequence[Arg]:
        return (self.path, self.kind, self.major, self.minor, self.mode, self.uid, self.gid)

    def describe(self) -> str:
        return f"device {self.path} ({self.kind} {self.major}:{self.minor})"


@dataclass(frozen=True, slots=True)
class Symlink(Step):
    """Make a symbolic link in the new root; one that is there already is fine."""

    code, name, heading = 22, "symlink", Heading.DEVICES
    target: str
    path: str

    def args(self) -> Sequence[Arg]:
        return (self.target, self.path)

    def describe(self) -> str:
        return f"link {self.path} to {self.target}"


@dataclass(frozen=True, slots=True)
class RootDirectory(Step):
    """Make a directory, and its parents, inside the new root; one that is there is fine."""

    code, name, heading = 23, "root-mkdir", Heading.FILESYSTEMS
    path: str
    mode: int = 0o755

    def args(self) -> Sequence[Arg]:
        return (self.path, self.mode)

    def describe(self) -> str:
        return f"make directory {self.path} in the container"


@dataclass(frozen=True, slots=True)
class PivotRoot(Step):
    """Make the new root the root, and let go of the host's."""

    code, name, heading = 24, "pivot-root", Heading.FILESYSTEMS

    def args(self) -> Sequence[Arg]:
        return ()

    def describe(self) -> str:
        return "pivot into the new root and detach the host's"


@dataclass(frozen=True, slots=True)
class Hostname(Step):
    code, name, heading = 25, "sethostname", Heading.NETWORK
    hostname: str

    def args(self) -> Sequence[Arg]:
        return (self.hostname,)

    def describe(self) -> str:
        return f"hostname {self.hostname}"


@dataclass(frozen=True, slots=True)
class Domainname(Step):
    code, name, heading = 26, "setdomainname", Heading.NETWORK
    domainname: str

    def args(self) -> Sequence[Arg]:
        return (self.domainname,)

    def describe(self) -> str:
        return f"domain name {self.domainname}"


@dataclass(frozen=True, slots=True)
class Sysctl(Step):
    """Set a namespaced kernel parameter, through a procfs of the launcher's own."""

    code, name, heading = 27, "sysctl", Heading.NETWORK
    key: str  # with slashes: net/ipv4/ip_unprivileged_port_start
    value: str

    def args(self) -> Sequence[Arg]:
        return (self.key, self.value)

    def describe(self) -> str:
        return f"sysctl {self.key.replace('/', '.')} = {self.value}"


@dataclass(frozen=True, slots=True)
class LoopbackUp(Step):
    """Bring up lo in a network namespace that this plan made."""

    code, name, heading = 28, "loopback-up", Heading.NETWORK

    def args(self) -> Sequence[Arg]:
        return ()

    def describe(self) -> str:
        return "bring up the loopback interface"


@dataclass(frozen=True, slots=True)
class Rlimit(Step):
    """setrlimit(2). Where the hard limit may not be raised, it is left and a warning sent."""

    code, name, heading = 29, "rlimit", Heading.LIMITS
    resource: int
    soft: int  # -1: unlimited
    hard: int
    label: str = ""

    def args(self) -> Sequence[Arg]:
        return (self.resource, self.soft, self.hard)

    def describe(self) -> str:
        return f"rlimit {self.label or self.resource} {self.soft}:{self.hard}"


@dataclass(frozen=True, slots=True)
class OomScoreAdjust(Step):
    code, name, heading = 30, "oom-score-adj", Heading.LIMITS
    value: int

    def args(self) -> Sequence[Arg]:
        return (self.value,)

    def describe(self) -> str:
        return f"oom_score_adj {self.value}"


@dataclass(frozen=True, slots=True)
class Console(Step):
    """Allocate the pty in the container's own devpts and, in a new root, bind it on /dev/console."""

    code, name, heading = 31, "console", Heading.DEVICES
    bind: bool = True

    def args(self) -> Sequence[Arg]:
        return (int(self.bind),)

    def describe(self) -> str:
        return "allocate a terminal" + (" and bind it on /dev/console" if self.bind else "")


@dataclass(frozen=True, slots=True)
class User(Step):
    """Become a user, looked up in the image's /etc/passwd and /etc/group.

    ``spec`` is Docker's ``name|uid[:group|gid]``, "" for root; ``groups`` are names or gids to add.
    HOME is added to the environment where it is not set. OCI image-spec, config.md "User".
    """

    code, name, heading = 32, "user", Heading.RIGHTS
    spec: str = ""
    groups: tuple[str, ...] = ()

    def args(self) -> Sequence[Arg]:
        return (self.spec, *self.groups)

    def describe(self) -> str:
        return f"user {self.spec or 'root'}" + (f", groups {', '.join(self.groups)}" if self.groups else "")


@dataclass(frozen=True, slots=True)
class Capabilities(Step):
    """Set all five capability sets (bit masks). Docker: inheritable and ambient are empty."""

    code, name, heading = 33, "capabilities", Heading.RIGHTS
    bounding: int
    effective: int
    permitted: int
    inheritable: int = 0
    ambient: int = 0

    def args(self) -> Sequence[Arg]:
        return (self.bounding, self.effective, self.permitted, self.inheritable, self.ambient)

    def describe(self) -> str:
        return f"keep {self.bounding.bit_count()} capabilities"


@dataclass(frozen=True, slots=True)
class NoNewPrivileges(Step):
    code, name, heading = 34, "no-new-privileges", Heading.RIGHTS

    def args(self) -> Sequence[Arg]:
        return ()

    def describe(self) -> str:
        return "no new privileges"


@dataclass(frozen=True, slots=True)
class Seccomp(Step):
    """Install a compiled filter (struct sock_filter array) with SECCOMP_FILTER_FLAG_* ``flags``."""

    code, name, heading = 35, "seccomp", Heading.RIGHTS
    program: bytes
    flags: int = 0
    label: str = "default policy"

    def args(self) -> Sequence[Arg]:
        return (self.program, self.flags)

    def describe(self) -> str:
        return f"seccomp filter: {self.label}, {len(self.program) // 8} instructions"


@dataclass(frozen=True, slots=True)
class WorkingDirectory(Step):
    """Change to a directory; fails where it leads out of the root (CVE-2024-21626)."""

    code, name, heading = 36, "chdir", Heading.PROCESS
    path: str

    def args(self) -> Sequence[Arg]:
        return (self.path,)

    def describe(self) -> str:
        return f"working directory {self.path}"


@dataclass(frozen=True, slots=True)
class TinyInit(Step):
    """Stay as process 1, start the command as its child, pass on signals, reap."""

    code, name, heading = 37, "init", Heading.PROCESS

    def args(self) -> Sequence[Arg]:
        return ()

    def describe(self) -> str:
        return "run an init that reaps and passes on signals"


@dataclass(frozen=True, slots=True)
class Exec(Step):
    """Become the command, found in the environment's PATH inside the root. Always the last step."""

    code, name, heading = 38, "exec", Heading.PROCESS
    argv: tuple[str, ...]
    env: tuple[str, ...]

    def args(self) -> Sequence[Arg]:
        return (len(self.argv), *self.argv, *self.env)

    def describe(self) -> str:
        return "run " + " ".join(self.argv)
