"""What is measured. A case is a generator over one engine: each step is one round, which yields values by row."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from isal import igzip

from benchmarks.client import ApiError, Connection, drain
from benchmarks.clients import client
from benchmarks.engines import Engine
from tests.harness import images
from tests.harness.daemon import docker_command

IMAGE = "busybox:latest"
LINES, LINE = 200_000, b"x" * 99 + b"\n"
FLEET, CLIENTS, MANY = 50, 8, 1000
ATTACH_BYTES = 512 << 20
IDLE = ["sleep", "1000000"]
OBEDIENT = ["sh", "-c", "trap 'exit 0' TERM; sleep 1000000 & wait"]

T = TypeVar("T")
Round = dict[str, float]
Case = Callable[[Engine], Iterator[Round]]


@dataclass(frozen=True)
class Row:
    """A line of the table: what it says, its unit, and whether more is better."""

    title: str
    unit: str = "ms"
    more_is_better: bool = False


ROWS = {
    "ping": Row("`/_ping`"),
    "inspect": Row("inspect one container"),
    "list": Row("list 50 containers"),
    "none": Row("create + start + wait + remove of `true`, no network"),
    "bridge": Row("the same on the bridge"),
    "port": Row("the same with a published port"),
    "wired": Row("the same on the bridge, namespace and veth pair made on the way"),
    "cli": Row("`docker run --rm busybox true` (docker's own command line)"),
    "client-help": Row("`wherry --help` beside `docker --help`", "ms CPU"),
    "client-ps": Row("`wherry ps` beside `docker ps`", "ms CPU"),
    "client-run": Row("`wherry run --rm busybox true` beside docker's", "ms CPU"),
    "client-exec": Row("`wherry exec C true` beside docker's", "ms CPU"),
    "exec": Row("exec of `true`: create + start to end of output"),
    "fleet": Row("create and start 50 containers, 8 clients"),
    "rate": Row("the same as a rate", "1/s", True),
    "many": Row("create and start 1,000 containers at once, none refused", "1/s", True),
    "stop": Row("stop 50 containers, 8 clients"),
    "remove": Row("remove 50 containers, 8 clients"),
    "memory": Row("engine's memory (PSS), just started", "MB"),
    "daemon50": Row("daemon's memory (PSS) with 50 containers", "MB"),
    "idle": Row("memory (PSS) per idle container beside its own process", "MB"),
    "print": Row("container prints 200,000 lines (20 MB), start to exit"),
    "logs": Row("fetch those logs"),
    "attach": Row("512 MiB of output through attach", "MB/s", True),
    "load": Row("load an image of 100 MB in 10,000 files, 4 gzip layers"),
}


def milliseconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1000


def timed(work: Callable[[], T]) -> tuple[float, T]:
    begin = time.perf_counter()
    result = work()
    return (time.perf_counter() - begin) * 1000, result


def create(api: Connection, command: list[str], **host: object) -> str:
    body = {"Image": IMAGE, "Cmd": command, "HostConfig": host}
    if "PortBindings" in host:
        body["ExposedPorts"] = {"80/tcp": {}}
    answer = api.call("POST", "/containers/create", body)
    return str(answer["Id"])


def started(api: Connection, command: list[str], **host: object) -> str:
    container = create(api, command, **host)
    api.call("POST", f"/containers/{container}/start")
    return container


def remove(api: Connection, container: str) -> None:
    api.call("DELETE", f"/containers/{container}?force=1")


def whole_life(api: Connection, host: dict[str, object]) -> None:
    container = started(api, ["true"], **host)
    code = api.call("POST", f"/containers/{container}/wait")["StatusCode"]
    if code != 0:
        raise ApiError(f"true exited with {code}")
    api.call("DELETE", f"/containers/{container}")


def ping(engine: Engine) -> Iterator[Round]:
    api = engine.connect()
    while True:
        yield {"ping": milliseconds(lambda: [api.call("GET", "/_ping") for _ in range(20)]) / 20}


def lives(engine: Engine) -> Iterator[Round]:
    """Whole lives, without a network, on the bridge, and with a port published."""
    api = engine.connect()
    hosts: dict[str, dict[str, object]] = {
        "none": {"NetworkMode": "none"},
        "bridge": {"NetworkMode": "bridge"},
        "port": {
            "NetworkMode": "bridge",
            "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]},
        },
    }
    while True:
        yield {row: milliseconds(partial(whole_life, api, host)) for row, host in hosts.items()}


def command_line(engine: Engine) -> Iterator[Round]:
    docker = docker_command()
    if docker is None:
        return
    environment = {
        **os.environ,
        "DOCKER_HOST": f"unix://{engine.socket}",
        "DOCKER_CONFIG": str(engine.folder),
    }
    argv = [docker, "run", "--rm", IMAGE, "true"]
    while True:
        yield {
            "cli": milliseconds(
                lambda: subprocess.run(argv, env=environment, check=True, capture_output=True)
            )
        }


def execs(engine: Engine) -> Iterator[Round]:
    api = engine.connect()
    container = started(api, IDLE)
    request = {"AttachStdout": True, "AttachStderr": True, "Cmd": ["true"]}

    def once() -> str:
        made = str(api.call("POST", f"/containers/{container}/exec", request)["Id"])
        drain(*api.hijack(f"/exec/{made}/start", {"Detach": False, "Tty": False}))
        return made

    try:
        while True:
            took, made = timed(once)
            left = api.call("GET", f"/exec/{made}/json")
            if left["ExitCode"] != 0:
                raise ApiError(f"exec of true: {left}")
            yield {"exec": took}
    finally:
        remove(api, container)


def together(engine: Engine, work: Callable[[Connection, str], T], items: list[str]) -> list[T]:
    """Do the work for all items, from eight clients with a connection each."""
    connections = [engine.connect() for _ in range(CLIENTS)]

    def one_client(number: int) -> list[T]:
        return [work(connections[number], item) for item in items[number::CLIENTS]]

    with ThreadPoolExecutor(CLIENTS) as pool:
        done = list(pool.map(one_client, range(CLIENTS)))
    for connection in connections:
        connection.close()
    return [result for results in done for result in results]


def settled_memory(engine: Engine) -> int:
    """The engine's memory once it does not change any more."""
    before = -1
    for _ in range(20):
        now = engine.memory()
        if abs(now - before) < 200_000:
            break
        before = now
        time.sleep(0.5)
    return now


