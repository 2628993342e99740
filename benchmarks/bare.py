"""A bare OCI runtime beside the engines: ``crun run`` of a prepared bundle, with no engine around it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.engines import PARENT, ROOT, SID
from tests.harness import images

# Runs beside crun, in its file system: each line of input is one run, each line of output its milliseconds.
LOOP = """
import subprocess, sys, time
for line in sys.stdin:
    begin = time.perf_counter()
    subprocess.run(["crun", "--cgroup-manager=cgroupfs", "run", "--bundle", sys.argv[1], "bare"], check=True,
                   stdin=subprocess.DEVNULL)
    print((time.perf_counter() - begin) * 1000, flush=True)
"""


def write_bundle(folder: Path) -> None:
    """A busybox bundle that runs ``true`` in the namespaces and with the mounts of ``crun spec``."""
    rootfs = folder / "bundle" / "rootfs"
    rootfs.mkdir(parents=True)
    subprocess.run(["tar", "-xf", "-", "-C", str(rootfs)], input=images.busybox_layer(), check=True)
    (folder / "loop.py").write_text(LOOP)


class BareRuntime:
    """``crun run``, from a resident process in a namespace of its own."""

    name = "bare crun run"

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def start(self, base: Path) -> None:
        folder = base / "crun"
        folder.mkdir()
        write_bundle(folder)
        self._write_script(folder)
        root = SID if (SID / "usr/bin/crun").exists() else Path("/")
        self._process = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", sys.executable, "-m", "benchmarks.enter",
             str(root), str(folder), f"sh {folder}/run.sh"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"},
        )  # fmt: skip

    @staticmethod
    def _write_script(folder: Path) -> None:
        change = "\n".join(
            [
                "import json",
                "c = json.load(open('config.json'))",
                "c['process'].update(args=['true'], terminal=False)",
                "c['process'].pop('rlimits', None)  # not every machine may raise them",
                f"c['linux']['cgroupsPath'] = '/{os.environ[PARENT]}/bare'",
                "json.dump(c, open('config.json', 'w'))",
            ]
        )
        (folder / "change.py").write_text(change)
        steps = ["set -e", f"cd {folder}/bundle", "crun spec", "python3 ../change.py"]
        (folder / "run.sh").write_text(
            "\n".join([*steps, f"exec python3 {folder}/loop.py {folder}/bundle\n"])
        )

    def rounds(self, case: str) -> Iterator[dict[str, float]]:
        """One run a round; it has no network but a loopback of its own."""
        if case != "lives":
            return
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        while True:
            process.stdin.write("\n")
            process.stdin.flush()
            value = float(process.stdout.readline())
            yield {"none": value, "bridge": value}
