"""Containers that somebody tampers with, behind the engine's back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.harness.daemon import Daemon
from tests.harness.waiting import eventually

SLEEP = ("busybox", "sleep", "1000")
Drifts = list[dict[str, str]]


class Container:
    """A running container, and the ways in which somebody with root can tamper with it."""

    def __init__(self, daemon: Daemon, *arguments: str) -> None:
        self.daemon = daemon
        self.id = daemon.docker("run", "-d", *arguments).stdout.strip()

    @property
    def pid(self) -> int:
        return int(self.daemon.inspect(self.id)["State"]["Pid"])

    @property
    def address(self) -> str:
        return str(self.daemon.inspect(self.id)["NetworkSettings"]["Networks"]["bridge"]["IPAddress"])

    def explain(self) -> Any:
        answer = self.daemon.api("GET", f"/containers/{self.id}/explain")
        assert answer.status == 200, answer
        return answer.body

    def process(self, command: str) -> int:
        """The pid of a process of the container, once it runs this command."""

        def pids() -> list[int]:
            return [int(p["Pid"]) for p in self.explain()["Processes"] if p["Command"] == command]

        found = eventually(pids)
        assert found, f"no process {command!r} in {self.explain()['Processes']}"
        return found[0]

    def drift(self) -> Drifts:
        answer = self.daemon.api("GET", f"/containers/{self.id}/explain?check=1")
        assert answer.status == 200, answer
        (checked,) = answer.body
        assert checked["Id"] == self.id
        return list(checked["Drift"])

    def cgroup_file(self, name: str) -> Path:
        tops = Path("/sys/fs/cgroup")
        found = [*tops.glob(f"*/{self.daemon.sandbox.cgroup_parent}/{self.id}/{name}")]
        return next(iter(found), tops / self.daemon.sandbox.cgroup_parent / self.id / name)

    def inside(self, namespaces: str, command: str) -> str:
        """Run a command in some of its namespaces; the program comes from there too where the mounts do."""
        argv = ["nsenter", "-t", str(self.pid), namespaces, "--", "sh", "-c", command]
        return self.daemon.run_in_ns(argv).stdout
