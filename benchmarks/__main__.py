"""``make bench``: start the engines side by side, measure, print the table, write it to docs/performance.md.

Everything runs in a pid, network and mount namespace of its own, with the engines' state on a tmpfs; when this
program ends, however it ends, so does all of it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from benchmarks import report
from benchmarks.bare import BareRuntime
from benchmarks.cases import CASES, Round
from benchmarks.engines import PARENT, Engine, known_engines, peers_root
from benchmarks.floor import Floor
from tests.harness import images

INSIDE = "WHERRY_BENCH_FOLDER"
Measured = Engine | BareRuntime | Floor


def case_names(text: str) -> list[str]:
    """Those that an option names."""
    names = text.split(",")
    if unknown := [name for name in names if name not in CASES]:
        raise argparse.ArgumentTypeError(f"no such case: {', '.join(unknown)} (there are {', '.join(CASES)})")
    return names


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    p.add_argument("--engines", help="names, separated by commas (default: all that can run here)")
    p.add_argument(
        "--cases",
        type=case_names,
        default=list(CASES),
        metavar="NAMES",
        help=f"names, separated by commas (default: all): {', '.join(CASES)}",
    )
    p.add_argument("--rounds", type=float, default=1.0, metavar="FACTOR", help="more or fewer rounds")
    p.add_argument("--write", action="store_true", help="write the table to docs/performance.md")
    return p


def enter_namespaces(names: list[str] | None) -> int:
    """Run this program again in namespaces that end with it, then remove what engines leave outside of them."""
    peers_root(names)
    with tempfile.TemporaryDirectory(prefix="whbench-", dir="/tmp") as folder:
        done = subprocess.run(
            ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
             "--propagation", "private", sys.executable, "-m", "benchmarks", *sys.argv[1:]],
            env={**os.environ, INSIDE: folder},
        )  # fmt: skip
        return done.returncode


def remove_cgroups(parent: str) -> None:
    """Engines leave empty folders in the cgroup hierarchies: remove ours, and the peers' where nobody uses them."""
    for at, _, _ in os.walk("/sys/fs/cgroup", topdown=False):
        theirs = ("/docker" in at or "/libpod" in at) and time.time() - os.stat(at).st_mtime > 60
        if theirs or f"/{parent}" in at:
            with suppress(OSError):
                os.rmdir(at)


def rounds_of(engine: Measured, case: str) -> Iterator[Round]:
    return CASES[case].case(engine) if isinstance(engine, Engine) else engine.rounds(case)


def turns_of(engine: Measured, case: str) -> int:
    """What is quick takes several turns in each round, so that there is a 99th percentile to speak of."""
    return CASES[case].turns if engine.name in ("wherry", Floor.name) else 1


def measure(engines: list[Measured], cases: list[str], factor: float) -> report.Results:
    """All cases; within a case the engines take turns, round by round."""
    results: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for name in cases:
        print(f"  {name} ", end="", file=sys.stderr, flush=True)
        running = {engine: rounds_of(engine, name) for engine in engines}
        for number in range(max(1, round(CASES[name].rounds * factor)) + CASES[name].warm):
            for engine, steps in list(running.items()):
                try:
                    taken = [next(steps, {}) for _ in range(turns_of(engine, name))]
                except Exception as error:
                    print(f"\n{engine.name}: {name} failed: {error}", file=sys.stderr)
                    del running[engine]
                    continue
                if number >= CASES[name].warm:
                    for key, value in (item for values in taken for item in values.items()):
                        row, _, column = key.partition("@")
                        results[row][column or engine.name].append(value)
            print(".", end="", file=sys.stderr, flush=True)
        for steps in running.values():
            if hasattr(steps, "close"):
                steps.close()
        print(file=sys.stderr)
    return results


def start_all(names: list[str] | None, base: Path) -> list[Measured]:
    """The engines asked for, and what they are held against: where wherry runs, the kernel alone."""
    archive = images.busybox_archive()
    started: list[Measured] = []
    for engine in known_engines(names).values():
        if names is None or engine.name in names:
            seconds = engine.start(base)
            print(f"{engine.name} answers after {seconds * 1000:.0f} ms", file=sys.stderr)
            engine.connect().call("POST", "/images/load?quiet=1", raw=archive)
            started.append(engine)
            if engine.name == "wherry":
                started.append(floor := Floor(engine))
                floor.start(base)
    if names is None or "crun" in names:
        bare = BareRuntime()
        bare.start(base)
        started.append(bare)
    return started


def names_of(args: argparse.Namespace) -> list[str] | None:
    """The engines asked for; None for all."""
    return args.engines.split(",") if args.engines else None


def run_inside(args: argparse.Namespace, base: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60%", "tmpfs", str(base)], check=True)
    names = names_of(args)
    engines = start_all(names, base)
    results = measure(engines, args.cases, args.rounds)
    text = f"{report.table(results, [e.name for e in engines])}\n\n{report.LEGEND} {report.machine(peers_root(names))}"
    print(text)
    if args.write:
        report.write(text)


def main() -> int:
    args = parser().parse_args()
    if INSIDE in os.environ:
        run_inside(args, Path(os.environ[INSIDE]))
        return 0
    os.environ[PARENT] = f"whbench-{os.getpid()}"
    try:
        return enter_namespaces(names_of(args))
    finally:
        remove_cgroups(os.environ[PARENT])


sys.exit(main())
