"""The steps behind the clone: by the child, on its way to becoming the container's first process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wherry.runtime.capabilities import names_of
from wherry.runtime.step import (
    AbsolutePath,
    Arg,
    ChildStep,
    Fd,
    Heading,
    MountFlag,
    Namespace,
    Note,
    Text,
    Texts,
)
from wherry.values.words import counted

NAMED = 4  # capabilities that a step names; of more the number is told


@dataclass(frozen=True, slots=True)
class CgroupAttach(ChildStep):
    """Move the child into a cgroup (version 1; see ``Clone`` for version 2)."""

    code, name, heading = 11, "cgroup-attach", Heading.LIMITS
    identity = "path"
    path: AbsolutePath

    def describe(self) -> str:
        return f"enter cgroup {self.path}"


@dataclass(frozen=True, slots=True)
class JoinNamespace(ChildStep):
    """setns(2) to a namespace descriptor, or to several through a pidfd.

    A PID namespace counts for children only: ``EnterPids`` makes the one that it is meant for.
    """

    code, name, heading = 12, "join-namespace", Heading.NAMESPACES
    identity = "namespaces"
    fd: Fd
    namespaces: Namespace
    source: Note = ""  # whose, in words

    def describe(self) -> str:
        return f"join the {self.namespaces.words()} namespace" + (f" of {self.source}" if self.source else "")


@dataclass(frozen=True, slots=True)
class Propagation(ChildStep):
    """Set the propagation of the whole mount tree, so that nothing mounted here reaches the host."""

    code, name, heading = 13, "propagation", Heading.FILESYSTEMS
    flags: MountFlag

    def describe(self) -> str:
        kinds = (self.flags & ~MountFlag.REC).words()
        return f"make every mount {kinds}" if self.flags & MountFlag.REC else f"make the root mount {kinds}"


@dataclass(frozen=True, slots=True)
class OverlayRoot(ChildStep):
    """Mount the layers, and one writable directory on top, as the new root. OCI image-spec, layer.md."""

    code, name, heading = 14, "overlay-root", Heading.LAYERS
    layers_dir: AbsolutePath
    lower: Texts  # names below layers_dir, topmost first
    upper: AbsolutePath
    work: AbsolutePath
    target: AbsolutePath  # a directory on the host to mount on, in the container's own mount namespace
    options: Text = ""  # more overlay options, such as "metacopy=on"

    def describe(self) -> str:
        return f"mount the root: an overlay of {self.upper} on {counted(len(self.lower), 'layer')}"


@dataclass(frozen=True, slots=True)
class BindRoot(ChildStep):
    """Use a directory of the host as the new root."""

    code, name, heading = 15, "bind-root", Heading.LAYERS
    source: AbsolutePath

    def describe(self) -> str:
        return f"use {self.source} as the root"


@dataclass(frozen=True, slots=True)
class Mount(ChildStep):
    """Mount a filesystem inside the new root, making the directory. OCI runtime-spec, config.md "Mounts".

    ``pids`` is the descriptor of the PID namespace that a procfs shows; 0: that of the process itself.
    """

    code, name, heading = 16, "mount", Heading.FILESYSTEMS
    identity = "target"
    fstype: Text
    source: Text
    target: AbsolutePath  # inside the root; the launcher resolves it with RESOLVE_IN_ROOT
    flags: MountFlag = MountFlag(0)
    data: Text = ""
    propagation: MountFlag = MountFlag(0)  # private without
    pids: int = 0

    def describe(self) -> str:
        return f"mount {self.fstype} on {self.target} ({self.flags.words()}{',' + self.data if self.data else ''})"


@dataclass(frozen=True, slots=True)
class Bind(ChildStep):
    """Bind a file or directory of the host into the new root, making the mount point.

    ``flags`` take REC (with what is mounted below it), and RDONLY, NOSUID, NODEV, NOEXEC for the mount itself;
    ``everywhere`` takes the latter for what is mounted below it, too. ``propagation`` is one of PRIVATE, SLAVE, SHARED
    (or with REC); for the last two a ``HoldTree`` of the same source comes first.
    """

    code, name, heading = 17, "bind", Heading.FILESYSTEMS
    identity = "target"
    source: AbsolutePath
    target: AbsolutePath
    flags: MountFlag = MountFlag.REC
    propagation: MountFlag = MountFlag.PRIVATE | MountFlag.REC
    everywhere: MountFlag = MountFlag(0)

    def describe(self) -> str:
        only_top = MountFlag.REC in self.flags and self.flags != MountFlag.REC
        below = "; mounts below it keep their own flags" if only_top else ""
        return f"bind {self.source} on {self.target} ({(self.flags | self.everywhere).words()}{below})"


@dataclass(frozen=True, slots=True)
class Mask(ChildStep):
    """Hide a path: /dev/null over a file, an empty read-only tmpfs over a directory. A missing path is fine."""

    code, name, heading = 18, "mask", Heading.RIGHTS
    identity = "path"
    path: AbsolutePath

    def describe(self) -> str:
        return f"mask {self.path}"


@dataclass(frozen=True, slots=True)
class ReadOnlyPath(ChildStep):
    """Make a path read-only. A missing path is fine."""

    code, name, heading = 19, "read-only", Heading.RIGHTS
    identity = "path"
    path: AbsolutePath

    def describe(self) -> str:
        return f"make {self.path} read-only"


@dataclass(frozen=True, slots=True)
class ReadOnlyRoot(ChildStep):
    """Make the root mount itself read-only (not what is mounted on it)."""

    code, name, heading = 20, "read-only-root", Heading.FILESYSTEMS

    def describe(self) -> str:
        return "make the root read-only"


@dataclass(frozen=True, slots=True)
class MakeNode(ChildStep):
    """Make a device node or fifo in the new root. OCI runtime-spec, config-linux.md "Devices"."""

    code, name, heading = 21, "mknod", Heading.DEVICES
    identity = "path"
    path: AbsolutePath
    kind: Text  # "c", "b" or "p"
    major: int = 0
    minor: int = 0
    mode: int = 0o666
    uid: int = 0
    gid: int = 0

    def describe(self) -> str:
        return f"create device {self.path} ({self.kind} {self.major}:{self.minor})"


@dataclass(frozen=True, slots=True)
class Symlink(ChildStep):
    """Make a symbolic link in the new root; one that is there already is fine."""

    code, name, heading = 22, "symlink", Heading.DEVICES
    identity = "path"
    target: Text
    path: AbsolutePath

    def describe(self) -> str:
        return f"link {self.path} to {self.target}"


@dataclass(frozen=True, slots=True)
class RootDirectory(ChildStep):
    """Make a directory, and its parents, inside the new root; one that is there is fine."""

    code, name, heading = 23, "root-mkdir", Heading.FILESYSTEMS
    identity = "path"
    path: AbsolutePath
    mode: int = 0o755

    def describe(self) -> str:
        return f"create directory {self.path} in the container"


@dataclass(frozen=True, slots=True)
class PivotRoot(ChildStep):
    """Make the new root the root, and let go of the host's."""

    code, name, heading = 24, "pivot-root", Heading.FILESYSTEMS

    def describe(self) -> str:
        return "make this the root, and detach the host's"


