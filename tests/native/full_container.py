"""Plans of real containers for tests and benchmarks: Docker's default container, from a busybox root."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness.waiting import eventually
from wherry.runtime.steps import (
    Bind,
    Capabilities,
    CgroupAttach,
    CgroupCreate,
    Clone,
    Console,
    EnterPids,
    Exec,
    Fd,
    Hostname,
    JoinNamespace,
    Log,
    LoopbackUp,
    MakeNode,
    Mask,
    Monitor,
    Mount,
    MountFlag,
    Namespace,
    NoNewPrivileges,
    OomCounter,
    OverlayRoot,
    PivotRoot,
    Plan,
    Propagation,
    ReadOnlyPath,
    RootDirectory,
    Stdio,
    Step,
    Symlink,
    TinyInit,
    User,
    WorkingDirectory,
)

CGROUPS = Path("/sys/fs/cgroup")
CONTROLLERS = ("cpu", "cpuacct", "memory", "devices", "freezer", "blkio", "pids", "systemd")
SAFE = MountFlag.NOSUID | MountFlag.NODEV | MountFlag.NOEXEC
NAMESPACES = (
    Namespace.MOUNT | Namespace.PID | Namespace.IPC | Namespace.UTS | Namespace.NET | Namespace.CGROUP
)
MASKED = (
    "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
    "/sys/devices/virtual/powercap",
)  # fmt: skip
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
DEVICES = (("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0))
LINKS = (
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    ("pts/ptmx", "/dev/ptmx"),
)
DOCKER_CAPABILITIES = 0xA80425FB
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def make_busybox_root(root: Path) -> None:
    """A small root that is enough for a shell, with users and groups."""
    for name in ("bin", "etc", "tmp", "root", "home/ann", "var", "work"):
        (root / name).mkdir(parents=True)
    shutil.copy2("/bin/busybox", root / "bin/busybox")
    listed = subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True, check=True).stdout
    for applet in listed.split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    (root / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000:Ann:/home/ann:/bin/sh\nbroken\n:::\nodd:x:x:y::\n"
    )
    (root / "etc/group").write_text("root:x:0:root\nann:x:1000:\nwheel:x:10:root,ann\ngames:x:60:bob,ann\n")
    (root / "tmp").chmod(0o1777)
    (root / "home/ann").chmod(0o700)
    os.chown(root / "home/ann", 1000, 1000)


def removed(path: str) -> bool:
    """Whether the cgroup is gone, by us or by its monitor."""
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Bundle:
    """Where one test's containers live: layers, writable directories, cgroups below one parent of its own."""

    base: Path
    name: str = field(default_factory=lambda: f"wherry-test-{uuid.uuid4().hex[:12]}")

    @classmethod
    def make(cls, base: Path) -> Bundle:
        bundle = cls(base)
        make_busybox_root(base / "layers" / "0")
        for name in ("upper", "work", "merged", "spool"):
            (base / name).mkdir()
        for controller in CONTROLLERS:
            (CGROUPS / controller / bundle.name).mkdir()
        return bundle

    def remove(self) -> None:
        """Also what a failed test left behind: its processes, found through its own cgroups."""
        left = [path for path in self.cgroups() if os.path.exists(path)]
        for path in left:
            for pid in Path(path, "cgroup.procs").read_text().split():
                os.kill(int(pid), signal.SIGKILL)
        eventually(lambda: all(not os.path.exists(path) or removed(path) for path in left))
        for controller in CONTROLLERS:
            (CGROUPS / controller / self.name).rmdir()
        shutil.rmtree(self.base, ignore_errors=True)

    @property
    def root(self) -> Path:
        return self.base / "layers" / "0"

    def cgroups(self, container: str = "c") -> list[str]:
        return [str(CGROUPS / controller / self.name / container) for controller in CONTROLLERS]


@dataclass(frozen=True)
class Wanted:
    """What a test's container differs in."""

    argv: Sequence[str] = ("true",)
    env: Sequence[str] = (PATH, "TERM=xterm")
    tty: bool = False
    stdin: bool = False
    stdin_once: bool = False
    rows: int = 0
    columns: int = 0
    user: str = ""
    groups: tuple[str, ...] = ()
    cwd: str = "/"
    log: Log | None = None
    init: bool = False
    no_new_privileges: bool = False
    namespaces: Namespace = NAMESPACES
    cgroup: bool = True
    before_pivot: Sequence[Step] = ()
    before_user: Sequence[Step] = ()
    container: str = "c"


