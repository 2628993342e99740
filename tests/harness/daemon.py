"""A real wherryd in a sandbox, with the clients that talk to it."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import quote

from tests.harness.sandbox import Sandbox
from tests.harness.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
WHERRY = "import sys; from wherry.cli.main import main; sys.exit(main())"
TOOLS = ROOT / ".venv" / "tools"

Finished = subprocess.CompletedProcess[str]


class Answer(NamedTuple):
    """An API answer: status, and the body as JSON where it is JSON, else as text."""

    status: int
    body: Any


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout: float = 60) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def docker_command() -> str | None:
    """The docker command line: the machine's, or the one that ``make setup`` fetched."""
    return shutil.which("docker") or shutil.which("docker", path=str(TOOLS))


def decoded(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")


class Daemon:
    """One wherryd with its own roots, bridge, table and cgroups, inside a sandbox of its own."""

    def __init__(self, options: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> None:
        self.sandbox = Sandbox()
        self.base = self.sandbox.base
        self.socket = self.base / "api.sock"
        self.data_root = self.sandbox.state / "data"
        self.exec_root = self.sandbox.state / "run"
        self.log = self.base / "wherryd.log"
        self.options = list(options)
        self.under: list[str] = []  # what starts the daemon in its turn
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    # its life

    def start(self, wait: bool = True) -> Daemon:
        """Start the daemon, the first time or again on what an earlier one left; return when it answers."""
        command = [
            *self.under, sys.executable, "-m", "wherry.daemon", "-H", f"unix://{self.socket}",
            "--data-root", str(self.data_root), "--exec-root", str(self.exec_root),
            "--cgroup-parent", self.sandbox.cgroup_parent, *self.options,
        ]  # fmt: skip
        with self.log.open("ab") as log:
            self._process = self.sandbox.popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment
            )
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds: float = 30) -> None:
        """Return when the daemon answers a ping; RuntimeError with its log's end if it ends or does not."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.api("GET", "/_ping", timeout=5).status == 200:
                    return
            except OSError:
                time.sleep(0.01)
        raise RuntimeError(f"wherryd did not come up (exit {self.process.poll()}):\n{self.log_tail()}")

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the daemon was not started"
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @contextmanager
    def with_image(self, archive: bytes) -> Iterator[Self]:
        """Running, with an image; afterwards nothing of it is left."""
        try:
            self.start()
            self.load(archive)
            yield self
        finally:
            self.close()

    def kill9(self) -> None:
        """SIGKILL, as a crash would be."""
        self.process.kill()
        self.process.wait()

    def stop(self, timeout: float = 30) -> int:
        """SIGTERM; the daemon's exit code."""
        self.process.terminate()
        return self.process.wait(timeout=timeout)

    def restart(self) -> Daemon:
        if self.running:
            self.stop()
        return self.start()

    def close(self) -> None:
        """End the daemon and whatever it left. Idempotent."""
        if self.running:
            self.kill9()
        self.sandbox.close()

    def log_tail(self, lines: int = 40) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    # its clients

    def client_environment(self) -> dict[str, str]:
        """What a client needs to reach this daemon and no other, with a configuration folder of its own."""
        config = self.base / "client"
        config.mkdir(exist_ok=True)
        host = f"unix://{self.socket}"
        return {**self._environment, "DOCKER_HOST": host, "WHERRY_HOST": host, "DOCKER_CONFIG": str(config)}

    def docker_argv(self, *arguments: str | Path) -> list[str]:
        command = docker_command()
        assert command is not None, "no docker command line: run `make setup`"
        return [command, *map(str, arguments)]

    def wherry_argv(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-c", WHERRY, *map(str, arguments)]

    def docker(
        self, *arguments: str | Path, check: bool = True, input: str | None = None, timeout: float = 60
    ) -> Finished:
        """Run the unmodified docker command line against this daemon."""
        return self._client(self.docker_argv(*arguments), check, input, timeout)

    def docker_popen(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """The same, not waited for."""
        return subprocess.Popen(
            self.docker_argv(*arguments), env=self.client_environment(), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def wherry(
        self, *arguments: str | Path, check: bool = True, input: str | None = None, timeout: float = 60
    ) -> Finished:
        """Run wherry's own command line against this daemon."""
        return self._client(self.wherry_argv(*arguments), check, input, timeout)

    def _client(self, argv: list[str], check: bool, input: str | None, timeout: float) -> Finished:
        done = subprocess.run(
            argv, env=self.client_environment(), input=input, timeout=timeout, text=True, capture_output=True,
            stdin=subprocess.DEVNULL if input is None else None,
        )  # fmt: skip
        if check and done.returncode != 0:
            said = f"{done.stdout}{done.stderr}\n--- wherryd:\n{self.log_tail(15)}"
            raise AssertionError(f"{' '.join(argv[1:])}: exit {done.returncode}\n{said}")
        return done

    def api(
        self, method: str, path: str, body: object = None, *, raw: bytes | None = None, timeout: float = 60
    ) -> Answer:
        """One API request: ``body`` goes as JSON, ``raw`` as a tar."""
        connection = UnixConnection(self.socket, timeout)
        headers = {"Content-Type": "application/x-tar" if raw is not None else "application/json"}
        try:
            payload = raw if raw is not None else None if body is None else json.dumps(body)
            connection.request(method, quote(path, safe='/?&=:,%{}"[]'), payload, headers)
            reply = connection.getresponse()
            return Answer(reply.status, decoded(reply.read()))
        finally:
            connection.close()

    def load(self, archive: bytes) -> None:
        """``docker load`` of an archive in memory."""
        answer = self.api("POST", "/images/load?quiet=1", raw=archive)
        assert answer.status == 200 and "error" not in str(answer.body), answer

    def run_in_ns(self, command: Sequence[str | Path] | str, **options: Any) -> Finished:
        """Run a command in the daemon's network and mount namespaces, such as curl on a published port."""
        return self.sandbox.run(command, **options)

    def inspect(self, container: str) -> Any:
        answer = self.api("GET", f"/containers/{container}/json")
        assert answer.status == 200, answer
        return answer.body

    def remove_containers(self) -> None:
        """Remove all containers, running ones too."""
        for container in self.api("GET", "/containers/json?all=1").body:
            self.api("DELETE", f"/containers/{container['Id']}?force=1&v=1")

    # what it leaves

    def directories(self) -> list[str]:
        """Per-container folders that are still in the data and exec roots (the bin for those that go is one)."""
        containers = self.data_root / "containers"
        folders = [containers, containers / ".trash", self.exec_root / "containers"]
        return [str(f) for folder in folders for f in sorted(self.sandbox.outside(folder).glob("[!.]*"))]

    def leaks(self, seconds: float = 5) -> list[str]:
        """What is left once all containers are removed and the daemon is stopped.

        Whatever is on its way out (kernel objects go in batches) has ``seconds`` to go.
        """
        eventually(lambda: not self._left(), seconds)
        return self._left()

    def _left(self) -> list[str]:
        return [*self.sandbox.leaks(), *(f"directory {d}" for d in self.directories())]
