"""The engines that are compared: how each is started in a namespace of its own, and what it costs in memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.client import Connection
from tests.harness.images import debian_mirror

ROOT = Path(__file__).resolve().parents[1]
SID = Path(os.environ.get("SID", "/tmp/sid"))
PARENT = "WHERRY_BENCH_CGROUP"  # the variable with the name of this run's parent cgroup
SID_PACKAGES = (
    "ca-certificates,docker.io,docker-cli,podman,crun,runc,containerd,iptables,nftables,iproute2,"
    "netavark,aardvark-dns,procps,python3"
)
PODMAN_CONF = """[containers]
default_ulimits = ["nofile=4096:4096", "nproc=20000:20000"]
log_driver = "k8s-file"
[engine]
events_logger = "file"
"""
DOCKERD = "dockerd -H unix://{sock} --data-root {dir}/data --exec-root {dir}/run --pidfile {dir}/pid"
PODMAN = (
    "env CONTAINERS_CONF={dir}/containers.conf PODMAN_IGNORE_CGROUPSV1_WARNING=1 podman --root {dir}/data "
    "--runroot {dir}/run --cgroup-manager cgroupfs system service --time 0 unix://{sock}"
)
WHERRY = (
    f"{sys.executable} -m wherry.daemon -H unix://{{sock}} --data-root {{dir}}/data --exec-root {{dir}}/run "
    "--cgroup-parent {parent}"
)


@dataclass(eq=False)
class Engine:
    """One engine: its file system, its command, and, once it runs, its socket and process."""

    name: str
    command: str
    root: Path = Path("/")
    folder: Path = Path()
    process: subprocess.Popen[bytes] | None = None
    connections: list[Connection] = field(default_factory=list)

    @property
    def socket(self) -> str:
        return str(self.folder / "api.sock")

    def connect(self) -> Connection:
        """A new connection to the engine."""
        return Connection(self.socket)

    def start(self, base: Path) -> float:
        """Start it and wait until it answers; seconds."""
        self.folder = base / self.name
        self.folder.mkdir()
        (self.folder / "containers.conf").write_text(PODMAN_CONF)
        command = self.command.format(sock=self.socket, dir=self.folder, parent=os.environ[PARENT])
        begin = time.perf_counter()
        with (base / f"{self.name}.log").open("wb") as log:
            self.process = subprocess.Popen(
                ["unshare", "--net", "--mount", "--propagation", "private", sys.executable, "-m", "benchmarks.enter",
                 str(self.root), str(self.folder), command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT,
                env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"},
            )  # fmt: skip
        while time.perf_counter() - begin < 60:
            try:
                connection = self.connect()
                connection.call("GET", "/_ping")
                connection.close()
                return time.perf_counter() - begin
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.02)
        tail = (base / f"{self.name}.log").read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{self.name} did not come up:\n{tail}")

    def memory(self) -> int:
        """Bytes of memory (PSS) of everything that is the engine's: its daemons and monitors, not its containers."""
        assert self.process is not None
        mine = os.stat(f"/proc/{self.process.pid}/ns/mnt").st_ino
        return sum(pss(int(p)) for p in os.listdir("/proc") if p.isdigit() and mount_namespace(p) == mine)

    def daemon_memory(self) -> int:
        """Bytes of memory (PSS) of the daemon process alone."""
        assert self.process is not None
        return pss(self.process.pid)


def mount_namespace(pid: str) -> int | None:
    try:
        return os.stat(f"/proc/{pid}/ns/mnt").st_ino
    except OSError:
        return None


def pss(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def peers_root(names: Sequence[str] | None) -> Path | None:
    """The folder with Debian sid's engines, made by debootstrap if need be; None where it cannot be made, or none of
    these names is a peer's."""
    if names is not None and set(names) <= {"wherry"}:
        return None
    if (SID / "usr/sbin/dockerd").exists():
        return SID
    mirror = debian_mirror()
    if mirror is None:
        return None
    print(f"making {SID} with Debian sid's engines (some minutes, once)", file=sys.stderr)
    command = ["unshare", "--mount", "--propagation", "private", "debootstrap", "--variant=minbase",
               f"--include={SID_PACKAGES}", "sid", str(SID), mirror]  # fmt: skip
    made = subprocess.run(command, stdout=sys.stderr)
    return SID if made.returncode == 0 else None


def known_engines(names: Sequence[str] | None) -> dict[str, Engine]:
    """The engines that can run here, by name; wherry first. Of these names, or all."""
    engines = [Engine("wherry", WHERRY)]
    sid = peers_root(names)
    if sid is not None:
        engines += [
            Engine("dockerd", f"{DOCKERD} --ip6tables=false", sid),
            Engine(
                "dockerd+crun",
                f"{DOCKERD} --ip6tables=false --add-runtime crun=/usr/bin/crun --default-runtime crun",
                sid,
            ),
            Engine("podman", PODMAN, sid),
        ]
    elif shutil.which("dockerd") and (names is None or "dockerd" in names):
        engines.append(Engine("dockerd", DOCKERD))
    return {engine.name: engine for engine in engines}
