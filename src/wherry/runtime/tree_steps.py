"""The child's steps that make the container's tree of files: its root, what is mounted on it, what is hidden."""

from __future__ import annotations

from dataclasses import dataclass

from wherry.runtime.step import AbsolutePath, ChildStep, Heading, MountFlag, Text, Texts
from wherry.values.words import counted


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
    """Make a directory, and its parents, inside the new root; one that is there, or behind a link of /proc, is fine."""

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