def fleet(engine: Engine) -> Iterator[Round]:
    """Fifty containers: start, memory, list, stop, remove."""
    while True:
        yield one_fleet(engine, engine.connect())


def one_fleet(engine: Engine, api: Connection) -> Round:
    base = settled_memory(engine)
    start, ids = timed(lambda: together(engine, lambda a, _: started(a, OBEDIENT), [""] * FLEET))
    full, daemon = settled_memory(engine), engine.daemon_memory()
    inspect = sorted(milliseconds(lambda: api.call("GET", f"/containers/{ids[0]}/json")) for _ in range(99))[
        49
    ]
    listing = sorted(milliseconds(lambda: api.call("GET", "/containers/json")) for _ in range(9))[4]
    running = len(api.call("GET", "/containers/json"))
    if running != FLEET:
        raise ApiError(f"{engine.name}: {running} of {FLEET} containers run")
    stop = milliseconds(
        lambda: together(engine, lambda a, c: a.call("POST", f"/containers/{c}/stop?t=10"), ids)
    )
    gone = milliseconds(lambda: together(engine, lambda a, c: a.call("DELETE", f"/containers/{c}"), ids))
    return {
        "memory": base / 1e6, "idle": (full - base) / FLEET / 1e6, "daemon50": daemon / 1e6,
        "fleet": start, "rate": FLEET * 1000 / start, "inspect": inspect, "list": listing,
        "stop": stop, "remove": gone,
    }  # fmt: skip


def all_at_once(connections: list[Connection], method: str, paths: list[str], body: object) -> list[Any]:
    """One request on each connection, all of them sent before the first answer is read."""
    for connection, path in zip(connections, paths, strict=True):
        connection.send(method, path, body)
    return [connection.answer() for connection in connections]


