"""The steps behind the clone: by the child, on its way to becoming the container's first process.

Those that make its tree of files are in ``tree_steps``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wherry.runtime.capabilities import names_of
from wherry.runtime.step import AbsolutePath, Arg, ChildStep, Fd, Heading, Namespace, Note, Text, Texts
from wherry.values.words import counted, raised

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
        name = self.label or self.resource
        if self.soft < 0:
            return f"set rlimit {name} to unlimited"
        return f"set rlimit {name} to {self.soft}{raised(self.soft, self.hard if self.hard >= 0 else None)}"


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
class EnterPids(ChildStep):
    """Go on as a new process, in the PID namespace that was joined, with nothing of the host's any more."""

    code, name, heading = 41, "enter-pids", Heading.NAMESPACES

    def describe(self) -> str:
        return "go on as a process of the PID namespace"
