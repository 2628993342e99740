"""``python -m benchmarks.explain``: what dry runs and explaining cost, and what it costs those beside it.

With 50 containers that run: ``explain`` of one and ``check`` of all through the API; then the start of a container
on the bridge, alone and while another client asks for one explanation after the other. Both kinds of start take
turns, so that what the machine does meanwhile falls on both.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from statistics import median, quantiles

from benchmarks.client import Connection
from tests.harness import images
from tests.harness.daemon import Daemon

CONTAINERS = 50
EXPLAINS, CHECKS, STARTS, TURNS = 100, 30, 15, 12
GOALS = {"dry run": 5.0, "explain": 30.0, "check": 500.0, "slower": 1.1}
ASKER = """
import sys, time
from itertools import cycle
from benchmarks.client import Connection
connection = Connection(sys.argv[1])
for id in cycle(sys.argv[2:]):
    begin = time.perf_counter()
    connection.call("GET", f"/containers/{id}/explain")
    print((time.perf_counter() - begin) * 1000, flush=True)
"""


def create(connection: Connection, command: list[str], **host: object) -> str:
    body = {"Image": "busybox", "Cmd": command, "HostConfig": host}
    return str(connection.call("POST", "/containers/create", body)["Id"])


def run_many(connection: Connection) -> list[str]:
    """Containers as they are: a limit here, a published port there."""
    ids = []
    for number in range(CONTAINERS):
        ports = {"80/tcp": [{"HostPort": str(20000 + number)}]} if number % 5 == 0 else {}
        id = create(connection, ["sleep", "100000"], Memory=64 << 20, PidsLimit=50, PortBindings=ports)
        connection.call("POST", f"/containers/{id}/start")
        ids.append(id)
    return ids


def milliseconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1000


def start_once(connection: Connection) -> dict[str, float]:
    """The start alone, and the whole life around it."""
    whole = time.perf_counter()
    id = create(connection, ["true"])
    took = milliseconds(lambda: connection.call("POST", f"/containers/{id}/start"))
    connection.call("POST", f"/containers/{id}/wait")
    connection.call("DELETE", f"/containers/{id}")
    return {"start": took, "life": (time.perf_counter() - whole) * 1000}


@contextmanager
def asking(socket: str, ids: list[str], answers: list[float]) -> Iterator[None]:
    """Another client that asks for explanations without a pause. What each took goes to ``answers``."""
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen([sys.executable, "-c", ASKER, socket, *ids], stdout=told)
        time.sleep(0.3)
        try:
            told.truncate(0)
            yield
        finally:
            assert process.poll() is None, "the asking client ended early"
            process.terminate()
            process.wait()
            told.seek(0)
            answers += [float(line.strip("\0")) for line in told.read().splitlines()]


def show(what: str, times: list[float], goal: float | None = None) -> None:
    last = quantiles(times, n=20)[-1]
    told = f"   (goal: {goal:.0f})" if goal is not None else ""
    print(f"{what:<58}{median(times):>8.1f} ms, 95 % within {last:.1f}{told}")


def measure_answers(connection: Connection, ids: list[str]) -> None:
    body = {"Image": "busybox", "Cmd": ["true"]}
    dry = [
        milliseconds(lambda: connection.call("POST", "/containers/create?dryRun=1", body))
        for _ in range(EXPLAINS)
    ]
    show("dry run of true", dry, GOALS["dry run"])
    explains = [
        milliseconds(lambda id=id: connection.call("GET", f"/containers/{id}/explain"))  # type: ignore[misc]
        for id in islice(cycle(ids), EXPLAINS)
    ]
    show(f"explain one of {len(ids)} containers", explains, GOALS["explain"])
    checks = [milliseconds(lambda: connection.call("GET", "/explain?check=1")) for _ in range(CHECKS)]
    show(f"check all {len(ids)}", checks, GOALS["check"])
    answer = connection.call("GET", "/explain?check=1")
    found = sum(len(checked["Drift"]) for checked in answer)
    print(f"{'differences found where there is none':<58}{found:>8}")


def measure_starts(connection: Connection, socket: str, ids: list[str]) -> None:
    alone, beside, answers = [], [], list[float]()
    for _ in range(TURNS):
        alone += [start_once(connection) for _ in range(STARTS)]
        with asking(socket, ids, answers):
            beside += [start_once(connection) for _ in range(STARTS)]
    for what, words in (("start", "start on the bridge"), ("life", "create, start, wait, remove")):
        quiet, busy = [t[what] for t in alone], [t[what] for t in beside]
        show(words, quiet)
        show(f"{words}, explanations going on", busy)
        slower = median(busy) / median(quiet)
        print(f"{'':<58}{slower:>8.2f} times   (goal: {GOALS['slower']})")
    show("explain one, starts going on (it lets them go first)", answers)


def main() -> None:
    daemon = Daemon()
    try:
        daemon.start()
        daemon.load(images.busybox_archive())
        connection = Connection(str(daemon.socket))
        ids = run_many(connection)
        measure_answers(connection, ids)
        measure_starts(connection, str(daemon.socket), ids)
        daemon.remove_containers()
        daemon.stop()
    finally:
        daemon.close()


if __name__ == "__main__":
    main()
