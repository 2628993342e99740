"""The launcher against crun, with the same container: spawn, started, exited, and all traces gone.

    python benchmarks/launch.py [ROUNDS]

Both get Docker's default container: new mount, pid, ipc, uts, net and cgroup namespaces, an overlay of one layer,
/proc /dev /sys and their kin, masks, read-only paths, cgroups and capabilities. ``crun run`` makes the overlay's
counterpart from a bind of a directory, which is less work. Times are medians in milliseconds.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tests.native.full_container import (  # noqa: E402
    CGROUPS,
    CONTROLLERS,
    DOCKER_CAPABILITIES,
    MASKED,
    READ_ONLY,
    Bundle,
    Wanted,
    container_plan,
    exec_plan,
)
from wherry.runtime.binary import launcher_path  # noqa: E402
from wherry.runtime.capabilities import names_of  # noqa: E402
from wherry.runtime.launcher import Launcher, Monitored  # noqa: E402
from wherry.runtime.steps import Fd, Namespace, Plan  # noqa: E402


def median(times: list[float]) -> str:
    return f"{statistics.median(times) * 1000:7.2f}"


async def ours(launcher: Launcher, plan: Plan, listen: Path, rounds: int) -> None:
    started, exited, gone = [], [], []
    for _ in range(rounds):
        began = time.perf_counter()
        monitored = await launcher.launch(plan, fds={}, listen_path=listen)
        started.append(time.perf_counter() - began)
        await monitored.exited
        exited.append(time.perf_counter() - began)
        await monitored.cleaned
        gone.append(time.perf_counter() - began)
    print(f"wherry  run true: started {median(started)}  exited {median(exited)}  all gone {median(gone)}")


async def our_execs(launcher: Launcher, bundle: Bundle, target: Monitored, rounds: int) -> None:
    started, exited = [], []
    pidfd = os.pidfd_open(target.init_pid)
    plan = exec_plan(bundle, Wanted())
    for _ in range(rounds):
        began = time.perf_counter()
        monitored = await launcher.launch(plan, fds={Fd.TARGET: pidfd}, listen_path=None)
        started.append(time.perf_counter() - began)
        await monitored.exited
        exited.append(time.perf_counter() - began)
    os.close(pidfd)
    print(f"wherry exec true: started {median(started)}  exited {median(exited)}")


def memory(pid: int) -> int:
    return int(Path(f"/proc/{pid}/smaps_rollup").read_text().split("\nPss:")[1].split()[0])


async def bench_ours(bundle: Bundle, rounds: int) -> None:
    launcher, listen = Launcher(launcher_path()), bundle.base / "monitor.sock"
    await ours(launcher, container_plan(bundle, Wanted()), listen, rounds)
    sleeper = container_plan(bundle, Wanted(argv=("sleep", "1000")))
    target = await launcher.launch(sleeper, fds={}, listen_path=listen)
    await our_execs(launcher, bundle, target, rounds)
    print(f"wherry monitor of an idle container: {memory(target.pid)} kB PSS")
    target.signal(9)
    await target.cleaned
    launcher.close()


def mount(target: str, kind: str, *options: str) -> dict[str, Any]:
    return {"destination": target, "type": kind, "source": kind, "options": list(options)}


def crun_config(bundle: Bundle) -> dict[str, Any]:
    """The same container as an OCI runtime bundle."""
    safe, capabilities = ("nosuid", "noexec", "nodev"), list(names_of(DOCKER_CAPABILITIES))
    return {
        "ociVersion": "1.0.2",
        "root": {"path": str(bundle.root)},
        "hostname": "wherry-test",
        "process": {
            "args": ["true"],
            "cwd": "/",
            "env": list(Wanted().env),
            "user": {"uid": 0, "gid": 0},
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), capabilities),
        },
        "mounts": [
            mount("/proc", "proc", *safe),
            mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
            mount(
                "/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"
            ),
            mount("/sys", "sysfs", *safe, "ro"),
            mount("/sys/fs/cgroup", "cgroup", *safe, "relatime", "ro"),
            mount("/dev/mqueue", "mqueue", *safe),
            mount("/dev/shm", "tmpfs", *safe, "mode=1777", "size=67108864"),
        ],
        "linux": {
            "cgroupsPath": f"/{bundle.name}/crun",
            "namespaces": [{"type": t} for t in ("mount", "pid", "ipc", "uts", "network", "cgroup")],
            "maskedPaths": list(MASKED),
            "readonlyPaths": list(READ_ONLY),
        },
    }


def bench_crun(bundle: Bundle, rounds: int) -> None:
    if not shutil.which("crun"):
        print("crun is not here: nothing to compare with")
        return
    folder, times = bundle.base / "crun", []
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(crun_config(bundle)))
    state = bundle.base / "crun-state"
    for number in range(rounds):
        command = ["crun", f"--root={state}", "run", f"--bundle={folder}", f"{bundle.name}-{number}"]
        began = time.perf_counter()
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        times.append(time.perf_counter() - began)
    for name in (f"{bundle.name}/crun", bundle.name):  # controllers that only crun enters
        if (CGROUPS / "cpuset" / name).exists():
            (CGROUPS / "cpuset" / name).rmdir()
    print(f"crun    run true:                              all gone {median(times)}")


def enter_namespaces() -> None:
    """A mount and network namespace of our own. crun does not run beside a mounted, empty cgroup v2 hierarchy."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(int(Namespace.MOUNT | Namespace.NET)) != 0:
        raise OSError(ctypes.get_errno(), "unshare: this needs root")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    own = tempfile.mkdtemp(prefix="wherry-bench-")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", own], check=True)
    for controller in ("cpuset", *CONTROLLERS):
        Path(own, controller).mkdir()
        subprocess.run(["mount", "--bind", CGROUPS / controller, f"{own}/{controller}"], check=True)
    subprocess.run(["mount", "--rbind", own, CGROUPS], check=True)
    subprocess.run(["umount", "-R", own], check=True)
    os.rmdir(own)


def main() -> None:
    enter_namespaces()
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="wherry-bench-", dir=parent) as base:
        bundle = Bundle.make(Path(base))
        try:
            asyncio.run(bench_ours(bundle, rounds))
            bench_crun(bundle, rounds)
        finally:
            bundle.remove()


if __name__ == "__main__":
    main()