def many(engine: Engine) -> Iterator[Round]:
    """A thousand containers, each by a client of its own. A start that is refused is an error here."""
    if engine.name != "wherry":  # with the others this takes minutes, and gigabytes
        return
    body = {"Image": IMAGE, "Cmd": IDLE}
    while True:
        connections = [engine.connect() for _ in range(MANY)]
        ids: list[str] = []

        def start(clients: list[Connection] = connections, ids: list[str] = ids) -> None:
            answers = all_at_once(clients, "POST", ["/containers/create"] * MANY, body)
            ids.extend(str(answer["Id"]) for answer in answers)
            all_at_once(clients, "POST", [f"/containers/{id}/start" for id in ids], None)

        took = milliseconds(start)
        together(engine, remove, ids)
        for connection in connections:
            connection.close()
        yield {"many": MANY * 1000 / took}


def run_to_end(api: Connection, container: str) -> None:
    api.call("POST", f"/containers/{container}/start")
    api.call("POST", f"/containers/{container}/wait")


def logs(engine: Engine) -> Iterator[Round]:
    """20 MB through the log, and back."""
    api = engine.connect()
    command = ["sh", "-c", f"yes {LINE.decode().strip()} | head -n {LINES}"]
    while True:
        container = create(api, command, NetworkMode="none")
        printed = milliseconds(partial(run_to_end, api, container))
        fetched, text = timed(partial(api.call, "GET", f"/containers/{container}/logs?stdout=1&stderr=1"))
        remove(api, container)
        if len(text) < LINES * len(LINE):
            raise ApiError(f"{engine.name}: only {len(text)} bytes of log came back")
        yield {"print": printed, "logs": fetched}


def attach(engine: Engine) -> Iterator[Round]:
    api, other = engine.connect(), engine.connect()
    command = ["dd", "if=/dev/zero", "bs=64k", f"count={ATTACH_BYTES >> 16}"]
    while True:
        container = create(api, command, NetworkMode="none", LogConfig={"Type": "none", "Config": {}})
        stream, first = other.hijack(f"/containers/{container}/attach?stream=1&stdout=1")
        begin = time.perf_counter()
        api.call("POST", f"/containers/{container}/start")
        total = drain(stream, first)
        seconds = time.perf_counter() - begin
        api.call("POST", f"/containers/{container}/wait")
        remove(api, container)
        if total < ATTACH_BYTES:
            raise ApiError(f"{engine.name}: only {total} bytes of {ATTACH_BYTES} came through attach")
        yield {"attach": ATTACH_BYTES / 1e6 / seconds}


def with_extra_file(layer: bytes, name: str) -> bytes:
    """The same tar with one more file, so that no engine knows the layer already."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        images.add_file(tar, name, name.encode())
    return out.getvalue()[:1024] + layer


class Archives:
    """The images to load: every round of every engine gets the same one, and every round another."""

    def __init__(self) -> None:
        self._layers: list[bytes] = []
        self._made: dict[int, bytes] = {}

    def get(self, number: int) -> bytes:
        if not self._layers:
            self._layers = [images.large_layer(n, 2_500, 25_000_000) for n in range(4)]
        if number not in self._made:
            packed = [igzip.compress(with_extra_file(layer, f"r{number}"), 2) for layer in self._layers]
            archive = images.docker_archive(packed, ["large:latest"], {"Cmd": ["/bin/true"]})
            self._made = {number: archive}
        return self._made[number]


ARCHIVES = Archives()


def load(engine: Engine) -> Iterator[Round]:
    api = engine.connect()
    number = 0
    while True:
        archive = ARCHIVES.get(number)
        number += 1
        yield {"load": milliseconds(partial(api.call, "POST", "/images/load?quiet=1", raw=archive))}
        with suppress(ApiError):
            api.call("DELETE", "/images/large:latest?force=1")


@dataclass(frozen=True)
class Plan:
    """How often a case is measured: rounds, turns of a quick engine in each, and rounds before that are not counted."""

    case: Case
    rounds: int
    turns: int = 1
    warm: int = 1


CASES = {
    "fleet": Plan(fleet, 3, warm=0),
    "ping": Plan(ping, 15, turns=7),
    "lives": Plan(lives, 15, turns=8),
    "cli": Plan(command_line, 10),
    "client": Plan(client, 30),
    "exec": Plan(execs, 20, turns=6),
    "many": Plan(many, 3, warm=0),
    "logs": Plan(logs, 5),
    "attach": Plan(attach, 7),
    "load": Plan(load, 4, warm=0),
}
