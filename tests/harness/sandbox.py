"""A place for one engine: own network and mount namespace, own cgroups, an overlay over all that the machine has, a
tmpfs; gone without a trace afterwards."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parents[2]
CGROUPS = Path("/sys/fs/cgroup")


class Sandbox:
    """Namespaces held open by a keeper process. Nothing in them can send a packet off the machine: there is only ``lo``
    and what the engine adds. Nothing in them can change a file of the machine: writes go to an overlay.

    ``base`` is a short folder of this machine (unix sockets in it can be reached from outside), and the one that is the
    same inside; ``state`` is a tmpfs in it that exists inside only: use ``outside()`` to look into it.
    """

    def __init__(self) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="wherry-", dir="/tmp"))
        self.state = self.base / "state"
        self.cgroup_parent = f"whtest-{secrets.token_hex(4)}"
        self._keeper = subprocess.Popen(
            ["unshare", "--net", "--mount", "--uts", "--propagation", "private", sys.executable, "-m",
             "tests.harness.keeper", str(self.base), self.cgroup_parent],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        assert self._keeper.stdout is not None
        if self._keeper.stdout.readline() != "ready\n":
            self.close()
            raise RuntimeError("cannot make a sandbox: root, with namespaces and cgroups, is needed")
        self._first_mounts = set(self.mounts())

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End everything inside. Idempotent."""
        assert self._keeper.stdin is not None and self._keeper.stdout is not None
        if not self._keeper.stdin.closed:
            self._keeper.stdin.close()
            self._keeper.stdout.close()
            self._keeper.wait(timeout=60)

    def enter(self, command: Sequence[str | Path]) -> list[str]:
        """The command line that runs ``command`` inside."""
        return ["nsenter", "-t", str(self._keeper.pid), "--net", "--mount", "--uts", "--", *map(str, command)]

    def popen(self, command: Sequence[str | Path], **options: object) -> subprocess.Popen[bytes]:
        """Start a command inside. Its pid is the command's own: entering is an exec."""
        return subprocess.Popen(self.enter(command), **options)  # type: ignore[call-overload,no-any-return]

    def run(
        self,
        command: Sequence[str | Path] | str,
        *,
        check: bool = True,
        input: str | None = None,
        timeout: float = 60,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command (a string goes to the shell) inside and return its output as text."""
        argv = ["sh", "-c", command] if isinstance(command, str) else command
        return subprocess.run(
            self.enter(argv), check=check, input=input, timeout=timeout, text=True, capture_output=True,
            env={**os.environ, **(env or {})},
        )  # fmt: skip

    def outside(self, path: Path | str) -> Path:
        """The path by which a file inside the sandbox is seen from outside it."""
        return Path(f"/proc/{self._keeper.pid}/root{Path(path).absolute()}")

    def mounts(self) -> list[str]:
        """Mount points inside."""
        lines = Path(f"/proc/{self._keeper.pid}/mountinfo").read_text().splitlines()
        return [line.split()[4] for line in lines]

    def processes(self) -> dict[int, str]:
        """What runs in the sandbox, its containers included: pid to command line (or name)."""
        mine = self._namespace(self._keeper.pid)
        found = {p for p in map(int, filter(str.isdigit, os.listdir("/proc"))) if self._namespace(p) == mine}
        for folder in self.cgroups():
            try:
                found.update(map(int, (folder / "cgroup.procs").read_text().split()))
            except OSError:
                continue
        return {pid: command_line(pid) for pid in sorted(found - {self._keeper.pid})}

    @staticmethod
    def _namespace(pid: int) -> int | None:
        try:
            return os.stat(f"/proc/{pid}/ns/mnt").st_ino
        except OSError:
            return None

    def cgroups(self) -> list[Path]:
        """The sandbox's cgroup folders, in all hierarchies."""
        tops = [CGROUPS / self.cgroup_parent, *CGROUPS.glob(f"*/{self.cgroup_parent}")]
        return [Path(at) for top in tops if top.is_dir() for at, _, _ in os.walk(top)]

    def links(self) -> list[str]:
        """Network interfaces inside, ``lo`` left out."""
        listed = json.loads(self.run(["ip", "-j", "link"]).stdout or "[]")
        return [link["ifname"] for link in listed if link["ifname"] != "lo"]

    def tables(self) -> list[str]:
        """nftables tables inside."""
        return self.run(["nft", "list", "tables"]).stdout.splitlines()

    def leaks(self) -> list[str]:
        """What an engine left behind, one line each: processes, mounts, links, cgroups, tables."""
        return [
            *(f"process {pid}: {line}" for pid, line in self.processes().items()),
            *(f"mount {point}" for point in self.mounts() if point not in self._first_mounts),
            *(f"link {name}" for name in self.links()),
            *(f"cgroup {folder}" for folder in self.cgroups()),
            *(f"nft {table}" for table in self.tables()),
        ]


def command_line(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return (
            b" ".join(words).decode(errors="replace").strip() or Path(f"/proc/{pid}/comm").read_text().strip()
        )
    except OSError:
        return "(gone)"