def host_steps(bundle: Bundle, wanted: Wanted, exit_file: Path) -> list[Step]:
    steps: list[Step] = [
        Monitor(exit_file=str(exit_file), spool_dir=str(bundle.base / "spool"), listen=True),
        Stdio(wanted.tty, wanted.stdin, wanted.stdin_once, wanted.rows, wanted.columns),
    ]
    if wanted.log:
        steps.append(wanted.log)
    if wanted.cgroup:
        steps += [CgroupCreate(path) for path in bundle.cgroups(wanted.container)]
        memory = CGROUPS / "memory" / bundle.name / wanted.container / "memory.oom_control"
        steps.append(OomCounter(str(memory)))
    return steps


def tree_steps(bundle: Bundle) -> list[Step]:
    return [
        Propagation(MountFlag.PRIVATE),
        OverlayRoot(
            str(bundle.base / "layers"),
            ("0",),
            str(bundle.base / "upper"),
            str(bundle.base / "work"),
            str(bundle.base / "merged"),
        ),
        Mount("proc", "proc", "/proc", SAFE),
        Mount("tmpfs", "tmpfs", "/dev", MountFlag.NOSUID | MountFlag.STRICTATIME, "mode=755,size=65536k"),
        Mount(
            "devpts",
            "devpts",
            "/dev/pts",
            MountFlag.NOSUID | MountFlag.NOEXEC,
            "newinstance,ptmxmode=0666,mode=0620,gid=5",
        ),
        Mount("sysfs", "sysfs", "/sys", SAFE | MountFlag.RDONLY),
        Mount("mqueue", "mqueue", "/dev/mqueue", SAFE),
        Mount("tmpfs", "shm", "/dev/shm", SAFE, "mode=1777,size=67108864"),
    ]


def cgroup_tree_steps(bundle: Bundle, container: str) -> list[Step]:
    """The v1 hierarchies as a container sees them: a tmpfs, and its own cgroup of each, read-only."""
    flags = SAFE | MountFlag.RDONLY
    steps: list[Step] = [Mount("tmpfs", "tmpfs", "/sys/fs/cgroup", SAFE, "mode=755")]
    for controller, path in zip(CONTROLLERS, bundle.cgroups(container), strict=True):
        steps.append(Bind(path, f"/sys/fs/cgroup/{controller}", flags, MountFlag.PRIVATE))
    return steps


def device_steps() -> list[Step]:
    steps: list[Step] = [MakeNode(f"/dev/{name}", "c", major, minor) for name, major, minor in DEVICES]
    return steps + [Symlink(target, path) for target, path in LINKS]


def right_steps(wanted: Wanted) -> list[Step]:
    steps: list[Step] = [
        *wanted.before_user,
        WorkingDirectory(wanted.cwd),
        User(wanted.user, wanted.groups),
        Capabilities(DOCKER_CAPABILITIES, DOCKER_CAPABILITIES, DOCKER_CAPABILITIES),
    ]
    if wanted.no_new_privileges:
        steps.append(NoNewPrivileges())
    if wanted.init:
        steps.append(TinyInit())
    return [*steps, Exec(tuple(wanted.argv), tuple(wanted.env))]


def container_plan(bundle: Bundle, wanted: Wanted) -> Plan:
    """Docker's default container, with what the test wants."""
    steps = host_steps(bundle, wanted, bundle.base / f"{wanted.container}.exit")
    steps.append(Clone(wanted.namespaces))
    if wanted.cgroup:
        steps += [CgroupAttach(path) for path in bundle.cgroups(wanted.container)]
    steps += tree_steps(bundle)
    if wanted.cgroup:
        steps += cgroup_tree_steps(bundle, wanted.container)
    steps += device_steps()
    steps.append(RootDirectory(wanted.cwd))
    if Namespace.UTS in wanted.namespaces:
        steps.append(Hostname("wherry-test"))
    if Namespace.NET in wanted.namespaces:
        steps.append(LoopbackUp())
    steps += wanted.before_pivot
    if wanted.tty:
        steps.append(Console())
    steps.append(PivotRoot())
    steps += [Mask(path) for path in MASKED]
    steps += [ReadOnlyPath(path) for path in READ_ONLY]
    return Plan((*steps, *right_steps(wanted)))


def exec_plan(bundle: Bundle, wanted: Wanted) -> Plan:
    """A command in the namespaces of a running container; its pidfd is Fd.TARGET."""
    namespaces = NAMESPACES
    steps: list[Step] = [
        Monitor(spool_dir=str(bundle.base / "spool"), listen=False),
        Stdio(wanted.tty, wanted.stdin, True, wanted.rows, wanted.columns),
        Clone(Namespace(0)),
        *[CgroupAttach(path) for path in bundle.cgroups(wanted.container)],
        JoinNamespace(Fd.TARGET, namespaces),
    ]
    if wanted.tty:
        steps.append(Console(bind=False))
    *rights, command = right_steps(wanted)
    return Plan((*steps, *rights, EnterPids(), command))
