"""Coming into containers that make it hard: full ones, and ones with profiles that forbid what coming in takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.harness.daemon import Daemon
from tests.harness.sandbox import CGROUPS

in_version_1 = pytest.mark.skipif(
    not (CGROUPS / "pids").is_dir(), reason="version 2 lets nothing out of a group"
)
BOMB = "f() { f | f & }; f; exec sleep 600"


def profile(folder: Path, *forbidden: str) -> str:
    rules = [{"names": list(forbidden), "action": "SCMP_ACT_ERRNO"}]
    path = folder / "profile.json"
    path.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}))
    return f"seccomp={path}"


@in_version_1
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_full_container_can_be_entered(daemon: Daemon, limit: int) -> None:
    """And what is in it then is in its cgroup, so that the limit holds for what it starts."""
    options = ("--pids-limit", str(limit))
    container = daemon.docker("run", "-d", *options, "busybox", "sleep", "600").stdout.strip()
    groups = daemon.docker("exec", container, "cat", "/proc/self/cgroup").stdout
    assert any(":pids:" in line and line.endswith(f"/{container}") for line in groups.splitlines())
    script = "sleep 1 & sleep 1 & sleep 1 & sleep 1"
    refused = daemon.docker("exec", container, "sh", "-c", script, check=False)
    assert refused.returncode == 2 and "can't fork" in refused.stderr
    joined = ("--pid", f"container:{container}", "--pids-limit", "1")
    assert daemon.docker("run", "--rm", *joined, "busybox", "echo", "in").stdout == "in\n"


@in_version_1
def test_a_fork_bomb_can_be_looked_at(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "bomb", "--pids-limit", "30", "busybox", "sh", "-c", BOMB)
    for _ in range(10):
        assert daemon.docker("exec", "bomb", "echo", "in").stdout == "in\n"


@pytest.mark.parametrize("forbidden", ["clone", "setsid", "close_range", "munmap", "ioctl"])
def test_a_profile_that_forbids_what_coming_in_takes(daemon: Daemon, forbidden: str) -> None:
    """The filter holds for what came in, and does not keep it out."""
    option = profile(daemon.base, forbidden)
    daemon.docker("run", "-d", "--name", "odd", "--security-opt", option, "busybox", "sleep", "600")
    ways = (["exec", "odd"], ["run", "--rm", "--pid", "container:odd", "--security-opt", option, "busybox"])
    for way in ways:
        assert daemon.docker(*way, "grep", "^Seccomp:", "/proc/self/status").stdout.split() == [
            "Seccomp:",
            "2",
        ]


def test_a_joined_container_sees_the_others_processes(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "first", "busybox", "sleep", "600")
    for options in ((), ("--init",), ("--user", "1000"), ("-t",), ("--read-only",)):
        seen = daemon.docker(
            "run", "--rm", "--pid", "container:first", *options, "busybox", "ps", "-o", "pid,args"
        )
        lines = [line.partition(" ")[::2] for line in map(str.strip, seen.stdout.splitlines()[1:])]
        assert lines[0] == ("1", "sleep 600") and len(lines) <= 3, seen
        assert any(args.startswith("ps -o") for _, args in lines)
        ended = daemon.docker(
            "run", "--rm", "--pid", "container:first", *options, "busybox", "sh", "-c", "exit 7", check=False
        )
        assert ended.returncode == 7, options


def test_a_terminal_in_a_joined_namespace_is_its_leaders(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "first", "busybox", "sleep", "600")
    script = "cut -d' ' -f1,5-8 /proc/$$/stat"
    for way in (["exec", "-t", "first"], ["run", "--rm", "-t", "--pid", "container:first", "busybox"]):
        pid, group, session, terminal, foreground = daemon.docker(*way, "sh", "-c", script).stdout.split()
        assert pid == group == session and terminal != "0" and int(foreground) > 0
