"""What a command line itself costs: its processor time, wherry's and docker's in turns on the same engine, Wherry's."""

from __future__ import annotations

import compileall
import os
import sys
from collections.abc import Iterator, Sequence

from benchmarks.engines import ROOT, Engine
from tests.harness.daemon import docker_command

SCRIPT = str(ROOT / "buildsystem" / "bin" / "wherry")  # what is installed, but for its first line
VERBS: dict[str, list[str]] = {
    "client-help": ["--help"],
    "client-ps": ["ps"],
    "client-run": ["run", "--rm", "busybox", "true"],
    "client-exec": ["exec", "client-cpu", "true"],
}


def processor_time(command: Sequence[str], environment: dict[str, str]) -> float:
    """Milliseconds, in the kernel too, that a command takes of a processor. RuntimeError where it fails."""
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in range(3)]
    pid = os.posix_spawn(command[0], list(command), environment, file_actions=null)
    _, status, used = os.wait4(pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)}: exit {os.waitstatus_to_exitcode(status)}")
    return (used.ru_utime + used.ru_stime) * 1000


def client(engine: Engine) -> Iterator[dict[str, float]]:
    """One round is each verb by each command line; docker's values go to dockerd's column (``ROW@COLUMN``)."""
    docker = docker_command()
    if engine.name != "wherry" or docker is None:
        return
    compileall.compile_dir(ROOT / "src" / "wherry", quiet=1)  # as an installed package is
    host = f"unix://{engine.socket}"
    environment = {
        **os.environ, "DOCKER_HOST": host, "WHERRY_HOST": host, "DOCKER_CONFIG": str(engine.folder),
        "PYTHONPATH": str(ROOT / "src"),
    }  # fmt: skip
    api = engine.connect()
    body = {"Image": "busybox", "Cmd": ["sleep", "1000000"]}
    container = api.call("POST", "/containers/create?name=client-cpu", body)["Id"]
    api.call("POST", f"/containers/{container}/start")
    try:
        while True:
            values = {}
            for row, words in VERBS.items():
                values[row] = processor_time([sys.executable, SCRIPT, *words], environment)
                values[f"{row}@dockerd"] = processor_time([docker, *words], environment)
            yield values
    finally:
        api.call("DELETE", f"/containers/{container}?force=1")
