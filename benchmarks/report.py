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

Results = Mapping[str, Mapping[str, Sequence[float]]]  # row, engine: values


def shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio(row: Row, ours: float, theirs: float) -> float:
    """How many times better ours is; below one it is worse."""
    if ours <= 0 or theirs <= 0:
        return 0.0
    return ours / theirs if row.more_is_better else theirs / ours


def table(results: Results, engines: Sequence[str]) -> str:
    """Medians by row and engine, and how many times better wherry is than dockerd and than the best peer."""
    peers = [e for e in engines if e != "wherry"]
    head = ["work", *engines, "unit", "× dockerd", "× best peer"]
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for key, row in ROWS.items():
        values = {e: median(v) for e, v in results.get(key, {}).items() if v}
        if not values:
            continue
        ratios = {
            e: ratio(row, values["wherry"], values[e]) for e in peers if e in values and "wherry" in values
        }
        cells = [shown(values[e]) if e in values else "" for e in engines]
        dockerd = f"{ratios['dockerd']:.1f}" if "dockerd" in ratios else ""
        best = f"{min(ratios.values()):.1f}" if ratios else ""
        lines.append("| " + " | ".join([row.title, *cells, row.unit, dockerd, best]) + " |")
    return "\n".join(lines)


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
