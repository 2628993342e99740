"""The files of native/ call one another as its README says."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path

from tests.native.probe import NATIVE

MONITOR = "monitor"
DEFINED, WANTED = "TDBRC", "U"


def rows() -> dict[str, list[str]]:
    """The README's table: row to files, uppermost first."""
    lines = re.findall(r"^\| (\w+) \| (`.*?`) \|", (NATIVE / "README.md").read_text(), re.M)
    return {row: re.findall(r"`(\w+)`", files) for row, files in lines}


def symbols(file: Path, folder: Path) -> list[tuple[str, str]]:
    """Kinds and names of what a file defines and what it wants from elsewhere."""
    compiled = folder / f"{file.stem}.o"
    subprocess.run(["gcc", "-c", f"-I{NATIVE}", file, "-o", compiled], check=True)
    listed = subprocess.run(["nm", compiled], capture_output=True, text=True, check=True).stdout
    return [(words[-2], words[-1]) for words in map(str.split, listed.splitlines())]


def calls(folder: Path) -> dict[str, set[str]]:
    found = {file.stem: symbols(file, folder) for file in NATIVE.glob("*.c")}
    home = {name: file for file, some in found.items() for kind, name in some if kind in DEFINED}
    return {
        file: {home[name] for kind, name in some if kind == WANTED and name in home}
        for file, some in found.items()
    }


def includes() -> dict[str, set[str]]:
    found = defaultdict(set)
    for file in NATIVE.glob("*.h"):
        found[file.name] |= set(re.findall(r'^#include "(.*)"', file.read_text(), re.M))
    return found


def assert_no_circle(graph: Mapping[str, set[str]]) -> None:
    TopologicalSorter(graph).prepare()  # CycleError names the circle


def test_every_file_has_a_row() -> None:
    assert sorted(file for files in rows().values() for file in files) == sorted(
        file.stem for file in NATIVE.glob("*.c")
    )


def test_files_call_downwards(tmp_path: Path) -> None:
    depth = {file: i for i, files in enumerate(rows().values()) for file in files}
    graph = calls(tmp_path)
    assert [f"{a} calls {b}" for a, some in graph.items() for b in some if depth[b] < depth[a]] == []
    own = set(rows()[MONITOR])
    assert_no_circle({file: some - own for file, some in graph.items()})


def test_headers_include_no_circle() -> None:
    assert_no_circle(includes())
