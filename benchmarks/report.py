"""The table of a run, for the terminal and for ``docs/performance.md``."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks.cases import ROWS, Row

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
MARKS = ("<!-- results: written by `make bench` -->", "<!-- end of results -->")

FLOOR = "the kernel alone"
LEGEND = "Medians; p99 is wherry's, of fewer than a hundred rounds the worst."
Results = Mapping[str, Mapping[str, Sequence[float]]]  # row, engine: values


def shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio(row: Row, ours: float, theirs: float) -> float:
    """How many times better ours is; below one it is worse."""
    if ours <= 0 or theirs <= 0:
        return 0.0
    return ours / theirs if row.more_is_better else theirs / ours


def late(values: Sequence[float]) -> float:
    """The 99th percentile; of fewer than a hundred values, the worst."""
    return sorted(values)[int(len(values) * 0.99)]


def times(value: float) -> str:
    return f"{value:.1f}" if value else ""


def table(results: Results, engines: Sequence[str]) -> str:
    """Medians by row and engine, wherry's 99th percentile, and wherry beside the floor and the peers."""
    head = ["work", *engines, "unit", "p99", "p99 ÷ median", "× floor", "× dockerd", "× best peer"]
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for key, row in ROWS.items():
        values = {e: median(v) for e, v in results.get(key, {}).items() if v}
        if not values:
            continue
        cells = [shown(values[e]) if e in values else "" for e in engines]
        last = judged(row, values, results[key].get("wherry", ()))
        lines.append("| " + " | ".join([row.title, *cells, row.unit, *last]) + " |")
    return "\n".join(lines)


def judged(row: Row, values: Mapping[str, float], ours: Sequence[float]) -> list[str]:
    """The last cells: wherry's p99, that beside its median, and its median beside the others'."""
    if not ours or not values["wherry"]:
        return [""] * 5
    peers = {e: ratio(row, values["wherry"], v) for e, v in values.items() if e not in ("wherry", FLOOR)}
    spread = [] if row.more_is_better else [shown(late(ours)), f"{late(ours) / values['wherry']:.1f}"]
    return [
        *(spread or ["", ""]),
        times(values["wherry"] / values[FLOOR] if values.get(FLOOR) else 0),
        times(peers.get("dockerd", 0)),
        times(min(peers.values(), default=0)),
    ]


def package_version(root: Path, name: str) -> str:
    """A peer's version as Debian's package database in its root has it."""
    query = ["dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f=${Version}", name]
    return f"{name} {subprocess.run(query, capture_output=True, text=True, check=False).stdout or '?'}"


def machine(root: Path | None) -> str:
    """One line on where it ran and which peers it ran beside."""
    cgroups = "v2" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "v1"
    line = (
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, Linux {platform.release()}, cgroup {cgroups}, "
        f"Python {platform.python_version()}"
    )
    if root is None:
        return line + "."
    peers = [package_version(root, name) for name in ("docker.io", "podman", "runc", "crun")]
    return f"{line}; peers: {', '.join(peers)}."


def write(text: str, page: Path = PAGE) -> None:
    """Put the table between the page's marks."""
    before = page.read_text()
    pattern = re.compile(re.escape(MARKS[0]) + ".*" + re.escape(MARKS[1]), re.DOTALL)
    if not pattern.search(before):
        raise SystemExit(f"{page} has no place for results ({MARKS[0]})")
    page.write_text(pattern.sub(lambda _: f"{MARKS[0]}\n\n{text}\n\n{MARKS[1]}", before))