@dataclass(frozen=True, slots=True)
class Hostname(ChildStep):
    """Name the container in its UTS namespace."""

    code, name, heading = 25, "sethostname", Heading.NETWORK
    hostname: Text

    def describe(self) -> str:
        return f"set the host name to {self.hostname}"


@dataclass(frozen=True, slots=True)
class Domainname(ChildStep):
    """Name the container's NIS domain in its UTS namespace."""

    code, name, heading = 26, "setdomainname", Heading.NETWORK
    domainname: Text

    def describe(self) -> str:
        return f"set the domain name to {self.domainname}"


@dataclass(frozen=True, slots=True)
class Sysctl(ChildStep):
    """Set a namespaced kernel parameter, through a procfs of the launcher's own."""

    code, name, heading = 27, "sysctl", Heading.NETWORK
    identity = "key"
    key: Text  # with slashes: net/ipv4/ip_unprivileged_port_start
    value: Text

    def describe(self) -> str:
        return f"set sysctl {self.key.replace('/', '.')} to {self.value}"


@dataclass(frozen=True, slots=True)
class LoopbackUp(ChildStep):
    """Bring up lo in a network namespace that this plan made."""

    code, name, heading = 28, "loopback-up", Heading.NETWORK

    def describe(self) -> str:
        return "bring up the loopback interface"


@dataclass(frozen=True, slots=True)
class Rlimit(ChildStep):
    """setrlimit(2). Where the hard limit may not be raised, it is left and a warning sent."""

    code, name, heading = 29, "rlimit", Heading.LIMITS
    identity = "resource"
    resource: int
    soft: int  # -1: unlimited
    hard: int
    label: Note = ""

    def describe(self) -> str:
        soft, hard = ("unlimited" if limit < 0 else str(limit) for limit in (self.soft, self.hard))
        return f"set rlimit {self.label or self.resource} to {soft}" + (
            f", at most {hard}" if soft != hard else ""
        )


@dataclass(frozen=True, slots=True)
class OomScoreAdjust(ChildStep):
    """Set how early the kernel's OOM killer strikes the process."""

    code, name, heading = 30, "oom-score-adj", Heading.LIMITS
    value: int

    def describe(self) -> str:
        return f"set oom_score_adj to {self.value}"


