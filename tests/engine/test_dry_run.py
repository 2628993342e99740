"""A dry run says everything and does nothing; its plan is the one that a start then carries out."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.harness.daemon import Daemon

BODY: dict[str, Any] = {
    "Image": "busybox",
    "Cmd": ["sleep", "60"],
    "HostConfig": {
        "Memory": 64 << 20,
        "PortBindings": {"80/tcp": [{"HostPort": "18081"}]},
        "Tmpfs": {"/scratch": ""},
        "ReadonlyRootfs": True,
    },
}


def tree(root: Path) -> set[str]:
    """Everything below a root; the database's journal counts by what the API shows of it."""
    return {str(path) for path in root.rglob("*") if not path.name.startswith("wherry.db-")}


def state_of_host(daemon: Daemon) -> dict[str, Any]:
    """What a container could leave: mounts, rules, cgroups, processes, files, and the store by way of the API.

    Links of the pool come and go by themselves, so that only those in use count, through the rules.
    """
    parent = daemon.sandbox.cgroup_parent
    processes = subprocess.run(
        ["ps", "--ppid", str(daemon.pid), "-o", "pid="], capture_output=True, text=True, check=False
    )
    return {
        "mounts": daemon.run_in_ns(["cat", "/proc/self/mountinfo"]).stdout,
        "nft": daemon.run_in_ns(["nft", "list", "ruleset"]).stdout,
        "cgroups": sorted(str(p) for p in Path("/sys/fs/cgroup").glob(f"*/{parent}/*/")),
        "processes": processes.stdout,
        "files": tree(daemon.data_root) | tree(daemon.exec_root),
        "containers": daemon.api("GET", "/containers/json?all=1").body,
        "images": daemon.api("GET", "/images/json").body,
    }


def test_a_dry_run_changes_nothing(daemon: Daemon) -> None:
    before = state_of_host(daemon)
    answer = daemon.api("POST", "/containers/create?dryRun=1&name=ghost", BODY)
    assert answer.status == 200
    assert state_of_host(daemon) == before
    assert daemon.api("GET", "/containers/ghost/json").status == 404


def test_every_step_has_a_heading_and_a_cause(daemon: Daemon) -> None:
    steps = daemon.api("POST", "/containers/create?dryRun=1", BODY).body["Steps"]
    assert [step["Number"] for step in steps] == list(range(1, len(steps) + 1))
    assert all(step["Heading"] and step["Cause"] and step["Text"] for step in steps)
    causes = {step["Text"]: step["Cause"] for step in steps}
    assert any("memory.limit_in_bytes" in text and "--memory" in cause for text, cause in causes.items())
    assert causes["publish 80/tcp on 0.0.0.0:18081"] == "-p 18081:80"
    assert causes["make the root read-only"] == "--read-only"


def test_the_plan_of_a_started_container_is_that_of_its_dry_run(daemon: Daemon) -> None:
    dry = daemon.api("POST", "/containers/create?dryRun=1", BODY).body["Steps"]
    id = daemon.api("POST", "/containers/create?name=real", BODY).body["Id"]
    assert daemon.api("POST", "/containers/real/start").status == 204
    real = daemon.api("GET", "/containers/real/plan").body["Steps"]
    differing = {
        step["Name"]
        for planned, step in zip(dry, real, strict=True)
        if planned["Text"] != step["Text"].replace(id, "<id>").replace(id[:12], "<id>")
    }
    assert differing <= {"endpoint", "write-file"}  # what came from the pool, and /etc/hosts with it


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"Image": "nosuch"}, 404),
        ({"Image": "busybox", "HostConfig": {"Memory": 1}}, 400),
        ({}, 400),
    ],
)
def test_a_dry_run_refuses_what_create_refuses(daemon: Daemon, body: dict[str, Any], status: int) -> None:
    dry, real = (daemon.api("POST", f"/containers/create{query}", body) for query in ("?dryRun=1", ""))
    assert (dry.status, dry.body) == (real.status, real.body)
    assert dry.status == status


def test_two_plans_are_compared_with_causes(daemon: Daemon) -> None:
    assert (
        daemon.api("POST", "/containers/create?name=plain", {"Image": "busybox", "Cmd": ["true"]}).status
        == 201
    )
    privileged = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"Privileged": True}}
    question = {"A": {"Container": "plain"}, "B": {"Create": privileged}}
    found = daemon.api("POST", "/plans/compare", question).body["Differences"]
    by_name = {d["Name"]: d for d in found}
    assert "CAP_SYS_ADMIN" in by_name["capabilities"]["What"]
    assert by_name["capabilities"]["B"]["Cause"] == "--privileged"
    assert by_name["seccomp"]["B"] is None
    assert {"left-out", "mask", "mknod"} <= set(by_name) and "endpoint" not in by_name


def test_a_comparison_needs_two_sides(daemon: Daemon) -> None:
    answer = daemon.api("POST", "/plans/compare", {"A": {}, "B": {"Container": "x"}})
    assert answer.status == 400 and "neither a container nor an image" in answer.body["message"]
