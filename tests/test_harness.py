"""The sandbox itself: it isolates, and it leaves nothing, even when its maker is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.harness.sandbox import CGROUPS, Sandbox

ROOT = Path(__file__).resolve().parents[1]
HIERARCHY = next((f for f in (CGROUPS / "pids", CGROUPS) if f.is_dir()), CGROUPS)
MAKER = """
from tests.harness.sandbox import Sandbox
box = Sandbox()
box.popen(["sleep", "1000"])
print(box.base, box.cgroup_parent, box._keeper.pid, flush=True)
import time; time.sleep(1000)
"""


def test_sandbox_has_no_way_out_and_goes_without_a_trace() -> None:
    with Sandbox() as box:
        assert box.links() == []
        assert box.run("ip route").stdout == ""
        assert box.leaks() == []
        sleeper = box.popen(["sleep", "1000"])
        box.run("ip link add wherry9 type bridge; nft add table inet wherry9")
        cgroup = HIERARCHY / box.cgroup_parent
        cgroup.mkdir()
        kinds = {line.split()[0] for line in box.leaks()}
        assert kinds == {"process", "link", "cgroup", "nft"}
    assert sleeper.wait(timeout=10) == -signal.SIGKILL
    assert not cgroup.exists()
    assert not box.base.exists()


def test_sandbox_goes_when_its_maker_is_killed() -> None:
    maker = subprocess.Popen([sys.executable, "-c", MAKER], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert maker.stdout is not None
    base, _, keeper = maker.stdout.readline().split()
    maker.kill()
    maker.wait()
    deadline = time.monotonic() + 20
    while (Path(base).exists() or Path(f"/proc/{keeper}").exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(base).exists()
    assert not os.path.exists(f"/proc/{keeper}")
    maker.stdout.close()