@dataclass(frozen=True, slots=True)
class Console(ChildStep):
    """Allocate the pty in the container's own devpts and, in a new root, bind it on /dev/console."""

    code, name, heading = 31, "console", Heading.DEVICES
    bind: bool = True

    def describe(self) -> str:
        return "allocate a terminal" + (", and bind it on /dev/console" if self.bind else "")


@dataclass(frozen=True, slots=True)
class User(ChildStep):
    """Become a user, looked up in the image's /etc/passwd and /etc/group.

    ``spec`` is Docker's ``name|uid[:group|gid]``, "" for root; ``groups`` are names or gids to add.
    HOME is added to the environment where it is not set, or empty. OCI image-spec, config.md "User".
    """

    code, name, heading = 32, "user", Heading.RIGHTS
    spec: Text = ""
    groups: Texts = ()

    def describe(self) -> str:
        groups = f", with {'group' if len(self.groups) == 1 else 'groups'} {', '.join(self.groups)}"
        return f"run as user {self.spec or 'root'}{groups if self.groups else ''}"


@dataclass(frozen=True, slots=True)
class Capabilities(ChildStep):
    """Set all five capability sets (bit masks). Docker: inheritable and ambient are empty."""

    code, name, heading = 33, "capabilities", Heading.RIGHTS
    bounding: int
    effective: int
    permitted: int
    inheritable: int = 0
    ambient: int = 0

    def describe(self) -> str:
        kept = self.bounding.bit_count()
        few = f": {', '.join(names_of(self.bounding))}" if kept <= NAMED else ""
        return f"keep {counted(kept, 'capability', 'capabilities')}{few}" if kept else "keep no capabilities"


@dataclass(frozen=True, slots=True)
class NoNewPrivileges(ChildStep):
    """Let no exec give more rights than the process has."""

    code, name, heading = 34, "no-new-privileges", Heading.RIGHTS

    def describe(self) -> str:
        return "allow no new privileges"


@dataclass(frozen=True, slots=True)
class Seccomp(ChildStep):
    """Install a compiled filter (struct sock_filter array) with SECCOMP_FILTER_FLAG_* ``flags``."""

    code, name, heading = 35, "seccomp", Heading.RIGHTS
    program: bytes
    flags: int = 0
    label: Note = "default policy"

    def describe(self) -> str:
        size = counted(len(self.program) // 8, "instruction")
        return f"install the seccomp filter: {self.label}, {size}"


@dataclass(frozen=True, slots=True)
class WorkingDirectory(ChildStep):
    """Change to a directory; fails where it leads out of the root (CVE-2024-21626)."""

    code, name, heading = 36, "chdir", Heading.PROCESS
    path: AbsolutePath

    def describe(self) -> str:
        return f"change to the directory {self.path}"


@dataclass(frozen=True, slots=True)
class TinyInit(ChildStep):
    """Stay as process 1, start the command as its child, pass on signals, reap."""

    code, name, heading = 37, "init", Heading.PROCESS

    def describe(self) -> str:
        return "stay as an init that passes on signals and reaps processes"


@dataclass(frozen=True, slots=True)
class Exec(ChildStep):
    """Become the command, found in the environment's PATH inside the root. Always the last step."""

    code, name, heading = 38, "exec", Heading.PROCESS
    argv: Texts
    env: Texts

    @classmethod
    def takes(cls) -> tuple[tuple[str, str], ...]:
        """How many words the command has, its words, and then the environment."""
        return (("words", "i"), ("texts", "t*"))

    def args(self) -> Sequence[Arg]:
        return (len(self.argv), *self.argv, *self.env)

    def describe(self) -> str:
        return "run " + " ".join(self.argv)


@dataclass(frozen=True, slots=True)
class HoldTree(ChildStep):
    """Take hold of what is mounted at a path of the host, as long as mounts still pass between the host and here.

    The ``Bind`` of the same source puts it in place, as a slave or a peer of the host's. Comes before ``Propagation``.
    """

    code, name, heading = 39, "hold-tree", Heading.FILESYSTEMS
    identity = "source"
    source: AbsolutePath
    recursive: bool = True

    def describe(self) -> str:
        return f"pick up {self.source} with its mount propagation"


@dataclass(frozen=True, slots=True)
class OwnDirectory(ChildStep):
    """Mount a directory of the new root on itself, making it: it stays writable where the root does not."""

    code, name, heading = 40, "own-directory", Heading.FILESYSTEMS
    identity = "path"
    path: AbsolutePath

    def describe(self) -> str:
        return f"mount {self.path} of the root on itself, to stay writable"


@dataclass(frozen=True, slots=True)
class EnterPids(ChildStep):
    """Go on as a new process, in the PID namespace that was joined, with nothing of the host's any more."""

    code, name, heading = 41, "enter-pids", Heading.NAMESPACES

    def describe(self) -> str:
        return "go on as a process of the PID namespace"
