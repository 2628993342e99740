"""The engine's own steps: each is there when it should be, and gone when it should be; and the engine changes nothing
on the host at a start that no step of the plan says."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import wherry.engine.preparation.planned  # noqa: F401 - every kind
from tests.harness.daemon import Daemon
from tests.truth.trace import TRACED, Call, Tracer, parse
from wherry.engine.preparation.step import EngineStep, Moment
from wherry.runtime.steps import KINDS

Step = Mapping[str, Any]
Look = Callable[[Daemon, Mapping[str, Any]], bool]
SLEEP = {"Image": "busybox", "Cmd": ["sleep", "60"]}


def inside(daemon: Daemon, path: str) -> bool:
    return daemon.run_in_ns(["test", "-e", path], check=False).returncode == 0


SQL = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); print(db.execute(sys.argv[2]).fetchall()); db.commit()"


def sql(daemon: Daemon, args: Step, statement: str) -> str:
    return daemon.run_in_ns([sys.executable, "-c", SQL, args["database"], statement]).stdout


def recorded(daemon: Daemon, args: Step) -> bool:
    return sql(daemon, args, "SELECT 1 FROM containers WHERE name = 'truth'") == "[(1,)]\n"


def published(daemon: Daemon, args: Step) -> bool:
    found = daemon.run_in_ns(
        "nft list map ip wherry published_any; nft list map ip wherry published", check=False
    )
    return f"{args['proto']} . {args['host_port']} " in found.stdout if args["host_port"] else False


def plugged(daemon: Daemon, args: Step) -> bool:
    if not args["inside"]:  # no network: a namespace that is neither the host's nor another's
        state = daemon.inspect("truth")["State"] if in_store(daemon) else {"Pid": 0}
        return bool(state["Pid"]) and not same_namespace("net", state["Pid"], daemon.pid)
    return bool(args["interface"]) and args["interface"] in daemon.sandbox.links()


def joined(daemon: Daemon, args: Step) -> bool:
    state = daemon.inspect("truth")["State"] if in_store(daemon) else {"Pid": 0}
    other = daemon.inspect(args["container"])["State"]["Pid"]
    return bool(state["Pid"]) and same_namespace(args["kind"], state["Pid"], other)


def shared(daemon: Daemon, args: Step) -> bool:
    state = daemon.inspect("truth")["State"] if in_store(daemon) else {"Pid": 0}
    return bool(state["Pid"]) and same_namespace(args["kind"], state["Pid"], daemon.pid)


def same_namespace(kind: str, first: int, second: int) -> bool:
    file = {"network": "net"}.get(kind, kind)
    return os.readlink(f"/proc/{first}/ns/{file}") == os.readlink(f"/proc/{second}/ns/{file}")


def in_store(daemon: Daemon) -> bool:
    return daemon.api("GET", "/containers/truth/json").status == 200


# How each kind is looked for from outside of the engine. "left-out" is of what is not done, "policy" of what is done
# later, "missing-network" of what is not there: there is nothing to find.
LOOKS: dict[str, Look | None] = {
    "writable-layer": lambda daemon, args: inside(daemon, args["upper"]) and inside(daemon, args["work"]),
    "record": recorded,
    "runtime-directory": lambda daemon, args: inside(daemon, args["path"]),
    "parent-cgroup": lambda daemon, args: any(Path("/sys/fs/cgroup").glob(f"*/{args['path']}")),
    "endpoint": plugged,
    "publish-port": published,
    "open-namespace": joined,
    "shared-memory": lambda daemon, args: args["path"] in daemon.sandbox.mounts(),
    "share-with-host": shared,
    "left-out": None,
    "policy": None,
    "missing-network": None,
}
STAYS = ("parent-cgroup",)  # others are in it, or about to be


def engine_kinds() -> dict[str, type[EngineStep]]:
    return {name: kind for name, kind in KINDS.items() if issubclass(kind, EngineStep)}


def test_every_kind_of_engine_step_is_looked_for() -> None:
    assert set(LOOKS) == set(engine_kinds())


CONTAINERS: Mapping[str, dict[str, Any]] = {
    "on a network": {},
    "with ports": {"PortBindings": {"80/tcp": [{"HostPort": "8080"}], "53/udp": [{"HostIp": "127.0.0.1"}]}},
    "in another's network": {"NetworkMode": "container:other"},
    "in the host's namespaces": {"PidMode": "host", "NetworkMode": "host", "IpcMode": "host"},
    "with memory for others": {"IpcMode": "shareable", "NetworkMode": "none"},
    "in another's memory": {"IpcMode": "container:other", "NetworkMode": "none"},
    "below a parent of its own": {"CgroupParent": "PARENT/own", "NetworkMode": "none"},
    "privileged": {"Privileged": True, "NetworkMode": "none"},
}


def created(daemon: Daemon, host: dict[str, Any]) -> None:
    parent = daemon.sandbox.cgroup_parent
    own = {
        key: value.replace("PARENT", parent) if isinstance(value, str) else value
        for key, value in host.items()
    }
    if "container:other" in own.values():
        daemon.docker("run", "-d", "--name", "other", "--ipc", "shareable", "busybox", "sleep", "60")
    answer = daemon.api("POST", "/containers/create?name=truth", {**SLEEP, "HostConfig": own})
    assert answer.status == 201, answer


def engine_steps(daemon: Daemon) -> list[dict[str, Any]]:
    answer = daemon.api("GET", "/containers/truth/plan")
    assert answer.status == 200, answer
    return [step for step in answer.body["Steps"] if step["Phase"] == "engine"]


def there(daemon: Daemon, steps: list[dict[str, Any]]) -> dict[str, bool]:
    """Whether each step is found, by its words."""
    looks = [(step, LOOKS[step["Name"]]) for step in steps]
    return {step["Text"]: look(daemon, step["Arguments"]) for step, look in looks if look is not None}


def expected(steps: list[dict[str, Any]], moment: Moment) -> dict[str, bool]:
    kinds = engine_kinds()
    return {
        step["Text"]: (kinds[step["Name"]].done_at <= moment < kinds[step["Name"]].undone_at)
        or (step["Name"] in STAYS and moment >= Moment.START)
        for step in steps
        if LOOKS[step["Name"]] is not None
    }


@pytest.mark.parametrize("kind", CONTAINERS)
def test_each_step_is_there_from_when_it_is_done_until_it_is_undone(daemon: Daemon, kind: str) -> None:
    created(daemon, CONTAINERS[kind])
    planned = {step["Text"]: step for step in engine_steps(daemon)}
    prepared = [step for step in planned.values() if step["Name"] in ("writable-layer", "record")]
    assert there(daemon, prepared) == expected(prepared, Moment.CREATE)
    assert daemon.api("POST", "/containers/truth/start").status == 204
    steps = engine_steps(daemon)
    assert [step["Name"] for step in steps] == [step["Name"] for step in planned.values()]
    assert there(daemon, steps) == expected(steps, Moment.START)
    daemon.docker("stop", "-t", "0", "truth")
    ended = [
        step for step in steps if step["Name"] not in ("endpoint",)
    ]  # a veth's end goes later, in a batch
    assert there(daemon, ended) == expected(ended, Moment.EXIT)
    daemon.docker("rm", "truth")
    assert there(daemon, ended) == expected(ended, Moment.REMOVAL)


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("runtime-directory", lambda daemon, args: daemon.run_in_ns(["rm", "-r", args["path"]])),
        (
            "writable-layer",
            lambda daemon, args: daemon.run_in_ns(["mv", args["work"], args["work"] + ".away"]),
        ),
        ("record", lambda daemon, args: forget(daemon, args)),  # noqa: PLW0108
    ],
)
def test_a_step_that_somebody_undid_is_drift(daemon: Daemon, name: str, spoil: Look) -> None:
    created(daemon, {})
    assert daemon.api("POST", "/containers/truth/start").status == 204
    (step,) = [step for step in engine_steps(daemon) if step["Name"] == name]
    assert daemon.api("GET", "/containers/truth/explain").body["Drift"] == []
    plan_kept = name != "runtime-directory"  # with it goes what was started
    spoil(daemon, step["Arguments"])
    drift = daemon.api("GET", "/containers/truth/explain").body["Drift"]
    if plan_kept:
        assert [(d["What"], d["Planned"]) for d in drift] == [(name, step["Text"])]
    else:
        assert name in [d["What"] for d in drift]


def forget(daemon: Daemon, args: Step) -> None:
    sql(daemon, args, "DELETE FROM containers WHERE name = 'truth'")


# ---------------------------------------------------------------- nothing else


def in_folder(argument: str) -> Callable[[Step, Call], bool]:
    return lambda args, call: f"{args[argument]}" in call.args


# What of the engine's calls at a start is a step's.
RULES: dict[str, Callable[[Step, Call], bool]] = {
    "runtime-directory": in_folder("path"),
    "parent-cgroup": lambda args, call: "/sys/fs/cgroup/" in call.args and args["path"] in call.args,
    "publish-port": lambda args, call: (
        (call.name in ("sendmsg", "sendto") and "NETLINK:[NETFILTER" in call.args)
        or (call.name == "bind" and f"htons({args['host_port']})" in call.args)
    ),
    "open-namespace": lambda args, call: "/ns/" in call.args,
}
# Not of the host: sockets and memory files end with the process, and the store and the bin are the engine's own.
BOOKKEEPING = re.compile(
    r"wherry\.db|memfd:|/dev/null|<(UNIX|socket|pipe|anon_inode)|AF_UNIX|/containers/\.trash"
)
CHANGES = ("mkdir", "mkdirat", "unlink", "unlinkat", "rename", "renameat", "renameat2", "rmdir", "symlink", "chmod",
           "fchmodat", "chown", "bind", "sendmsg", "sendto", "mount", "write", "pwrite64")  # fmt: skip


def changes(call: Call) -> bool:
    if call.failed or BOOKKEEPING.search(call.args):
        return False
    if call.name in ("open", "openat"):
        return "O_CREAT" in call.args
    if call.name in ("write", "pwrite64"):
        return "</" in call.args.split(",", 1)[0]
    return call.name in CHANGES


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("kind", ["with ports", "in another's network", "below a parent of its own"])
def test_the_engine_changes_only_what_its_steps_say(
    fresh_daemon: Callable[..., Daemon], tmp_path: Path, kind: str
) -> None:
    daemon = fresh_daemon("--network-pool", "0")  # so that no other endpoint is made meanwhile
    created(daemon, CONTAINERS[kind])
    options = ("-e", f"trace={TRACED},sendmsg,sendto,bind")
    with Tracer(daemon.pid, tmp_path / "trace", *options):
        assert daemon.api("POST", "/containers/truth/start").status == 204
        steps = engine_steps(daemon)
    calls = parse((tmp_path / "trace").read_text(errors="replace"))
    launched = next(i for i, c in enumerate(calls) if c.name == "prctl" and '"wherry-monitor"' in c.args)
    own = {daemon.pid, *(int(t) for t in os.listdir(f"/proc/{daemon.pid}/task"))}
    made = [c for c in calls[:launched] if c.pid in own and changes(c)]
    strange = [
        str(c)
        for c in made
        if not any(RULES[s["Name"]](s["Arguments"], c) for s in steps if s["Name"] in RULES)
        and not ("endpoint" in [s["Name"] for s in steps] and is_wiring(c))
    ]
    assert made and not strange, f"{len(strange)} changes that no step explains"


def is_wiring(call: Call) -> bool:
    """An endpoint's: rtnetlink, and IPv6 switched off for its interfaces."""
    return "NETLINK:[ROUTE" in call.args or "/proc/sys/net/" in call.args
