"""What the launcher does is what the plan says, and all of what it says: checked against strace, both ways."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.harness.daemon import Daemon
from tests.truth.signatures import CONDITIONAL, LATER, accepts, is_look, is_own_business, looked_at
from tests.truth.trace import Call, Tracer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
]

SLEEP = {"Image": "busybox", "Cmd": ["sleep", "60"]}
NOBODY = "65534:65534"


def host(**fields: Any) -> dict[str, Any]:
    return {**SLEEP, "HostConfig": fields}


CONTAINERS: Mapping[str, dict[str, Any]] = {
    "default": SLEEP,
    "no network": host(NetworkMode="none"),
    "host network": host(NetworkMode="host"),
    "privileged": host(Privileged=True),
    "read-only": host(ReadonlyRootfs=True, Tmpfs={"/tmp": "size=1m"}),
    "binds": host(Binds=["/usr/share:/data:ro"], Mounts=[{"Type": "tmpfs", "Target": "/scratch"}]),
    "limits": host(Memory=64 << 20, NanoCpus=500_000_000, PidsLimit=50, CpuShares=512, OomScoreAdj=500),
    "ports": host(PortBindings={"80/tcp": [{"HostPort": "18080"}]}),
    "rights": host(CapDrop=["ALL"], CapAdd=["CHOWN"], SecurityOpt=["no-new-privileges"]),
    "unconfined": host(SecurityOpt=["seccomp=unconfined"], CapAdd=["SYS_ADMIN"]),
    "terminal": {**SLEEP, "Tty": True, "OpenStdin": True},
    "user and directory": {
        **SLEEP,
        "User": NOBODY,
        "WorkingDir": "/new/place",
        "Hostname": "box",
        "Domainname": "test",
    },
    "init and limits of processes": host(Init=True, Ulimits=[{"Name": "nofile", "Soft": 64, "Hard": 64}]),
    "sysctl and pid of the host": host(PidMode="host", Sysctls={"net.ipv4.ip_forward": "0"}),
}


def plan_of(daemon: Daemon, name: str) -> list[dict[str, Any]]:
    answer = daemon.api("GET", f"/containers/{name}/plan")
    assert answer.status == 200, answer
    return [step for step in answer.body["Steps"] if step["Phase"] != "engine"]


def align(steps: list[dict[str, Any]], calls: list[Call]) -> tuple[list[str], set[int]]:
    """Give each call to the current step or, in order, a later one. Returns the calls that no step explains,
    and the numbers of the steps that were seen."""
    at, strange = 0, []
    seen: set[int] = set()
    for call in calls:
        if is_own_business(call, begun=bool(seen)):
            continue
        for i in range(at, len(steps)):
            name, arguments, number = steps[i]["Name"], steps[i]["Arguments"], steps[i]["Number"]
            if name in CONDITIONAL and looked_at(arguments[CONDITIONAL[name]], call):
                seen.add(number)
            if accepts(name, arguments, call):
                seen.add(number)
                at = i
                break
        else:
            if not is_look(call) and not call.failed:
                strange.append(str(call))
    return strange, seen


def relevant(call: Call) -> bool:
    """Writes count where they change the kernel or the host: not those to sockets and pipes."""
    if call.name in ("write", "pwrite64"):
        return "</" in call.args.split(",", 1)[0]
    return True


def until_exec(calls: list[Call]) -> list[Call]:
    """Up to and with the exec that succeeds: what follows is the container's own."""
    end = next(i for i, c in enumerate(calls) if c.name == "execve" and not c.failed)
    return calls[: end + 1]


def until_clone(calls: list[Call]) -> list[Call]:
    end = next(i for i, c in enumerate(calls) if c.name in ("clone3", "clone") and not c.failed)
    return calls[: end + 1]


@pytest.mark.parametrize("kind", CONTAINERS)
def test_the_launcher_does_what_the_plan_says_and_nothing_else(
    daemon: Daemon, tmp_path: Path, kind: str
) -> None:
    created = daemon.api("POST", "/containers/create?name=truth", CONTAINERS[kind])
    assert created.status == 201, created
    with Tracer(daemon.pid, tmp_path / "trace") as tracer:
        assert daemon.api("POST", "/containers/truth/start").status == 204
        steps = plan_of(daemon, "truth")
    monitor, child = tracer.launch()
    calls = [c for c in [*until_clone(monitor), *until_exec(child)] if relevant(c)]
    strange, seen = align(steps, calls)
    assert not strange, f"{len(strange)} calls that no step explains"
    unseen = [s["Text"] for s in steps if s["Number"] not in seen and s["Name"] not in LATER]
    assert not unseen, f"{len(unseen)} steps that were not seen"


def test_what_the_monitor_does_at_the_end_is_in_the_plan(daemon: Daemon, tmp_path: Path) -> None:
    body = {"Image": "busybox", "Cmd": ["echo", "one line"], "HostConfig": {"NetworkMode": "none"}}
    created = daemon.api("POST", "/containers/create?name=truth", body)
    assert created.status == 201, created
    steps = plan_of(daemon, "truth")
    with Tracer(daemon.pid, tmp_path / "trace") as tracer:
        assert daemon.api("POST", "/containers/truth/start").status == 204
        assert daemon.api("POST", "/containers/truth/wait").status == 200
    monitor, _ = tracer.launch()
    after = [str(c) for c in monitor[len(until_clone(monitor)) :] if relevant(c) and not c.failed]
    arguments = {s["Name"]: s["Arguments"] for s in steps}
    exit_file, log = arguments["monitor"]["exit_file"], arguments["log"]["path"]
    assert any(c.startswith("rename") and f'"{exit_file}"' in c for c in after)
    assert any(f"<{log}>" in c and "one line" in c for c in after)
    made = [s["Arguments"]["path"] for s in steps if s["Name"] == "cgroup-create"]
    removed = [c for c in after if c.startswith(("rmdir", "unlinkat"))]
    assert made and all(
        any(f'"{path}"' in c or path.rpartition("/")[2] in c for c in removed) for path in made
    )
    known = (exit_file, log, "oom_control", "/sys/fs/cgroup/", '"/dev/null"')
    strange = [
        c
        for c in after
        if c.startswith(("open", "write", "rename", "unlink", "mkdir")) and not any(k in c for k in known)
    ]
    assert not [c for c in strange if "O_CREAT" in c or c.startswith(("write", "rename", "unlink", "mkdir"))]
